// The writers of one member: they write while it leads, some of them when it does not, at every
// durability, and go on asking about what they were not told.
import { setTimeout as pause } from 'node:timers/promises'

import {
  RingleaderError,
  type Durability,
  type Environment,
  type Receipt,
  type Replication,
} from 'ringleader'

import { databaseName, type Settings, type Told } from './orders.js'
import { now, type Begun, type Recorder } from './record.js'

export const registers = ['r0', 'r1', 'r2', 'r3', 'r4'] as const
export const listCount = 3
/** Rows that only fill the log, so that whoever is away for long needs a snapshot. */
const ballastCount = 3
const ballastBytes = 3_000
/** Appends after which a list is given up for a new one. */
const longestList = 20
const stillToAskMs = 8_000

export const listKey = (list: number, generation: number) => `l${list}-${generation}`

/** Which lists are appended to now, as far as this process has seen. */
export class Generations {
  readonly #current = Array.from({ length: listCount }, () => 0)

  keyOf(list: number): string {
    return listKey(list, this.#current[list] ?? 0)
  }

  /** A list of that length has been seen. */
  saw(key: string, length: number): void {
    const [list = 0, generation = 0] = key.slice(1).split('-').map(Number)
    if (length < longestList) return
    this.#current[list] = Math.max(this.#current[list] ?? 0, generation + 1)
  }
}

interface Way {
  durability: Durability
  /** What it acknowledges is not lost by any election. */
  lasting: boolean
}

export interface ClientOptions {
  env: Environment
  rep: Replication
  recorder: Recorder
  random: () => number
  settings: Settings
  generations: Generations
  tell: (told: Told) => void
}

interface Work {
  f: Begun['f']
  keys: string[]
  /** Gives the receipt, and what it has found. */
  run: (durability: Durability) => Promise<[Receipt, found?: number | null]>
}

export class Writers {
  readonly #options: ClientOptions
  readonly #firstId: number
  #count = 0
  #isWorking = false
  #lives: Promise<unknown> = Promise.resolve()
  readonly #asking = new Set<Promise<unknown>>()

  /** Ids of writes are from `firstId`, and nobody else's. */
  constructor(options: ClientOptions, firstId: number) {
    this.#options = options
    this.#firstId = firstId
  }

  start(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    const all = Array.from({ length: this.#options.settings.writers }, () => this.#live())
    this.#lives = Promise.all(all)
  }

  /** Resolves when all has been answered. */
  async stop(): Promise<void> {
    this.#isWorking = false
    await this.#lives
    await Promise.all(this.#asking)
  }

  async #live(): Promise<void> {
    const { rep, random, settings } = this.#options
    while (this.#isWorking) {
      await pause(2 * settings.pauseMs * random())
      // A few try where they must be refused.
      if (rep.role === 'primary' || random() < 0.005) await this.#write()
    }
  }

  async #write(): Promise<void> {
    const { recorder } = this.#options
    this.#count += 1
    const id = this.#firstId + this.#count
    const way = this.#way()
    const { f, keys, run } = this.#work(id)
    recorder.write({ event: 'begin', id, at: now(), f, keys, lasting: way.lasting })
    try {
      const [receipt, found] = await run(way.durability)
      const place = { lsn: receipt.end, term: receipt.term }
      recorder.write({ event: 'end', id, at: now(), outcome: 'ok', place, found })
      this.#share(id, receipt)
    } catch (error) {
      this.#failed(id, error)
    }
  }

  #failed(id: number, error: unknown): void {
    const { recorder } = this.#options
    const at = now()
    if (!(error instanceof RingleaderError)) throw error
    const outcome = error.fate === 'none' ? 'failed' : 'unknown'
    recorder.write({ event: 'end', id, at, outcome, code: error.code })
    if (outcome === 'failed' || error.token === undefined) return
    const asking = this.#ask(id, error.token)
    this.#asking.add(asking)
    void asking.then(() => this.#asking.delete(asking))
  }

  // What has become of a commit that its client was not told about.
  async #ask(id: number, token: string): Promise<void> {
    const { env, recorder, tell } = this.#options
    try {
      await env.waitFor(token, 'quorum', { timeoutMs: stillToAskMs })
      recorder.write({ event: 'claim', id, at: now(), fate: 'committed' })
      tell({ kind: 'token', id, token })
    } catch (error) {
      if (!(error instanceof RingleaderError)) throw error
      if (error.code !== 'RL_ROLLED_BACK') return
      recorder.write({ event: 'claim', id, at: now(), fate: 'gone' })
    }
  }

