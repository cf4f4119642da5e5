// Walks over the rows of a database.
//
// Rows come in batches, the first one small, the others larger; what is taken from a batch is
// decoded when it is taken. A walk that stands alone reads from one view from its first row to its
// last. A walk that ends with its first batch needs no view after that; another one holds it until
// it is at its end, or is told to return, or is collected.
import type { Table } from './catalogue.js'
import type { CheckedRangeOptions } from './environment-options.js'
import { checkNotNew } from './errors.js'
import { rowKeyBehind, rowKeyRange, type RowKeyRange } from './key-range.js'
import { prefixBytes, type ReadSource, type StoreReads, type ValuesHolder } from './store-reads.js'

const firstBatch = 32
const batchGrowth = 8
const largestBatch = 4096
const tooLarge = -3

/** A row as a walk gives it. */
export interface Row<K, V> {
  key: K
  value: V
}

export type Pick = 'row' | 'key' | 'value'

/** What a walk reads from: views of its own, or one that somebody else holds. */
export interface RangeSource {
  reads: StoreReads
  view: HeldSource | undefined
}

/** The view of a snapshot or transaction. */
export interface HeldSource extends ReadSource {
  /** Throws where it has ended. */
  checkOpen(): void
}

/**
 * The rows of a walk, which begins anew with every loop over it. Reads nothing before that.
 */
export class Range<T> implements Iterable<T> {
  readonly #start: () => RangeIterator<T>

  constructor(source: RangeSource, table: Table, options: CheckedRangeOptions, pick: Pick) {
    checkNotNew(source, 'Range', 'Database.range')
    this.#start = () => new RangeIterator<T>(source, table, options, pick)
    // Refused at once rather than at the first row: what cannot be a bound.
    rowKeyRange(table, 0, options)
  }

  [Symbol.iterator](): RangeIterator<T> {
    return this.#start()
  }

  /** All of it. */
  toArray(): T[] {
    return Array.from(this)
  }
}

/** One walk. Leaving a loop early ends it; so does `return`. */
export class RangeIterator<T> implements IterableIterator<T, undefined>, ValuesHolder {
  readonly #source: RangeSource
  readonly #table: Table
  readonly #options: CheckedRangeOptions
  readonly #pick: Pick
  #bounds: RowKeyRange | undefined
  #slot = -1 // of its own view, while it has one
  #guard: unknown // releases it when the walk is collected
  #left: number // rows until the limit
  #more = true // there may be rows behind the batch
  #batchRows = firstBatch

  // The batch at hand: rows from #row on, of which the bytes begin at #at.
  #bytes: Buffer
  #words: Int32Array
  #rows = 0
  #row = 0
  #at = 0
  #large: Buffer | undefined // the last value of the batch, where it came by itself

  constructor(source: RangeSource, table: Table, options: CheckedRangeOptions, pick: Pick) {
    this.#source = source
    this.#table = table
    this.#options = options
    this.#pick = pick
    this.#left = options.limit
    this.#bytes = source.reads.values
    this.#words = source.reads.words
  }

  [Symbol.iterator](): this {
    return this
  }

  next(): IteratorResult<T, undefined> {
    if (this.#row === this.#rows) {
      if (!this.#more || this.#left === 0) return this.return()
      this.#fill()
      if (this.#rows === 0) return this.return()
    } else {
      this.#source.view?.checkOpen()
    }
    return { value: this.#take(), done: false }
  }

  /** Ends the walk. */
  return(): IteratorResult<T, undefined> {
    this.#more = false
    this.#row = this.#rows
    this.#release()
    this.#source.reads.forget(this)
    return { value: undefined, done: true }
  }

  #release(): void {
    if (this.#slot < 0) return
    this.#source.reads.release(this.#slot)
    this.#slot = -1
    this.#guard = undefined
  }

  #take(): T {
    const word = 2 * this.#row
    const keyEnd = this.#at + (this.#words[word] ?? 0)
    const valueBytes = this.#words[word + 1] ?? 0
    const bytes = this.#bytes
    const from = this.#at
    const { keys, values } = this.#table
    this.#row += 1
    this.#at = valueBytes === tooLarge ? keyEnd : keyEnd + valueBytes
    if (this.#pick === 'key') return keys.read(bytes, from, keyEnd) as T
    const value =
      valueBytes === tooLarge
        ? values.read(this.#large ?? bytes, 0, this.#large?.length ?? 0)
        : values.read(bytes, keyEnd, this.#at)
    if (this.#pick === 'value') return value as T
    return { key: keys.read(bytes, from, keyEnd), value } as T
  }

  saveValues(): void {
    if (this.#row === this.#rows) return
    this.#bytes = Buffer.from(this.#bytes.subarray(this.#at, this.#endOfBatch()))
    this.#words = this.#words.slice(2 * this.#row, 2 * this.#rows)
    this.#rows -= this.#row
    this.#row = 0
    this.#at = 0
  }

  #endOfBatch(): number {
    let end = this.#at
    for (let word = 2 * this.#row; word < 2 * this.#rows; word += 1) {
      end += Math.max(this.#words[word] ?? 0, 0)
    }
    return end
  }

  #fill(): void {
    const { reads, view: given } = this.#source
    if (given === undefined && this.#slot < 0) this.#slot = reads.openView()
    const slot = given?.slot ?? this.#slot
    const table = this.#table
    this.#bounds ??= rowKeyRange(
      table,
      given?.idOf(table) ?? reads.idIn(slot, table),
      this.#options,
    )
    try {
      this.#fillFrom(slot, this.#bounds)
    } catch (error) {
      this.return()
      throw error
    }
    if (this.#more && this.#slot >= 0) this.#guard = this.#guard ?? reads.guard(this.#slot)
    if (!this.#more) this.#release()
  }

  #fillFrom(slot: number, bounds: RowKeyRange): void {
    const { reads } = this.#source
    const { reverse } = this.#options
    const keysOnly = this.#pick === 'key'
    const limit = Math.min(this.#left, this.#batchRows)
    this.#rows = this.#row = this.#at = 0
    if (bounds.low.compare(bounds.high) >= 0) {
      this.#more = false
      return
    }
    const batch = reads.range(slot, bounds.low, bounds.high, { reverse, keysOnly, limit }, this)
    this.#bytes = reads.values
    this.#words = reads.words
    this.#rows = batch.rows
    this.#more = batch.more
    this.#left -= batch.rows
    if (this.#left === 0) this.#more = false
    this.#batchRows = Math.min(this.#batchRows * batchGrowth, largestBatch)
    if (batch.rows === 0) return
    const last = 2 * (batch.rows - 1)
    const valueBytes = this.#words[last + 1] ?? 0
    const keyEnd = batch.bytes - Math.max(valueBytes, 0)
    const rowKey = Buffer.concat([
      bounds.low.subarray(0, prefixBytes),
      this.#bytes.subarray(keyEnd - (this.#words[last] ?? 0), keyEnd),
    ])
    if (this.#more) {
      if (reverse) bounds.high = rowKey
      else bounds.low = rowKeyBehind(rowKey)
    }
    this.#large = valueBytes === tooLarge ? reads.largeValue(slot, rowKey) : undefined
  }
}
