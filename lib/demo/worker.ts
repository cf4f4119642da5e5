// A writer of the demonstration: a process of its own that may be killed at any moment.
//
// It appends its cities with a number of durable appends under way, and reports each one that has
// resolved, in batches, to the main process.
import process from 'node:process'

import { Log } from '../index.js'
import { encodeCity, loadCities } from './cities.js'
import type { Report, Task } from './messages.js'

const work = async (task: Task) => {
  const cities = loadCities(task.records)
  const log = await Log.open(task.directory)
  let acknowledged: number[] = []
  let next = 0

  const report = () => {
    const message: Report = {
      acknowledged: Uint32Array.from(acknowledged),
      flushes: log.stat().flushes,
    }
    acknowledged = []
    process.send?.(message)
  }

  const appendInTurn = async () => {
    while (next < task.indices.length) {
      const index = task.indices[next] ?? 0
      next += 1
      await log.append(encodeCity(cities, index, task.attempt))
      if (acknowledged.length === 0) setImmediate(report)
      acknowledged.push(index)
    }
  }

  await Promise.all(Array.from({ length: task.outstanding }, appendInTurn))
  await new Promise((resolve) => {
    setImmediate(resolve) // behind the last report
  })
  await log.close()
  process.disconnect()
}

process.once('message', (task) => {
  void work(task as Task)
})
process.once('disconnect', () => {
  process.exit()
})
