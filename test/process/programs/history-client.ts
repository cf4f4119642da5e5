// Reads and appends to lists in transactions of many kinds, several at a time, until it has done
// its share or is killed, and records what it asks and is told (test/support/history/history.ts).
//
// Arguments: directory, file for the record, number of the client (of no other one), seed,
// isolation, how many transactions. Tells its parent after each transaction how many it has done.
import process from 'node:process'
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises'

import { Environment, RingleaderError, type Isolation, type Transaction } from 'ringleader'

import { listOptions, openLists, planOf, type Lists } from '../../support/history/lists.js'
import type { Operation, Outcome, Read, Value } from '../../support/history/history.js'
import { Recorder } from '../../support/history/recorder.js'
import { randomNumbers } from '../../support/history/simulator.js'

const sessions = 4

const [directory = '', file = '', client = '', seed = '0', isolation = '', count = '0'] =
  process.argv.slice(2)
const random = randomNumbers(Number(seed))
const below = (limit: number) => Math.floor(random() * limit)

class GivenUp extends Error {}

type Run = (ops: Operation[]) => Promise<unknown>

const appendTo = ({ lists }: Lists, transaction: Transaction, key: string, value: Value) => {
  const list = transaction.get(lists, key) ?? []
  transaction.put(lists, key, [...list, value])
}

const listOf = (lists: Value[] | undefined): Value[] => lists ?? []

class Client {
  readonly #env: Environment
  readonly #tables: Lists
  readonly #recorder = new Recorder(file, client)
  #values = 0
  #done = 0
  #started = 0

  constructor(env: Environment) {
    this.#env = env
    this.#tables = openLists(env)
  }

  async run(): Promise<void> {
    await Promise.all(Array.from({ length: sessions }, (_, i) => this.#session(`${client}.${i}`)))
    this.#recorder.close()
  }

  async #session(name: string): Promise<void> {
    let unknowns = 0
    while (this.#started < Number(count)) {
      this.#started += 1
      const session = `${name}.${unknowns}`
      const [plan, run] = this.#choose()
      const id = this.#recorder.invoke(session, plan)
      const ops: Operation[] = []
      const outcome = await this.#outcomeOf(() => run(ops))
      this.#recorder.end(outcome, id, session, outcome === 'unknown' ? plan : ops)
      if (outcome === 'unknown') unknowns += 1
      this.#done += 1
      process.send?.(this.#done)
    }
  }

  async #outcomeOf(run: () => Promise<unknown>): Promise<Outcome> {
    try {
      await run()
      return 'ok'
    } catch (error) {
      if (error instanceof GivenUp) return 'aborted'
      if (!(error instanceof RingleaderError)) throw error
      const expected = ['RL_CONFLICT', 'RL_TIMEOUT']
      if (error.fate === 'none' && !expected.includes(error.code)) throw error
      return error.fate === 'none' ? 'aborted' : 'unknown'
    }
  }

  // What to do next, in words and as a function that notes what it has done.
  #choose(): [plan: Operation[], run: Run] {
    const keys = planOf(this.#tables)
    const chance = random()
    if (chance < 0.06) return this.#swap(keys)
    if (chance < 0.12) return this.#readOne(keys)
    if (chance < 0.18) return this.#readSnapshot(keys)
    const isLong = chance < 0.26
    const plan = isLong ? keys.map((key): Operation => ({ f: 'read', key })) : []
    const walked = plan.length
    for (let i = 2 + below(4); i > 0; i -= 1) plan.push(this.#operation(keys))
    const options = {
      isolation: isolation as Isolation,
      durability: random() < 0.1 ? ('flushed' as const) : ('memory' as const),
      retry: random() < 0.7,
      ...(random() < 0.03 && { timeoutMs: below(20) }),
    }
    const givesUp = random() < 0.05
    const work = (ops: Operation[]) => async (transaction: Transaction) => {
      ops.length = 0
      if (isLong) ops.push(...this.#walk(transaction, keys))
      if (isLong) await pause(below(10))
      for (const op of plan.slice(walked)) {
        ops.push(this.#execute(transaction, op))
        if (random() < 0.3) await turn()
      }
      if (givesUp) throw new GivenUp()
    }
    return [plan, (ops) => this.#countAppends(ops, this.#env.transaction(work(ops), options))]
  }

  #operation(keys: string[]): Operation {
    const key = keys[below(keys.length)] ?? ''
    return random() < 0.5 ? { f: 'read', key } : this.#append(key)
  }

  #append(key: string): Operation {
    this.#values += 1
    return { f: 'append', key, value: Number(client) * 1_000_000 + this.#values }
  }

  #execute(transaction: Transaction, op: Operation): Operation {
    const key = `${op.key}`
    if (op.f === 'read') return { ...op, list: listOf(transaction.get(this.#tables.lists, key)) }
    appendTo(this.#tables, transaction, key, op.value)
    return op
  }

  // All keys in one range: also what is not there is looked at.
  #walk(transaction: Transaction, keys: string[]): Read[] {
    const bounds = { gte: keys[0] ?? '', lte: keys.at(-1) ?? '', reverse: random() < 0.5 }
    const rows = transaction.range(this.#tables.lists, bounds).toArray()
    const found = new Map(rows.map(({ key, value }) => [key, value]))
    return keys.map((key) => ({ f: 'read', key, list: listOf(found.get(key)) }))
  }

  // A single-shot: what was read is compared when it is committed.
  #swap(keys: string[]): [Operation[], Run] {
    const { lists } = this.#tables
    const key = keys[below(keys.length)] ?? ''
    const append = this.#append(key)
    const run: Run = async (ops) => {
      const entry = lists.getEntry(key)
      ops.push({ f: 'read', key, list: listOf(entry?.value) })
      if (append.f !== 'append') return
      const list = [...listOf(entry?.value), append.value]
      const expected = { version: entry?.version ?? 0 }
      if (!(await lists.compareAndSet(key, expected, list, { durability: 'memory' }))) return
      ops.push(append)
      await this.#countAppends(ops, Promise.resolve())
    }
    return [[{ f: 'read', key }, append], run]
  }

  #readOne(keys: string[]): [Operation[], Run] {
    const key = keys[below(keys.length)] ?? ''
    const run: Run = (ops) => {
      ops.push({ f: 'read', key, list: listOf(this.#tables.lists.get(key)) })
      return Promise.resolve()
    }
    return [[{ f: 'read', key }], run]
  }

  #readSnapshot(keys: string[]): [Operation[], Run] {
    const run: Run = async (ops) => {
      const snapshot = this.#env.snapshot()
      try {
        for (const key of keys) {
          ops.push({ f: 'read', key, list: listOf(snapshot.get(this.#tables.lists, key)) })
          if (random() < 0.3) await turn()
        }
      } finally {
        snapshot.close()
      }
    }
    return [keys.map((key) => ({ f: 'read', key })), run]
  }

  // So that all clients know when to go on to other keys.
  async #countAppends(ops: Operation[], committed: Promise<unknown>): Promise<void> {
    await committed
    const appends = ops.filter(({ f }) => f === 'append').length
    if (appends > 0) await this.#tables.counters.add('appends', appends, { durability: 'memory' })
  }
}

const env = await Environment.open(directory, listOptions)
await new Client(env).run()
await env.close()
process.disconnect()
