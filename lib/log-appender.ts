// Appends of one log: append() copies the payload into the batch of this turn of the event loop,
// CommitProgress does the rest.
//
// The memory that both sides share is described in native/binding/log_handle.h.
import process from 'node:process'
import { types } from 'node:util'

import type { NativeLog } from './binding.js'
import { CommitProgress } from './commit-progress.js'
import { invalidArgument, RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'
import { checkAppendOptions, type AppendWords, type Level } from './options.js'

const wordsPerEntry = 3
const numbersPerResult = 3
const largestUtf8 = 3 // bytes per UTF-16 unit
const maxTransactionBytes = 2 ** 32

export class LogAppender extends CommitProgress {
  readonly #native: NativeLog
  readonly #defaultLevel: Level
  readonly #payload: Buffer
  readonly #words: Uint32Array
  readonly #results: Float64Array
  readonly #batchEntries: number

  #count = 0 // appends in the batch
  #used = 0 // bytes in the batch

  readonly #submitTurn = () => {
    this.submit()
  }

  constructor(native: NativeLog, defaultLevel: Level) {
    const { payload, entries, results, positions } = native.memory
    super(native, positions, 'log', (lsn, end) => ({ lsn, end }))
    this.#native = native
    this.#defaultLevel = defaultLevel
    this.#payload = Buffer.from(payload)
    this.#words = new Uint32Array(entries)
    this.#results = new Float64Array(results)
    this.#batchEntries = this.#words.length / wordsPerEntry
  }

  append(payload: unknown, options: unknown): Promise<Appended> {
    try {
      this.checkOpen()
      const words = checkAppendOptions(options, this.#defaultLevel)
      if (typeof payload === 'string') return this.#appendString(payload, words)
      if (types.isUint8Array(payload)) return this.#appendBytes(payload, words)
      throw invalidArgument('payload: a string or a Uint8Array')
    } catch (error) {
      return Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #appendString(text: string, words: AppendWords): Promise<Appended> {
    if (text.length * largestUtf8 > this.#payload.length - this.#used) {
      const bytes = Buffer.from(text)
      return this.#appendBytes(bytes, words)
    }
    this.#makeRoom(text.length * largestUtf8)
    const length = this.#payload.write(text, this.#used)
    return this.#addToBatch(length, words)
  }

  #appendBytes(bytes: Uint8Array, words: AppendWords): Promise<Appended> {
    const { length } = bytes
    if (length > this.#payload.length) return this.#appendLarge(bytes, words)
    this.#makeRoom(length)
    this.#payload.set(bytes, this.#used)
    return this.#addToBatch(length, words)
  }

  #makeRoom(length: number): void {
    if (this.#used + length > this.#payload.length || this.#count === this.#batchEntries) {
      this.submit()
    }
  }

  #addToBatch(length: number, { level, term, word }: AppendWords): Promise<Appended> {
    if (this.#count === 0) process.nextTick(this.#submitTurn)
    const at = this.#count * wordsPerEntry
    this.#words[at] = length
    this.#words[at + 1] = term
    this.#words[at + 2] = word
    this.#count += 1
    this.#used += length
    return this.promise(level)
  }

  // Goes to the addon by itself; its bytes are copied there before this returns.
  #appendLarge(bytes: Uint8Array, { level, term, word }: AppendWords): Promise<Appended> {
    if (bytes.length > maxTransactionBytes) {
      throw new RingleaderError('RL_TOO_LARGE', 'a transaction holds at most 4 GiB')
    }
    this.submit()
    // The addon takes ordinary memory only.
    const own = types.isSharedArrayBuffer(bytes.buffer) ? Uint8Array.from(bytes) : bytes
    const promise = this.promise(level)
    this.submitted(this.#native.submitOne(own, term, word), 1)
    return promise
  }

  override submit(): void {
    const count = this.#count
    if (count === 0) return
    this.#count = 0
    this.#used = 0
    this.submitted(this.#native.submit(count), count)
  }

  protected override takeResult(i: number): void {
    const at = i * numbersPerResult
    const lsn = this.#results[at] ?? 0
    const ring = this.pendingOf(this.#results[at + 2] ?? 0)
    if (lsn < 0) ring.fail(this.#native.takeFailure())
    else ring.place(lsn, this.#results[at + 1] ?? 0, 0)
  }
}
