// Histories of a database that keeps to its isolation level, or breaks it in a known way: what the
// checker is tested with. One map in memory, clients that take turns by a seed.
import type { Operation, Outcome, Transaction, Value } from './history.js'

export type Level =
  | 'serializable' // validated: nobody has written what was read or is written
  | 'snapshot' // nobody has written what is written
  | 'lost-updates' // a snapshot, not validated at all
  | 'stale' // serializable, but snapshots may be old
  | 'read-uncommitted' // no snapshots: everybody sees everything at once

export interface Simulation {
  seed: number
  level: Level
  transactions: number
  /** Default: 5. */
  processes?: number
  /** Keys in use at a time. Default: 4. */
  keys?: number
  /** Appends after which a key is replaced by a new one. Default: 40. */
  appendsPerKey?: number
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export const randomNumbers = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

interface List {
  values: Value[]
  /** For each value the commit that has added it. */
  commits: number[]
}

interface Running {
  id: number
  process: string
  invoked: number
  snapshot: number
  plan: Operation[]
  ops: Operation[]
  own: Map<string, Value[]>
  read: Set<string>
}

class Simulator {
  readonly history: Transaction[] = []
  readonly #options: Required<Simulation>
  readonly #random: () => number
  readonly #lists = new Map<string, List>()
  readonly #running: (Running | undefined)[]
  readonly #lives: number[] // of each process: one ends with an unknown outcome
  #keys: { name: string; left: number }[]
  #started = 0
  #values = 0
  #names = 0
  #clock = 0
  #commits = 0

  constructor(options: Simulation) {
    this.#options = { processes: 5, keys: 4, appendsPerKey: 40, ...options }
    this.#random = randomNumbers(options.seed)
    this.#running = Array.from({ length: this.#options.processes }, () => undefined)
    this.#lives = this.#running.map(() => 0)
    this.#keys = Array.from({ length: this.#options.keys }, () => this.#newKey())
  }

  run(): Transaction[] {
    while (this.history.length < this.#options.transactions) {
      const process = this.#below(this.#options.processes)
      const running = this.#running[process]
      this.#clock += 1
      if (running) this.#step(running, process)
      else if (this.#started < this.#options.transactions) this.#begin(process)
    }
    this.#readEverything()
    return this.history
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #newKey() {
    this.#names += 1
    return { name: `k${this.#names}`, left: this.#options.appendsPerKey }
  }

  #begin(process: number): void {
    const plan = Array.from({ length: 1 + this.#below(4) }, () => this.#operation())
    const late = this.#options.level === 'stale' && this.#random() < 0.05
    this.#running[process] = {
      id: this.#started,
      process: `${process}.${this.#lives[process] ?? 0}`,
      invoked: this.#clock,
      snapshot: late ? Math.max(0, this.#commits - 5) : this.#commits,
      plan,
      ops: [],
      own: new Map(),
      read: new Set(),
    }
    this.#started += 1
  }

  #operation(): Operation {
    const at = this.#below(this.#keys.length)
    const key = this.#keys[at] ?? this.#newKey()
    if (this.#random() < 0.5) return { f: 'read', key: key.name }
    key.left -= 1
    if (key.left === 0) this.#keys[at] = this.#newKey()
    this.#values += 1
    return { f: 'append', key: key.name, value: this.#values }
  }

  #step(running: Running, process: number): void {
    const op = running.plan[running.ops.length]
    if (op === undefined) {
      this.#running[process] = undefined
      this.#end(running, process)
    } else if (op.f === 'append') {
      running.ops.push(op)
      if (this.#options.level === 'read-uncommitted') this.#append(op.key.toString(), op.value)
      else
        running.own.set(op.key.toString(), [...this.#ownOf(running, op.key.toString()), op.value])
    } else {
      const key = op.key.toString()
      running.read.add(key)
      const list = [...this.#visible(running, key), ...this.#ownOf(running, key)]
      running.ops.push({ ...op, list })
    }
  }

  #ownOf(running: Running, key: string): Value[] {
    return running.own.get(key) ?? []
  }

  #visible({ snapshot }: Running, key: string): Value[] {
    const { values, commits } = this.#listOf(key)
    if (this.#options.level === 'read-uncommitted') return values
    return values.filter((_, i) => (commits[i] ?? 0) <= snapshot)
  }

  #listOf(key: string): List {
    let list = this.#lists.get(key)
    if (!list) this.#lists.set(key, (list = { values: [], commits: [] }))
    return list
  }

  #append(key: string, value: Value): void {
    const { values, commits } = this.#listOf(key)
    values.push(value)
    commits.push(this.#commits)
  }

  #hasChanged(keys: Iterable<string>, snapshot: number): boolean {
    for (const key of keys) if ((this.#listOf(key).commits.at(-1) ?? 0) > snapshot) return true
    return false
  }

  #validates({ own, read, snapshot }: Running): boolean {
    const { level } = this.#options
    if (level === 'lost-updates' || level === 'read-uncommitted') return true
    if (this.#hasChanged(own.keys(), snapshot)) return false
    // What only reads is as of its snapshot, where all of it was true.
    return level === 'snapshot' || own.size === 0 || !this.#hasChanged(read, snapshot)
  }

  #end(running: Running, process: number): void {
    const applies = this.#validates(running) && this.#random() > 0.05
    if (applies) {
      this.#commits += 1
      for (const [key, values] of running.own) {
        for (const value of values) this.#append(key, value)
      }
    }
    const isKnown = this.#random() > 0.03
    if (!isKnown) this.#lives[process] = (this.#lives[process] ?? 0) + 1
    this.#record(running, isKnown ? (applies ? 'ok' : 'aborted') : 'unknown')
  }

  #record({ id, process, invoked, plan, ops }: Running, outcome: Outcome): void {
    const completed = outcome === 'unknown' ? undefined : this.#clock
    const known = outcome === 'unknown' ? plan : ops
    this.history.push({ id, process, invoked, completed, outcome, ops: known })
  }

  #readEverything(): void {
    this.#clock += 1
    const ops = [...this.#lists].map(([key, { values }]) => ({
      f: 'read' as const,
      key,
      list: [...values],
    }))
    const invoked = this.#clock
    const completed = invoked + 1
    this.history.push({ id: 'last', process: 'last', invoked, completed, outcome: 'ok', ops })
  }
}

/** A history; its last transaction reads every key. */
export const simulate = (simulation: Simulation): Transaction[] => new Simulator(simulation).run()
