// A member that leads, and that nobody closes. Says what has been written, then ends in the way
// asked for. Arguments: directory, way. Ways:
//
//   idle      nothing waits: the program runs to its end
//   dropped   nobody holds it any more, and the garbage collector runs (wants --expose-gc); it has
//             to go on sending
//   exit      process.exit(7) while messages, a commit, an election and a wait are under way
//   throws    a listener throws: an uncaught exception, of which this program hears
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'

import { Environment } from 'ringleader'

const [directory = '', way] = process.argv.slice(2)

interface Counter {
  sent: number
}

const open = async (counter: Counter) => {
  const env = await Environment.open(directory, { segmentBytes: 65_536, ringBytes: 65_536 })
  const rep = env.replication({ memberId: 1, electionTimeoutMs: 300, heartbeatIntervalMs: 5 })
  rep.setTransport(() => {
    counter.sent += 1
    return true
  })
  await rep.start('primary')
  await env.database('rows').put('a', 1)
  return { env, rep }
}

const counter = { sent: 0 }

if (way === 'dropped') {
  await open(counter)
  for (let i = 0; i < 5; i += 1) {
    const before = counter.sent
    for (let turn = 0; turn < 5; turn += 1) {
      globalThis.gc?.()
      await sleep(1)
    }
    while (counter.sent === before) await sleep(1)
  }
} else {
  const { env, rep } = await open(counter)
  if (way === 'exit') {
    await rep.start('replica')
    void rep.elect({ members: 2, timeoutMs: 60_000 })
    const rows = env.database('rows')
    void rows.put('b', 1).catch(() => undefined)
    void env.waitFor({ end: 2 ** 40 } as never, 'quorum').catch(() => undefined)
    void env.snapshotAt({ linearizable: true }).catch(() => undefined)
    for (let i = 0; i < 100; i += 1) {
      void rep.processMessages(new Uint8Array(0), 2).catch(() => undefined)
    }
    setImmediate(() => process.exit(7))
  } else if (way === 'throws') {
    const uncaught = new Promise<unknown>((resolve) => process.once('uncaughtException', resolve))
    rep.on('replica', () => {
      throw new Error('of a listener')
    })
    await rep.start('replica')
    console.log(String(await uncaught))
    await rep.start('primary')
  }
}
console.log(way)
