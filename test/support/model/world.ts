// An environment and its model, side by side: every command is done to both, and what they say is
// compared. Whatever differs is an AssertionError.
import assert from 'node:assert/strict'

import {
  Environment,
  RingleaderError,
  type Database,
  type ErrorCode,
  type Receipt,
  type Snapshot,
  type Transaction,
} from 'ringleader'

import type { Atomic, Command, Step, Walk, Write } from './commands.js'
import type { Kind } from './kinds.js'
import { modelOptions } from './options.js'
import type { FoundRow, Peer } from './peer.js'
import { foundIn, placesOf } from './reading.js'
import {
  kindAt,
  placeOf,
  rangeOptionsOf,
  walked,
  withDatabase,
  withWrites,
  type ModelRows,
  type State,
} from './state.js'

type Only<D extends Command['do']> = Extract<Command, { do: D }>

interface Kept {
  snapshot: Snapshot
  state: State
}

const mostSnapshots = 4

class GivenUp extends Error {}

/** The error that a call fails with; it has to be a RingleaderError without effect. */
const failureOf = async (call: () => unknown): Promise<ErrorCode> => {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof RingleaderError)) throw error
    assert.equal(error.fate, 'none', error.message)
    return error.code
  }
  return assert.fail('a call that should have failed has not')
}

const compareRows = ({ name }: Kind, found: readonly FoundRow[], rows: ModelRows): void => {
  assert.deepEqual(
    found.map(([place, number]) => [place, number]),
    Array.from(rows, ([place, { number }]) => [place, number]).sort(([a = 0], [b = 0]) => a - b),
    name,
  )
  for (const [place, , version] of found) {
    const expected = rows.get(place)?.version
    assert(expected === undefined || version === expected, `${name}: version ${version}`)
  }
}

export class World {
  readonly #directory: string
  readonly #peer: Peer
  #env: Environment
  #state: State = new Map()
  #receipts: { end: number; state: State }[] = []
  #snapshots: Kept[] = []
  /** The last object of each database, also of those that are gone. */
  readonly #objects = new Map<string, Database<unknown>>()
  /** How often a roll-back has happened, and how often it came too late. */
  readonly rollBacks = { done: 0, trimmed: 0 }

  private constructor(directory: string, peer: Peer, env: Environment) {
    this.#directory = directory
    this.#peer = peer
    this.#env = env
  }

  static async open(directory: string, peer: Peer): Promise<World> {
    const world = new World(directory, peer, await Environment.open(directory, modelOptions))
    await peer.call('open', directory)
    return world
  }

