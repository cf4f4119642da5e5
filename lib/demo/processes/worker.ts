// A worker of the demonstration: a process of its own that may be killed at any moment.
//
// It loads its batches of cities, each with its index rows in one serializable transaction, with a
// number of durable transactions under way, and reports those that have resolved to the main
// process.
import process from 'node:process'

import { Environment } from '../../index.js'
import { loadCities } from '../cities.js'
import type { Report, Task } from './messages.js'
import { addCity, openTables } from '../tables.js'

const work = async (task: Task) => {
  const cities = loadCities(task.records)
  const env = await Environment.open(task.directory)
  const tables = openTables(env)
  let acknowledged: number[] = []
  let foundThere = 0
  let next = 0

  const report = () => {
    const message: Report = {
      batches: Uint32Array.from(acknowledged),
      foundThere,
      flushes: env.stat().log.flushes,
    }
    acknowledged = []
    foundThere = 0
    process.send?.(message)
  }

  const load = (batch: number): Promise<number> =>
    env.transaction((transaction) => {
      const first = batch * task.batchSize
      let there = 0
      for (const [i, city] of cities.slice(first, first + task.batchSize).entries()) {
        if (!addCity(transaction, tables, first + i, city)) there += 1
      }
      return there
    })

  const loadInTurn = async () => {
    while (next < task.batches.length) {
      const batch = task.batches[next] ?? 0
      next += 1
      foundThere += await load(batch)
      if (acknowledged.length === 0) setImmediate(report)
      acknowledged.push(batch)
    }
  }

  await Promise.all(Array.from({ length: task.outstanding }, loadInTurn))
  await new Promise((resolve) => {
    setImmediate(resolve) // behind the last report
  })
  await env.close()
  process.disconnect()
}

process.once('message', (task) => {
  void work(task as Task)
})
process.once('disconnect', () => {
  process.exit()
})
