// A database as an object: checks arguments, then hands on.
import { types } from 'node:util'

import type { AtomicRequest } from './atomic-bytes.js'
import { currentId, type DatabaseInfo, type Table } from './catalogue.js'
import type { AtomicOutcome } from './commit-pipeline.js'
import type { KeyEncoding, ValueEncoding } from './encodings.js'
import type { EnvironmentContext } from './environment-context.js'
import {
  checkCountOptions,
  checkRangeOptions,
  checkWriteOptions,
  type CountOptions,
  type RangeOptions,
  type WriteOptions,
} from './environment-options.js'
import { checkNotNew, invalidArgument } from './errors.js'
import { rowKeyRange } from './key-range.js'
import { OperationList } from './operation-bytes.js'
import { asOptions, checkPosition, checkRow, isTakenAway, refuse } from './options.js'
import type { Receipt } from './receipt.js'
import { Range, type Pick, type RangeSource, type Row } from './range.js'
import type { Entry } from './store-reads.js'

/** What a row has to be for a compareAndSet: its version (0: no row), or its value. */
export type Expected<V> = { version: number } | { value: V }

/** The table of a database of this environment; RL_INVALID_ARGUMENT for anything else. */
export let tableWithin: (database: unknown, context: EnvironmentContext) => Table

/** What the objects of its environment share; RL_INVALID_ARGUMENT for anything but a database. */
export let contextOfDatabase: (database: unknown) => EnvironmentContext

/**
 * A named, ordered map of keys to values inside an environment. Made by `Environment.database`.
 *
 * Reads are synchronous. Each sees whatever anybody has committed before it, at whatever
 * durability; a `put` of this turn of the event loop is committed at the turn's end. A read of what
 * is not in memory waits for the disk.
 *
 * Writes are committed at the end of the turn in the order of the calls, and are visible to all
 * processes from then on. Their promises resolve, with a receipt, when the durability asked for is
 * reached (default: the environment's).
 *
 * They reject with fate `none` with RL_TOO_LARGE (a key over 1,978 bytes, a value over 1 GiB),
 * RL_DROPPED, RL_NO_SPACE, RL_NOT_PRIMARY, RL_NO_GROUP (copies are asked for where there is no
 * group) or RL_FAILED (an earlier flush failed). They reject with fate `unknown` with RL_FAILED
 * where the flush of this very commit failed, with RL_ROLLED_BACK, with RL_TIMEOUT where copies
 * have not been acknowledged in time, and with RL_CLOSED where they were still waited for.
 *
 * Any method can fail with RL_CLOSED once the environment is closed, with RL_DROPPED once the
 * database is dropped, with RL_INVALID_ARGUMENT for a key or value that its encoding does not take,
 * and reads with RL_CORRUPTION and RL_BUSY (too many readers), all with fate `none`.
 */
export class Database<K = string, V = unknown> {
  readonly #context: EnvironmentContext
  readonly #table: Table
  readonly #source: RangeSource

  /** For Environment.database. */
  constructor(context: EnvironmentContext, table: Table) {
    checkNotNew(context, 'Database', 'Environment.database')
    this.#context = context
    this.#table = table
    this.#source = { reads: context.reads, view: undefined }
  }

  static {
    tableWithin = (database, context) => {
      const ours =
        typeof database === 'object' &&
        database !== null &&
        #context in database &&
        database.#context === context
      if (!ours) throw refuse('database', 'a database of this environment', database)
      return database.#table
    }
    contextOfDatabase = (database) => {
      if (typeof database === 'object' && database !== null && #context in database) {
        return database.#context
      }
      throw refuse('database', 'a database or an environment', database)
    }
  }

  get name(): string {
    return this.#table.name
  }

  get keyEncoding(): KeyEncoding {
    return this.#table.key
  }

  get valueEncoding(): ValueEncoding {
    return this.#table.value
  }

  /** Name and encodings, as `Environment.databases` lists them. */
  get info(): DatabaseInfo {
    const { name, key, value } = this.#table
    return { name, key, value }
  }