  async close(): Promise<void> {
    for (const { snapshot } of this.#snapshots) snapshot.close()
    await this.#peer.call('close')
    await this.#env.close()
  }

  /** Does a command; one that finds no database to work on does nothing. */
  async run(command: Command): Promise<void> {
    switch (command.do) {
      case 'make':
      case 'clear':
      case 'drop':
        return this.#change(command)
      case 'write':
        return this.#write(command)
      case 'turn':
        return this.#turn(this.#possible(command.writes))
      case 'putMany':
        return this.#putMany(command)
      case 'batch':
        return this.#batch(this.#possible(command.writes))
      case 'atomic':
        return this.#atomic(command)
      case 'transaction':
        return this.#transaction(command)
      case 'disturbed':
        return this.#disturbed(command)
      case 'walk':
        return this.#walk(command)
      case 'get':
        this.#get(kindAt(command.kind))
        return
      case 'look':
        return this.#look(command.peer)
      case 'rollBack':
        return this.#rollBack(command.which)
      case 'reopen':
        return this.#reopen(command.peer)
      default:
        return this.#keep(command)
    }
  }

  async #keep(
    command: Only<'snapshot' | 'lookBack' | 'closeSnapshot' | 'fold' | 'verify' | 'flush'>,
  ) {
    switch (command.do) {
      case 'snapshot':
        if (this.#snapshots.length === mostSnapshots) return
        this.#snapshots.push({ snapshot: this.#env.snapshot(), state: this.#state })
        return
      case 'lookBack':
        return this.#lookBack(command.which, command.walk)
      case 'closeSnapshot':
        this.#closeSnapshot(command.which)
        return
      case 'fold':
        return this.#env.fold()
      case 'flush':
        assert((await this.#env.flush()) >= (this.#receipts.at(-1)?.end ?? 0))
        return
      case 'verify':
        assert.equal((await this.#env.verify()).databases, this.#state.size)
    }
  }

  #rows(kind: Kind): ModelRows | undefined {
    return this.#state.get(kind.name)
  }

  #database({ name, options }: Kind): Database<unknown> {
    const database = this.#env.database<unknown, unknown>(name, { ...options, create: false })
    this.#objects.set(name, database)
    return database
  }

  #possible(writes: readonly Write[]): Write[] {
    return writes.filter(({ kind }) => this.#rows(kindAt(kind)))
  }

  #committed(writes: readonly Write[], end: number): void {
    this.#state = withWrites(this.#state, writes, end)
    this.#receipts.push({ end, state: this.#state })
  }

  async #change({ do: what, kind: i, peer }: Only<'make' | 'clear' | 'drop'>): Promise<void> {
    const kind = kindAt(i)
    if (what === 'make') {
      if (peer) await this.#peer.call('make', i)
      else this.#env.database<unknown, unknown>(kind.name, kind.options)
      this.#state = withDatabase(this.#state, kind.name, this.#rows(kind) ?? new Map())
      return
    }
    if (!this.#rows(kind)) {
      assert.equal(await failureOf(() => this.#database(kind)), 'RL_NOT_FOUND')
      const gone = this.#objects.get(kind.name)
      if (gone) assert.equal(await failureOf(() => gone[what]()), 'RL_DROPPED')
      return
    }
    const database = this.#database(kind)
    if (peer) await this.#peer.call(what, i)
    else await database[what]()
    this.#state = withDatabase(this.#state, kind.name, what === 'clear' ? new Map() : undefined)
  }

  #one({ kind: i, key, number }: Write, options?: object): Promise<Receipt> {
    const kind = kindAt(i)
    const at = kind.keys[placeOf(kind, key)]
    const database = this.#database(kind)
    if (number === undefined) return database.remove(at, options)
    return database.put(at, kind.valueOf(number), options)
  }

  async #write({ write, durability, peer }: Only<'write'>): Promise<void> {
    if (this.#possible([write]).length === 0) return
    if (peer) {
      this.#committed([write], await this.#peer.call('write', [write]))
      return
    }
    const { lsn, end } = await this.#one(write, { durability })
    assert(lsn < end)
    this.#committed([write], end)
  }

  // Without waiting in between: some of them share a record.
  async #turn(writes: Write[]): Promise<void> {
    const receipts = await Promise.all(writes.map((write) => this.#one(write)))
    for (const [i, { end }] of receipts.entries()) {
      assert(end >= (receipts[i - 1]?.end ?? 0))
      this.#state = withWrites(this.#state, writes.slice(i, i + 1), end)
    }
    const last = receipts.at(-1)
    if (last) this.#receipts.push({ end: last.end, state: this.#state })
  }

  async #putMany({ kind: i, writes, peer }: Only<'putMany'>): Promise<void> {
    const kind = kindAt(i)
    if (!this.#rows(kind)) return
    const puts = writes.map(({ key, number = 0 }) => ({ kind: i, key, number }))
    const pairs = puts.map(
      ({ key, number }) => [kind.keys[placeOf(kind, key)], kind.valueOf(number)] as const,
    )
    const end = peer
      ? await this.#peer.call('write', puts)
      : (await this.#database(kind).putMany(pairs)).end
    this.#committed(puts, end)
  }

  async #batch(writes: Write[]): Promise<void> {
    if (writes.length === 0) return
    const { end } = await this.#env.batch((batch) => {
      for (const { kind: i, key, number } of writes) {
        const kind = kindAt(i)
        const at = kind.keys[placeOf(kind, key)]
        if (number === undefined) batch.remove(this.#database(kind), at)
        else batch.put(this.#database(kind), at, kind.valueOf(number))
      }
    })
    this.#committed(writes, end)
  }

  async #atomic({ kind: i, key, atomic }: Only<'atomic'>): Promise<void> {
    const kind = kindAt(i)
    const row = this.#rows(kind)?.get(placeOf(kind, key))
    if (!this.#rows(kind)) return
    const number = await this.#applied(kind, kind.keys[placeOf(kind, key)], row?.number, atomic)
    // These write what was there before, too: a new version of it.
    const rewrites =
      atomic.rule === 'version' ||
      atomic.rule === 'value' ||
      (atomic.rule === 'add' && kind.options.value === 'number')
    if (number === row?.number && !rewrites) return
    this.#state = withWrites(this.#state, [{ kind: i, key, number }])
  }

  // What the row is behind it.
  async #applied(
    kind: Kind,
    at: unknown,
    before: number | undefined,
    atomic: Atomic,
  ): Promise<number | undefined> {
    const database = this.#database(kind)
    const version = database.getEntry(at)?.version ?? 0
    switch (atomic.rule) {
      case 'putIfAbsent': {
        const done = await database.putIfAbsent(at, kind.valueOf(atomic.number))
        assert.equal(done, before === undefined)
        return before ?? atomic.number
      }
      case 'version': {
        const expected = { version: atomic.right ? version : version + 1 }
        const done = await database.compareAndSet(at, expected, kind.valueOf(atomic.number))
        assert.equal(done, atomic.right)
        return done ? atomic.number : before
      }
      case 'value': {
        const expected = { value: kind.valueOf(atomic.right ? (before ?? 0) : 100) }
        const done = await database.compareAndSet(at, expected, kind.valueOf(atomic.number))
        assert.equal(done, atomic.right && before !== undefined)
        return done ? atomic.number : before
      }
      case 'removeIfVersion': {
        const expected = { version: atomic.right ? version : version + 1 }
        const done = await database.compareAndRemove(at, expected)
        assert.equal(done, atomic.right && before !== undefined)
        return done ? undefined : before
      }
      case 'take': {
        const taken = await database.take(at)
        assert.equal(taken === undefined ? undefined : kind.numberOf(taken), before)
        return undefined
      }
      case 'add': {
        const numbers = database as Database<unknown, number>
        if (kind.options.value !== 'number') {
          const code = await failureOf(() => numbers.add(at, atomic.delta))
          assert.equal(code, 'RL_INVALID_ARGUMENT')
          return before
        }
        assert.equal(await numbers.add(at, atomic.delta), (before ?? 0) + atomic.delta)
        return (before ?? 0) + atomic.delta
      }
    }
  }

  async #transaction({ steps, gives, isolation }: Only<'transaction'>): Promise<void> {
    const writes: Write[] = []
    let committed: Promise<Receipt> | undefined
    const work = async (transaction: Transaction) => {
      ;({ committed } = transaction)
      for (const step of steps) await this.#step(transaction, step, writes)
      if (gives === 'abort') throw new GivenUp()
      return steps.length
    }
    const running = this.#env.transaction(work, { isolation })
    if (gives === 'abort') {
      await assert.rejects(running, GivenUp)
      return
    }
    assert.equal(await running, steps.length)
    const receipt = await committed
    assert(receipt)
    if (writes.length > 0) this.#committed(writes, receipt.end)
  }

  async #step(transaction: Transaction, step: Step, writes: Write[]): Promise<void> {
    const { kind: i } = step.step === 'walk' ? step.walk : step.write
    const kind = kindAt(i)
    if (!this.#rows(kind)) return
    const database = this.#database(kind)
    if (step.step === 'walk') {
      const rows = withWrites(this.#state, writes).get(kind.name) ?? new Map<number, never>()
      const found = transaction.keys(database, rangeOptionsOf(step.walk)).toArray()
      assert.deepEqual(placesOf(kind, found), walked(rows, step.walk))
      return
    }
    const at = kind.keys[placeOf(kind, step.write.key)]
    if (step.write.number === undefined) transaction.remove(database, at)
    else transaction.put(database, at, kind.valueOf(step.write.number))
    writes.push(step.write)
    assert.equal(transaction.has(database, at), step.write.number !== undefined)
    await Promise.resolve()
  }

  // Somebody else writes what it has read.
  async #disturbed({ read, write, isolation }: Only<'disturbed'>): Promise<void> {
    const kind = kindAt(read.kind)
    if (!this.#rows(kind)) return
    const at = kind.keys[placeOf(kind, read.key)]
    const before = this.#rows(kind)?.get(placeOf(kind, read.key))?.number
    const disturbance = { ...read, number: (before ?? 0) + 1 }
    const own = this.#possible([write])
    let committed: Promise<Receipt> | undefined
    const work = async (transaction: Transaction) => {
      ;({ committed } = transaction)
      const value = transaction.get(this.#database(kind), at)
      assert.equal(value === undefined ? undefined : kind.numberOf(value), before)
      this.#committed([disturbance], (await this.#one(disturbance)).end)
      for (const one of own) await this.#step(transaction, { step: 'write', write: one }, [])
    }
    const run = () => this.#env.transaction(work, { isolation, retry: false })
    const target = kindAt(write.kind)
    const same = target === kind && placeOf(target, write.key) === placeOf(kind, read.key)
    if (own.length > 0 && (isolation === 'serializable' || same)) {
      assert.equal(await failureOf(run), 'RL_CONFLICT')
      return
    }
    await run()
    const receipt = await committed
    assert(receipt)
    if (own.length > 0) this.#committed(own, receipt.end)
  }

  async #walk({ walk, pick }: Only<'walk'>): Promise<void> {
    const kind = kindAt(walk.kind)
    const rows = this.#rows(kind)
    if (!rows) return
    const database = this.#database(kind)
    const expected = walked(rows, walk)
    const options = rangeOptionsOf(walk)
    const numbers = expected.map((place) => rows.get(place)?.number)
    if (pick === 'count') {
      delete options.reverse
      assert.equal(await database.count({ ...options, exact: true }), expected.length)
    } else if (pick === 'key') {
      assert.deepEqual(placesOf(kind, database.keys(options).toArray()), expected)
    } else if (pick === 'value') {
      assert.deepEqual(database.values(options).toArray().map(kind.numberOf), numbers)
    } else {
      const found = database.range(options).toArray()
      const keys = found.map(({ key }) => key)
      assert.deepEqual(placesOf(kind, keys), expected)
      assert.deepEqual(
        found.map(({ value }) => kind.numberOf(value)),
        numbers,
      )
    }
  }

  #get(kind: Kind): void {
    const rows = this.#rows(kind)
    if (rows) compareRows(kind, foundIn(kind, this.#database(kind)), rows)
  }

  async #look(peer: boolean): Promise<void> {
    const names = Array.from(this.#state.keys()).sort()
    const found = peer ? await this.#peer.call('look') : this.#lookHere()
    assert.deepEqual(
      found.map(([name]) => name),
      names,
    )
    for (const [name, rows] of found) {
      const kind = this.#kindOf(name)
      compareRows(kind, rows, this.#rows(kind) ?? new Map<number, never>())
    }
  }

  #lookHere(): (readonly [string, FoundRow[]])[] {
    return this.#env.databases().map(({ name }) => {
      const kind = this.#kindOf(name)
      return [name, foundIn(kind, this.#database(kind))] as const
    })
  }

  #kindOf(name: string): Kind {
    const kind = [0, 1, 2].map(kindAt).find((one) => one.name === name)
    assert(kind, `a database ${name} that nobody has made`)
    return kind
  }

  async #lookBack(which: number, walk: Walk): Promise<void> {
    const kept = this.#snapshots[which % this.#snapshots.length]
    const kind = kindAt(walk.kind)
    const database = this.#objects.get(kind.name)
    if (!kept || !database) return
    const { snapshot, state } = kept
    const rows = state.get(kind.name)
    if (!rows) {
      const code = await failureOf(() => snapshot.get(database, kind.keys[0]))
      assert(code === 'RL_NOT_FOUND' || code === 'RL_DROPPED', code)
      return
    }
    const keys = snapshot.keys(database, rangeOptionsOf(walk)).toArray()
    assert.deepEqual(placesOf(kind, keys), walked(rows, walk))
    const found = kind.keys.flatMap((key, place): FoundRow[] => {
      const entry = snapshot.getEntry(database, key)
      return entry ? [[place, kind.numberOf(entry.value), entry.version]] : []
    })
    compareRows(kind, found, rows)
  }

  #closeSnapshot(which: number): void {
    const [kept] = this.#snapshots.splice(which % Math.max(this.#snapshots.length, 1), 1)
    kept?.snapshot.close()
  }

  async #rollBack(which: number): Promise<void> {
    const receipt = this.#receipts[which % this.#receipts.length]
    if (!receipt) return
    const { end, state } = receipt
    try {
      await this.#env.rollBack(end)
    } catch (error) {
      if (!(error instanceof RingleaderError) || error.code !== 'RL_TRIMMED') throw error
      assert(error.fate === 'none' && this.#env.stat().applied > end)
      this.rollBacks.trimmed += 1
      return
    }
    this.rollBacks.done += 1
    this.#state = state
    this.#receipts = this.#receipts.filter((one) => one.end <= end)
  }

  async #reopen(peer: Only<'reopen'>['peer']): Promise<void> {
    for (const { snapshot } of this.#snapshots) snapshot.close()
    this.#snapshots = []
    this.#objects.clear()
    if (peer === 'dies') await this.#peer.kill()
    if (peer === 'closes') await this.#peer.call('close')
    await this.#env.close()
    this.#env = await Environment.open(this.#directory, modelOptions)
    if (peer !== 'stays') await this.#peer.call('open', this.#directory)
  }
}
