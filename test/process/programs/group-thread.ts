// A worker thread that leads a group of one and writes until it is terminated. Its data: directory.
import { parentPort, workerData } from 'node:worker_threads'

import { Environment } from 'ringleader'

const { directory } = workerData as { directory: string }
const env = await Environment.open(directory, { segmentBytes: 65_536, ringBytes: 65_536 })
const rep = env.replication({ memberId: 1, electionTimeoutMs: 300, heartbeatIntervalMs: 5 })
rep.setTransport(() => new Promise<boolean>(() => undefined))
await rep.start('primary')
const rows = env.database<string, number>('rows')
for (let i = 0; ; i += 1) {
  await rows.put('newest', i)
  parentPort?.postMessage(i)
}