  /** The value of a key; undefined where there is none. */
  get(key: K): V | undefined {
    const { reads } = this.#context
    return reads.get(reads.alone, this.#table, key) as V | undefined
  }

  /** The value of a key, and its version for compareAndSet. */
  getEntry(key: K): Entry<V> | undefined {
    const { reads } = this.#context
    return reads.getEntry(reads.alone, this.#table, key) as Entry<V> | undefined
  }

  /**
   * Copies the stored bytes of a value to the beginning of a buffer, whatever the encoding, and
   * gives their number; undefined where there is no such key. Throws RL_TOO_LARGE, saying what is
   * needed, where the buffer is too short.
   */
  getInto(key: K, into: Uint8Array): number | undefined {
    const { reads } = this.#context
    return reads.getInto(reads.alone, this.#table, key, checkBuffer(into))
  }

  /**
   * The values of many keys, in their order, each as `get` has it. Faster than as many calls; what
   * others commit in between may be seen in part, as with as many calls.
   */
  getMany(keys: Iterable<K>): (V | undefined)[] {
    const { reads } = this.#context
    const list = checkIterable(keys, 'keys')
    return reads.getMany(reads.alone, this.#table, list) as (V | undefined)[]
  }

  has(key: K): boolean {
    const { reads } = this.#context
    return reads.has(reads.alone, this.#table, key)
  }

  /**
   * The rows of a range, in the order of the keys. Each loop over it is one walk over one moment's
   * rows, whatever is written meanwhile; it begins with the loop. Leaving the loop ends it.
   */
  range(options?: RangeOptions<K>): Range<Row<K, V>> {
    return this.#range(options, 'row')
  }

  /** The keys of a range. */
  keys(options?: RangeOptions<K>): Range<K> {
    return this.#range(options, 'key')
  }

  /** The values of a range. */
  values(options?: RangeOptions<K>): Range<V> {
    return this.#range(options, 'value')
  }

  #range<T>(options: unknown, pick: Pick): Range<T> {
    this.#context.pipeline.checkOpen()
    return new Range<T>(this.#source, this.#table, checkRangeOptions(options), pick)
  }

  [Symbol.iterator](): IterableIterator<Row<K, V>> {
    return this.range()[Symbol.iterator]()
  }

  /** Puts a row in the place of whatever is there. */
  put(key: K, value: V, options?: WriteOptions): Promise<Receipt> {
    try {
      const { pipeline } = this.#context
      pipeline.checkOpen()
      const level = checkWriteOptions(options, pipeline.levels)
      return pipeline.put(this.#table, key, value, level)
    } catch (error) {
      return rejected(error)
    }
  }

  /** Removes a row; one that is not there is no error. */
  remove(key: K, options?: WriteOptions): Promise<Receipt> {
    try {
      const { pipeline } = this.#context
      pipeline.checkOpen()
      const level = checkWriteOptions(options, pipeline.levels)
      return pipeline.remove(this.#table, key, level)
    } catch (error) {
      return rejected(error)
    }
  }

  /** Puts many rows, all or none of them: for example a Map. Less than 4 GiB together. */
  putMany(rows: Iterable<readonly [K, V]>, options?: WriteOptions): Promise<Receipt> {
    try {
      const { pipeline } = this.#context
      pipeline.checkOpen()
      const level = checkWriteOptions(options, pipeline.levels)
      const operations = new OperationList()
      for (const row of checkIterable(rows, 'rows')) {
        const [key, value] = checkRow(row)
        operations.put(this.#table, key, value)
      }
      return pipeline.batch(operations, level)
    } catch (error) {
      return rejected(error)
    }
  }

  /** Puts a row where there is none; whether it has. */
  async putIfAbsent(key: K, value: V, options?: WriteOptions): Promise<boolean> {
    return (await this.#atomic({ kind: 'putIfAbsent', key, value }, options)).done
  }

  /**
   * Puts a value where the row is as expected: `{ version }` as getEntry has given it, 0 where
   * there must be no row, or `{ value }`, compared by its encoded bytes. Whether it has.
   */
  async compareAndSet(
    key: K,
    expected: Expected<V>,
    value: V,
    options?: WriteOptions,
  ): Promise<boolean> {
    const given = asOptions(expected, 'expected', ['version', 'value'])
    if ('version' in given === 'value' in given) {
      throw invalidArgument('expected: either { version } or { value }')
    }
    const request: AtomicRequest =
      'version' in given
        ? { kind: 'putIfVersion', key, value, version: checkVersion(given.version) }
        : { kind: 'putIfValue', key, value, expected: given.value }
    return (await this.#atomic(request, options)).done
  }

  /** Removes a row where it has this version; whether it has. */
  async compareAndRemove(
    key: K,
    expected: { version: number },
    options?: WriteOptions,
  ): Promise<boolean> {
    const { version } = asOptions(expected, 'expected', ['version'])
    const request = { kind: 'removeIfVersion', key, version: checkVersion(version) } as const
    return (await this.#atomic(request, options)).done
  }

  /** Removes a row and gives the value that it had; undefined where there was none. */
  async take(key: K, options?: WriteOptions): Promise<V | undefined> {
    const { before } = await this.#atomic({ kind: 'take', key }, options)
    return before && (this.#table.values.read(before, 0, before.length) as V)
  }

  /**
   * Adds to a number, of a database with `value: 'number'`, and gives the sum; where there is no
   * row, 0 is added to. Rejects with RL_INVALID_ARGUMENT where the sum is not a number.
   */
  async add(
    this: Database<K, number>,
    key: K,
    delta: number,
    options?: WriteOptions,
  ): Promise<number> {
    if (this.#table.value !== 'number') {
      throw invalidArgument(`add: values of database ${this.name} are ${this.#table.value}`)
    }
    if (typeof delta !== 'number' || Number.isNaN(delta)) throw refuse('delta', 'a number', delta)
    return (await this.#atomic({ kind: 'add', key, delta }, options)).sum
  }

  // One operation that cannot be disturbed: its condition is looked at when it is committed.
  #atomic(request: AtomicRequest, options: unknown): Promise<AtomicOutcome> {
    const { pipeline } = this.#context
    pipeline.checkOpen()
    return pipeline.atomic(this.#table, request, checkWriteOptions(options, pipeline.levels))
  }

  /**
   * The number of rows, or of those of a range. Default: an estimate, which counts a row that has
   * been written several times lately as often, and is exact when everything is in the base tree
   * (`Environment.fold`). With `exact`, or a range: counted one by one, off the JavaScript thread.
   */
  async count(options?: CountOptions & RangeOptions<K>): Promise<number> {
    const { native, pipeline, reads } = this.#context
    pipeline.checkOpen()
    const { exact, ...bounds } = asOptions(options, 'options', countNames)
    const walks = checkCountOptions({ exact })
    const checked = checkRangeOptions(bounds)
    reads.settleIds()
    const id = currentId(this.#table)
    if (!walks && Object.keys(bounds).length === 0) return native.countEstimate(id)
    const { low, high } = rowKeyRange(this.#table, id, checked)
    if (low.compare(high) >= 0) return 0
    return Math.min(checked.limit, await native.countRows(low, high))
  }

  /**
   * Removes all rows, at once for everybody. Durable when it resolves. Writes made before are
   * among them; snapshots and walks keep what they see.
   */
  async clear(): Promise<void> {
    await this.#change((name) => this.#context.native.clearDatabase(name))
  }

  /**
   * Removes the database, at once for everybody. Durable when it resolves. This object, and those
   * of other threads and processes, then fail with RL_DROPPED until somebody makes one of this name
   * with the same encodings.
   */
  async drop(): Promise<void> {
    await this.#change((name) => this.#context.native.dropDatabase(name))
  }

  async #change(change: (name: string) => Promise<void>): Promise<void> {
    const { pipeline, catalogue } = this.#context
    pipeline.checkOpen()
    currentId(this.#table)
    await pipeline.drained()
    pipeline.checkOpen()
    try {
      await change(this.name)
    } finally {
      if (!pipeline.closed) catalogue.refresh()
    }
  }
}

const countNames = ['exact', 'gt', 'gte', 'lt', 'lte', 'prefix', 'limit'] as const

const checkVersion = (version: unknown): number => checkPosition(version, 'version')

const checkBuffer = (into: unknown): Uint8Array => {
  if (types.isUint8Array(into) && !types.isSharedArrayBuffer(into.buffer) && !isTakenAway(into)) {
    return into
  }
  throw refuse('into', 'a Uint8Array that is not shared', into)
}

const checkIterable = <T>(items: Iterable<T>, name: string): readonly T[] => {
  if (Array.isArray(items)) return items as readonly T[]
  const given: unknown = items
  if (typeof given === 'object' && given !== null && Symbol.iterator in given) {
    return Array.from(items)
  }
  throw refuse(name, 'an iterable', items)
}

export const rejected = (error: unknown): Promise<never> =>
  Promise.reject(error instanceof Error ? error : new Error(String(error)))
