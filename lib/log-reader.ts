// Walks over a log: batches come from the addon, entries go out one by one.
import type { NativeBatch, NativeReader } from './binding.js'
import type { LogEntry } from './log-entry.js'
import { typeNumbers, type EntryType } from './options.js'

const numbersPerEntry = 7

const typeNames = new Map<number, EntryType>(
  Object.entries(typeNumbers).map(([name, number]) => [number, name as EntryType]),
)

/** Ends at what was the visible end when it got there. Not to be shared by concurrent loops. */
export class LogIterator implements AsyncIterableIterator<LogEntry, undefined> {
  #reader: NativeReader | undefined
  readonly #batchBytes: number
  #batch: NativeBatch = { bytes: new ArrayBuffer(0), entries: new Float64Array(0) }
  #next = 0 // number in batch.entries
  #offset = 0 // in batch.bytes
  #filling: Promise<void> | undefined

  constructor(reader: NativeReader, batchBytes: number) {
    this.#reader = reader
    this.#batchBytes = batchBytes
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** The next entry, from memory or with one read; calls may overlap. */
  next(): Promise<IteratorResult<LogEntry, undefined>> {
    if (this.#filling) return this.#filling.then(() => this.next())
    const entry = this.#take()
    if (entry) return Promise.resolve({ value: entry, done: false })
    if (!this.#reader) return Promise.resolve({ value: undefined, done: true })
    this.#filling = this.#fill(this.#reader)
    return this.#filling.then(() => this.next())
  }

  /** Gives up the rest, without waiting for a read that is under way. */
  return(): Promise<IteratorResult<LogEntry, undefined>> {
    this.#end()
    return Promise.resolve({ value: undefined, done: true })
  }

  async #fill(reader: NativeReader): Promise<void> {
    try {
      const batch = await reader.next(this.#batchBytes)
      if (this.#reader === undefined) return // return() was called
      if (batch.entries.length === 0) this.#end()
      else this.#start(batch)
    } catch (error) {
      this.#end()
      throw error
    } finally {
      this.#filling = undefined
    }
  }

  #start(batch: NativeBatch): void {
    this.#batch = batch
    this.#next = 0
    this.#offset = 0
  }

  #end(): void {
    this.#reader = undefined
    this.#next = this.#batch.entries.length
  }

  #take(): LogEntry | undefined {
    const { bytes, entries } = this.#batch
    const at = this.#next
    if (at >= entries.length) return undefined
    const length = entries[at + 6] ?? 0
    const payload = new Uint8Array(bytes, this.#offset, length)
    this.#next += numbersPerEntry
    this.#offset += length
    return {
      lsn: entries[at] ?? 0,
      end: entries[at + 1] ?? 0,
      term: entries[at + 2] ?? 0,
      type: typeNames.get(entries[at + 3] ?? 0) ?? 'transaction',
      operations: entries[at + 4] ?? 0,
      commitTimeUs: entries[at + 5] ?? 0,
      payload,
    }
  }
}
