// Reads of one environment: keys go to the addon, and values come back, through memory that both
// sides see (native/binding/store_reader.h). No call makes an object for the other side.
//
// Slot 0 is for reads that stand alone: each sees whatever was committed before it. Slot 1 is the
// same for environments whose reads see what the group has committed. The addon lets go of what it
// has mapped for them at the end of the turn.
//
// A walk leaves the rows of a batch in the shared memory and takes them from there one by one; who
// needs the memory in between has the walk save them first.
import type { NativeReads, NativeStore } from './binding.js'
import { currentId, type Catalogue, type Table } from './catalogue.js'
import type { CommitPipeline } from './commit-pipeline.js'
import { valueRoom, writeValue } from './encodings.js'
import { RingleaderError } from './errors.js'
import type { ReadLevel } from './environment-options.js'
import { checkNoKeyTurn } from './key-turn.js'
import { maxKeyBytes } from './limits.js'

export const prefixBytes = 4

// What calls give instead of a length or count.
const none = -1
const stale = -2
const tooLarge = -3

const rangeReverse = 1
const rangeKeysOnly = 2

const maxWordRows = 4096

/** A walk whose rows lie in the shared memory. */
export interface ValuesHolder {
  /** Somebody else is about to use it. */
  saveValues(): void
}

/** A view that may be forgotten by whoever holds it. */
export interface ForgettableView {
  readonly ended: boolean
  releaseWhenCollected(): void
}

/** What is read from: a slot, and the ids that databases have in it. */
export interface ReadSource {
  /** Throws where it has ended. */
  readonly slot: number
  idOf(table: Table): number
}

/** A value with the version of its row. */
export interface Entry<V> {
  value: V
  /** Position in the log at which the transaction ends that wrote it. */
  version: number
}

/** A batch of a walk, in shared memory. */
export interface RowBatch {
  rows: number
  /** There are rows behind it. */
  more: boolean
  bytes: number
}

const durableSlot = 1

const viewLevels = { local: 0, durable: 1 } as const satisfies Record<ReadLevel, number>

// Reads that stand alone, of what the group has committed. The catalogue may be ahead of that.
class DurableSource implements ReadSource {
  readonly #native: NativeStore
  readonly #catalogue: Catalogue
  readonly #progress: CommitPipeline

  constructor(native: NativeStore, catalogue: Catalogue, progress: CommitPipeline) {
    this.#native = native
    this.#catalogue = catalogue
    this.#progress = progress
  }

