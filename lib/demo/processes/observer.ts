// The observer of the demonstration: a process that reads while the workers write.
//
// It takes one snapshot after the other and looks in each for some cities at random: a transaction
// puts a city and its index rows, so a snapshot has all of them or none.
import process from 'node:process'
import { setTimeout as pause } from 'node:timers/promises'

import { Environment } from '../../index.js'
import { loadCities } from '../cities.js'
import type { Observed, ObserverTask } from './messages.js'
import { openTables, rowsOfCity, rowsPerCity } from '../tables.js'

const looksPerSnapshot = 100
const pauseMs = 10

const observe = async ({ directory, records }: ObserverTask, signal: AbortSignal) => {
  const cities = loadCities(records)
  const env = await Environment.open(directory)
  const tables = openTables(env)
  const observed: Observed = { snapshots: 0, whole: 0, torn: 0 }
  while (!signal.aborted) {
    const snapshot = env.snapshot()
    for (let i = 0; i < looksPerSnapshot; i += 1) {
      const id = Math.floor(Math.random() * cities.length)
      const city = cities[id]
      const rows = city ? rowsOfCity(snapshot, tables, id, city) : 0
      if (rows === rowsPerCity) observed.whole += 1
      else if (rows > 0) observed.torn += 1
    }
    snapshot.close()
    observed.snapshots += 1
    await pause(pauseMs)
  }
  process.send?.(observed)
  await env.close()
  process.disconnect()
}

const stop = new AbortController()
process.once('message', (task) => {
  process.once('message', () => {
    stop.abort()
  })
  void observe(task as ObserverTask, stop.signal)
})
process.once('disconnect', () => {
  process.exit()
})
