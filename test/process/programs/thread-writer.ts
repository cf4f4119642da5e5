// A worker thread that appends durably until it has done its share or is terminated, and reports
// what has resolved. Its data: directory, name, count, and whether to leave the log open at the
// end.
import { parentPort, workerData } from 'node:worker_threads'

import { Log } from 'ringleader'

export interface ThreadTask {
  directory: string
  name: string
  count: number
  leaveOpen: boolean
}

const task = workerData as ThreadTask
const log = await Log.open(task.directory, { segmentBytes: 65_536, ringBytes: 65_536 })
let next = 0

const appendInTurn = async () => {
  while (next < task.count) {
    const number = next
    next += 1
    await log.append(`${task.name} ${number} ${'x'.repeat(number % 200)}`)
    parentPort?.postMessage(number)
  }
}

await Promise.all(Array.from({ length: 50 }, appendInTurn))
if (!task.leaveOpen) await log.close()