  get slot(): number {
    if (this.#progress.closed) throw this.#progress.closedError()
    return durableSlot
  }

  /** The slot is renewed, and stays as it is until the next call. */
  idOf(table: Table): number {
    if (this.#progress.closed) throw this.#progress.closedError()
    let renewed = this.#native.reads.renew()
    while (renewed === stale) {
      this.#catalogue.refresh()
      renewed = this.#native.reads.renew()
    }
    const id = currentId(table)
    if (renewed === 1) return id
    return this.#native.findDatabase(durableSlot, table.name) || id
  }
}

// Reads that stand alone.
class AloneSource implements ReadSource {
  readonly #progress: CommitPipeline

  constructor(progress: CommitPipeline) {
    this.#progress = progress
  }

  get slot(): number {
    if (this.#progress.closed) throw this.#progress.closedError()
    return 0
  }

  idOf(table: Table): number {
    return currentId(table)
  }
}

export class StoreReads {
  readonly #store: NativeStore
  readonly #native: NativeReads
  readonly #durable: boolean
  readonly #catalogue: Catalogue
  readonly #progress: CommitPipeline
  readonly #keys: Buffer
  readonly #numbers: Float64Array
  readonly values: Buffer
  readonly words: Int32Array
  readonly alone: ReadSource
  #prefixId = -1 // the id that stands at the start of #keys
  #holder: ValuesHolder | undefined
  #held = false // slot 0 is to be released at the end of this turn

  #begun: ForgettableView[] = [] // in this turn

  readonly #guardBegun = () => {
    const begun = this.#begun
    this.#begun = []
    if (this.#progress.closed) return // which ends them all
    for (const view of begun) if (!view.ended) view.releaseWhenCollected()
  }

  readonly #releaseAlone = () => {
    this.#held = false
    this.#native.release(this.#durable ? durableSlot : 0)
  }

  /** `level`: of reads that stand alone. */
  constructor(
    store: NativeStore,
    catalogue: Catalogue,
    progress: CommitPipeline,
    level: ReadLevel,
  ) {
    const { reads, memory } = store
    this.#store = store
    this.#durable = level === 'durable'
    this.#native = reads
    this.#catalogue = catalogue
    this.#progress = progress
    this.#keys = Buffer.from(memory.keys)
    this.#numbers = new Float64Array(memory.numbers)
    this.values = Buffer.from(memory.values)
    this.words = new Int32Array(memory.words)
    this.alone = this.#durable
      ? new DurableSource(store, catalogue, progress)
      : new AloneSource(progress)
  }

  // The row key; how many bytes it has.
  #writeKey(source: ReadSource, table: Table, key: unknown): number {
    const id = source.idOf(table)
    const end = table.keys.write(key, this.#keys, prefixBytes)
    // Not before: a key that is refused may have been met while another one is written here.
    if (id !== this.#prefixId) {
      this.#keys.writeUInt32BE(id)
      this.#prefixId = id
    }
    return end
  }

  // Before every read: of those that stand alone, and of values in the shared memory.
  #hold(source: ReadSource): void {
    if (!this.#held && source === this.alone) {
      this.#held = true
      setImmediate(this.#releaseAlone)
    }
    if (this.#holder !== undefined) this.#takeValues(undefined)
  }

  #takeValues(holder: ValuesHolder | undefined): void {
    const before = this.#holder
    this.#holder = holder
    if (before !== holder) before?.saveValues()
  }

  /** A walk has given all its rows. */
  forget(holder: ValuesHolder): void {
    if (this.#holder === holder) this.#holder = undefined
  }

  get(source: ReadSource, table: Table, key: unknown): unknown {
    const keyBytes = this.#writeKey(source, table, key)
    this.#hold(source)
    const found = this.#native.get(source.slot, keyBytes)
    if (found >= 0) return table.values.read(this.values, 0, found)
    if (found === none) return undefined
    if (found === tooLarge) return this.#readLarge(source, table, keyBytes)
    this.#catalogue.refresh()
    return this.get(source, table, key)
  }

  #readLarge(source: ReadSource, table: Table, keyBytes: number): unknown {
    const bytes = this.#native.getLarge(source.slot, keyBytes)
    return bytes && table.values.read(Buffer.from(bytes), 0, bytes.byteLength)
  }

  getEntry(source: ReadSource, table: Table, key: unknown): Entry<unknown> | undefined {
    const value = this.get(source, table, key)
    return value === undefined ? undefined : { value, version: this.#numbers[0] ?? 0 }
  }

  /** Copies the bytes of a value; their number. */
  getInto(source: ReadSource, table: Table, key: unknown, into: Uint8Array): number | undefined {
    const keyBytes = this.#writeKey(source, table, key)
    this.#hold(source)
    const found = this.#native.getInto(source.slot, keyBytes, into)
    if (found >= 0) return found
    if (found === none) return undefined
    if (found === tooLarge) {
      const needed = this.#numbers[1] ?? 0
      throw new RingleaderError('RL_TOO_LARGE', `into: the value has ${needed} bytes`)
    }
    this.#catalogue.refresh()
    return this.getInto(source, table, key, into)
  }

  has(source: ReadSource, table: Table, key: unknown): boolean {
    const keyBytes = this.#writeKey(source, table, key)
    this.#hold(source)
    const found = this.#native.has(source.slot, keyBytes)
    if (found >= 0) return found > 0
    this.#catalogue.refresh()
    return this.has(source, table, key)
  }

  getMany(source: ReadSource, table: Table, keys: readonly unknown[]): unknown[] {
    const values: unknown[] = []
    while (values.length < keys.length) this.#getSome(source, table, keys, values)
    return values
  }

  // As many as there is room for, of keys and of values.
  #getSome(source: ReadSource, table: Table, keys: readonly unknown[], values: unknown[]): void {
    const first = values.length
    const id = source.idOf(table)
    this.#prefixId = -1
    let count = 0
    let at = 0
    const lastStart = this.#keys.length - 2 - prefixBytes - maxKeyBytes
    while (first + count < keys.length && count < maxWordRows && at <= lastStart) {
      const end = table.keys.write(keys[first + count], this.#keys, at + 2 + prefixBytes)
      this.#keys.writeUInt16LE(end - at - 2, at)
      this.#keys.writeUInt32BE(id, at + 2)
      at = end
      count += 1
    }
    this.#hold(source)
    const done = this.#native.getMany(source.slot, count)
    if (done === stale) {
      this.#catalogue.refresh()
      return
    }
    let from = 0
    for (let i = 0; i < done; i += 1) {
      const length = this.words[i] ?? none
      if (length >= 0) {
        values.push(table.values.read(this.values, from, from + length))
        from += length
      } else {
        values.push(undefined)
      }
    }
    for (let i = 0; i < done; i += 1) {
      if (this.words[i] !== tooLarge) continue
      const keyBytes = this.#writeKey(source, table, keys[first + i])
      values[first + i] = this.#readLarge(source, table, keyBytes)
    }
  }

  /** Rows in [low, high), which are row keys, into the shared memory for `holder`. */
  range(
    slot: number,
    low: Uint8Array,
    high: Uint8Array,
    { reverse, keysOnly, limit }: { reverse: boolean; keysOnly: boolean; limit: number },
    holder: ValuesHolder,
  ): RowBatch {
    checkNoKeyTurn()
    this.#prefixId = -1
    this.#keys.set(low)
    this.#keys.set(high, low.length)
    this.#takeValues(holder)
    const flags = (reverse ? rangeReverse : 0) | (keysOnly ? rangeKeysOnly : 0)
    const most = Math.min(limit, maxWordRows)
    const rows = this.#native.range(slot, low.length, high.length, flags, most)
    return { rows, more: this.#numbers[0] === 1, bytes: this.#numbers[1] ?? 0 }
  }

  /** The value of a row that a walk has met and that was too large for the shared memory. */
  largeValue(slot: number, rowKey: Uint8Array): Buffer {
    this.#prefixId = -1
    this.#keys.set(rowKey)
    return Buffer.from(this.#native.getLarge(slot, rowKey.length) ?? new ArrayBuffer(0))
  }

  /** Position of the view, or of the transaction, that was opened last. */
  get openedLsn(): number {
    return this.#numbers[0] ?? 0
  }

  /**
   * A view of its own, taken in the catalogue's present state; its slot. Default: as reads that
   * stand alone.
   */
  openView(level: ReadLevel = this.#durable ? 'durable' : 'local'): number {
    for (;;) {
      const slot = this.#native.openView(viewLevels[level])
      if (slot >= 0) return slot
      this.#catalogue.refresh()
    }
  }

  /** The id of a table for a view that `openView` has opened by default. */
  idIn(slot: number, table: Table): number {
    if (!this.#durable) return this.alone.idOf(table)
    return this.#store.findDatabase(slot, table.name) || currentId(table)
  }

  /** The ids of all tables are those of now. */
  settleIds(): void {
    this.release(this.openView('local'))
  }

  /** A transaction; `ticket` of a reservation, 0 without. Its slot. */
  begin(isolation: number, ticket: number): number {
    for (;;) {
      this.#numbers[2] = ticket
      const slot = this.#native.begin(isolation)
      if (slot >= 0) return slot
      this.#catalogue.refresh()
    }
  }

  release(slot: number): void {
    this.#native.release(slot)
  }

  /** An object whose end releases the slot. */
  guard(slot: number): unknown {
    return this.#native.guard(slot)
  }

  /** A guard costs more than a short transaction: only what outlives its turn gets one. */
  guardLater(view: ForgettableView): void {
    if (this.#begun.push(view) === 1) setImmediate(this.#guardBegun)
  }

  /** Puts a row in a transaction. */
  put(source: ReadSource, table: Table, key: unknown, value: unknown): void {
    const prepared = table.values.prepare(value)
    const keyBytes = this.#writeKey(source, table, key)
    const end = writeValue(prepared, this.#keys, keyBytes)
    if (end >= 0) {
      this.#native.put(source.slot, keyBytes, end - keyBytes)
      return
    }
    const large = Buffer.allocUnsafe(valueRoom(prepared))
    this.#native.putLarge(source.slot, keyBytes, large.subarray(0, writeValue(prepared, large, 0)))
  }

  /** Removes a row in a transaction. */
  remove(source: ReadSource, table: Table, key: unknown): void {
    this.#native.remove(source.slot, this.#writeKey(source, table, key))
  }
}
