// Loads cities at the primary, with a number of transactions under way, each of which has some
// cities with all their index rows and counts when a majority of the members has it on disk.
import { setTimeout as pause } from 'node:timers/promises'

import type { Environment, RingleaderError } from '../../index.js'
import type { City } from '../cities.js'
import { addCity, openTables } from '../tables.js'
import type { LoadTask } from './messages.js'

const timeoutMs = 10_000
const pauseMs = 50

export interface LoaderOptions {
  env: Environment
  cities: readonly City[]
  report: (batches: Uint32Array, foundThere: number) => void
}

export class Loader {
  readonly #options: LoaderOptions
  #current: LoadTask | undefined
  #acknowledged: number[] = []
  #foundThere = 0

  constructor(options: LoaderOptions) {
    this.#options = options
  }

  /** Resolves when all of it is acknowledged, or this member is not the primary any more. */
  async run(task: LoadTask): Promise<void> {
    this.#current = task
    const tables = openTables(this.#options.env)
    let next = 0
    const loadInTurn = async () => {
      while (next < task.batches.length && this.#current === task) {
        const batch = task.batches[next] ?? 0
        next += 1
        await this.#load(task, batch, tables)
      }
    }
    await Promise.all(Array.from({ length: task.outstanding }, loadInTurn))
  }

  stop(): void {
    this.#current = undefined
  }

  // Again where nobody knows what has become of it: a city that is there already is left alone.
  async #load(task: LoadTask, batch: number, tables: ReturnType<typeof openTables>) {
    while (this.#current === task) {
      try {
        this.#note(batch, await this.#commit(task, batch, tables))
        return
      } catch (error) {
        const { retry, code } = error as RingleaderError
        if (retry === 'primary' || code === 'RL_CLOSED') {
          if (this.#current === task) this.stop()
          return
        }
        if (retry !== 'same' && code !== 'RL_ROLLED_BACK') throw error
        await pause(pauseMs)
      }
    }
  }

  #commit({ batchSize }: LoadTask, batch: number, tables: ReturnType<typeof openTables>) {
    const { env, cities } = this.#options
    const first = batch * batchSize
    return env.transaction(
      (transaction) => {
        let there = 0
        for (const [i, city] of cities.slice(first, first + batchSize).entries()) {
          if (!addCity(transaction, tables, first + i, city)) there += 1
        }
        return there
      },
      { durability: { copies: 'quorum', timeoutMs } },
    )
  }

  #note(batch: number, foundThere: number): void {
    if (this.#acknowledged.length === 0) {
      setImmediate(() => {
        const batches = Uint32Array.from(this.#acknowledged)
        this.#options.report(batches, this.#foundThere)
        this.#acknowledged = []
        this.#foundThere = 0
      })
    }
    this.#acknowledged.push(batch)
    this.#foundThere += foundThere
  }
}
