// What a replica does for its readers while records arrive: a snapshot, some cities out of it, the
// next snapshot. A transaction puts a city and its index rows: a snapshot has all of them or none.
import { setTimeout as pause } from 'node:timers/promises'

import type { Environment } from '../../index.js'
import type { City } from '../cities.js'
import { findTables, rowsOfCity, rowsPerCity } from '../tables.js'

const looksPerSnapshot = 50
const pauseMs = 5

export interface QueryCounts {
  snapshots: number
  /** Cities that were there, with all their rows. */
  whole: number
  /** Cities of which some rows were there and some were not: never. */
  torn: number
}

export class Queries {
  readonly counts: QueryCounts = { snapshots: 0, whole: 0, torn: 0 }
  readonly #env: Environment
  readonly #cities: readonly City[]
  readonly #wanted: () => boolean

  /** `wanted`: whether there is anything to answer, at the moment. */
  constructor(env: Environment, cities: readonly City[], wanted: () => boolean) {
    this.#env = env
    this.#cities = cities
    this.#wanted = wanted
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#wanted()) this.#look()
      await pause(pauseMs)
    }
  }

  #look(): void {
    const tables = findTables(this.#env)
    if (!tables) return
    const snapshot = this.#env.snapshot()
    for (let i = 0; i < looksPerSnapshot; i += 1) {
      const id = Math.floor(Math.random() * this.#cities.length)
      const city = this.#cities[id]
      const rows = city ? rowsOfCity(snapshot, tables, id, city) : 0
      if (rows === rowsPerCity) this.counts.whole += 1
      else if (rows > 0) this.counts.torn += 1
    }
    snapshot.close()
    this.counts.snapshots += 1
  }
}