  #share(id: number, receipt: Receipt): void {
    const { random, tell } = this.#options
    if (random() > 0.3) return
    try {
      tell({ kind: 'token', id, token: receipt.token })
    } catch (error) {
      if (!(error instanceof RingleaderError && error.code === 'RL_BUSY')) throw error
    }
  }

  #way(): Way {
    const { random } = this.#options
    const dice = random()
    const timeoutMs = random() < 0.5 ? Math.ceil(400 * random()) : 2_000
    if (dice < 0.6) return { durability: { copies: 'quorum', timeoutMs }, lasting: true }
    if (dice < 0.65) return { durability: { copies: 'all', timeoutMs }, lasting: true }
    const inMemory = { at: 'received', local: 'memory', timeoutMs } as const
    if (dice < 0.75) return { durability: { copies: 'quorum', ...inMemory }, lasting: false }
    if (dice < 0.8) return { durability: { copies: 1, timeoutMs }, lasting: false }
    return { durability: dice < 0.9 ? 'flushed' : 'memory', lasting: false }
  }

  #work(id: number): Work {
    const { env, random, generations } = this.#options
    const below = (limit: number) => Math.floor(random() * limit)
    const rows = () => env.database<'utf8', 'json'>(databaseName, { key: 'utf8', value: 'json' })
    const key = registers[below(registers.length)] ?? 'r0'
    const dice = random()
    if (dice < 0.3) {
      return {
        ...{ f: 'put', keys: [key] },
        run: async (durability) => [await rows().put(key, id, { durability })],
      }
    }
    if (dice < 0.45) {
      const keys = [...new Set([key, registers[below(registers.length)] ?? 'r0'])]
      const isHeavy = random() < 0.7
      const write = (durability: Durability) =>
        env.batch(
          (batch) => {
            for (const one of keys) batch.put(rows(), one, id)
            if (isHeavy) batch.put(rows(), `b${id % ballastCount}`, `${id}`.padEnd(ballastBytes))
          },
          { durability },
        )
      return { f: 'put', keys, run: async (durability) => [await write(durability)] }
    }
    if (dice < 0.6) return { f: 'compareAndSet', keys: [key], run: this.#swap(key, id) }
    const list = generations.keyOf(below(listCount))
    return { f: 'append', keys: [list], run: this.#append(list, id) }
  }

  #swap(key: string, id: number): Work['run'] {
    const { env } = this.#options
    return (durability) =>
      env
        .transaction(
          (transaction) => {
            const rows = env.database<string, number>(databaseName, { create: false })
            const found = transaction.get(rows, key) ?? null
            transaction.put(rows, key, id)
            return [transaction.committed, found] as const
          },
          { durability },
        )
        .then(async ([committed, found]) => [await committed, found])
  }

  #append(key: string, id: number): Work['run'] {
    const { env, generations } = this.#options
    return (durability) =>
      env
        .transaction(
          (transaction) => {
            const rows = env.database<string, number[]>(databaseName, { create: false })
            const list = transaction.get(rows, key) ?? []
            generations.saw(key, list.length + 1)
            transaction.put(rows, key, [...list, id])
            return [transaction.committed, list.length + 1] as const
          },
          { durability },
        )
        .then(async ([committed, found]) => [await committed, found])
  }
}
