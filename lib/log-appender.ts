// Appends of one log: from the call to the promise.
//
//   append()  copies the payload into the batch of this turn of the event loop
//   submit    at the end of the turn: the addon appends the batch, without ever waiting, and queues
//             what finds no room for a thread that may
//   progress  the addon calls when positions have moved or queued appends are done; promises settle
//
// The memory that both sides share is described in native/binding/log_handle.h.
import process from 'node:process'
import { types } from 'node:util'

import type { NativeLog } from './binding.js'
import { invalidArgument, RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'
import { checkAppendOptions, levelNumbers, type AppendWords, type Level } from './options.js'
import { PendingRing, type Reject, type Resolve } from './pending-ring.js'
import { WaitList } from './wait-list.js'

const wordsPerEntry = 3
const numbersPerResult = 3
const largestUtf8 = 3 // bytes per UTF-16 unit
const maxTransactionBytes = 2 ** 32

// One executor for all promises: it leaves what it was given where append() finds it.
let newResolve: Resolve
let newReject: Reject
const takeSettlers = (resolve: Resolve, reject: Reject) => {
  newResolve = resolve
  newReject = reject
}

interface DrainWaiter {
  collected: number
  resolve: () => void
}

export class LogAppender {
  readonly #native: NativeLog
  readonly #defaultLevel: Level
  readonly #payload: Buffer
  readonly #words: Uint32Array
  readonly #results: Float64Array
  readonly #positions: Float64Array // visible, written, durable, errno: by level
  readonly #batchEntries: number

  #count = 0 // appends in the batch
  #used = 0 // bytes in the batch
  #queued = 0 // appends that the addon has queued, ever
  #collected = 0 // of those, the ones whose results are here
  #busy = false
  #closed = false
  readonly #pending = [new PendingRing(), new PendingRing(), new PendingRing()] as const
  readonly #writtenWaits = new WaitList(() => {
    this.#updateBusy()
  })
  readonly #flushedWaits = new WaitList(() => {
    this.#updateBusy()
  })
  #drainWaiters: DrainWaiter[] = []

  readonly #submitTurn = () => {
    this.submit()
  }

  constructor(native: NativeLog, defaultLevel: Level) {
    this.#native = native
    this.#defaultLevel = defaultLevel
    const { payload, entries, results, positions } = native.memory
    this.#payload = Buffer.from(payload)
    this.#words = new Uint32Array(entries)
    this.#results = new Float64Array(results)
    this.#positions = new Float64Array(positions)
    this.#batchEntries = this.#words.length / wordsPerEntry
    native.onProgress = () => {
      this.#progress()
    }
  }

  append(payload: unknown, options: unknown): Promise<Appended> {
    try {
      if (this.#closed) throw closedError()
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
    return this.#promise(level)
  }

  #promise(level: number): Promise<Appended> {
    const promise = new Promise<Appended>(takeSettlers)
    this.#pendingOf(level).add(newResolve, newReject)
    return promise
  }

  // Goes to the addon by itself; its bytes are copied there before this returns.
  #appendLarge(bytes: Uint8Array, { level, term, word }: AppendWords): Promise<Appended> {
    if (bytes.length > maxTransactionBytes) {
      throw new RingleaderError('RL_TOO_LARGE', 'a transaction holds at most 4 GiB')
    }
    this.submit()
    // The addon takes ordinary memory only.
    const own = types.isSharedArrayBuffer(bytes.buffer) ? Uint8Array.from(bytes) : bytes
    const promise = this.#promise(level)
    this.#submitted(this.#native.submitOne(own, term, word), 1)
    return promise
  }

  /** Hands the batch of this turn over now. */
  submit(): void {
    const count = this.#count
    if (count === 0) return
    this.#count = 0
    this.#used = 0
    this.#submitted(this.#native.submit(count), count)
  }

  // The first `placed` of `count` have their positions in the results.
  #submitted(placed: number, count: number): void {
    for (let i = 0; i < placed; i += 1) this.#takeResult(i)
    this.#queued += count - placed
    this.#settle()
  }

  #takeResult(i: number): void {
    const at = i * numbersPerResult
    const lsn = this.#results[at] ?? 0
    const ring = this.#pendingOf(this.#results[at + 2] ?? 0)
    if (lsn < 0) ring.fail(this.#native.takeFailure())
    else ring.place(lsn, this.#results[at + 1] ?? 0)
  }

  #pendingOf(level: number): PendingRing {
    return level === 2 ? this.#pending[2] : level === 1 ? this.#pending[1] : this.#pending[0]
  }

  #progress(): void {
    while (this.#collected < this.#queued) {
      const count = this.#native.collect()
      if (count === 0) break
      for (let i = 0; i < count; i += 1) this.#takeResult(i)
      this.#collected += count
    }
    this.#settle()
    if (this.#drainWaiters.length > 0) this.#settleDrains()
  }

  #settle(): void {
    const written = this.#positions[1] ?? 0
    const durable = this.#positions[2] ?? 0
    const errno = this.#positions[3] ?? 0
    this.#settleUpTo(written, durable)
    if (errno !== 0) this.#rejectPlaced(failedError(errno))
    this.#updateBusy()
  }

  #settleUpTo(written: number, durable: number): void {
    this.#pending[0].settle(Infinity) // what has a position is in memory
    this.#pending[1].settle(written)
    this.#pending[2].settle(durable)
    this.#writtenWaits.settle(written)
    this.#flushedWaits.settle(durable)
  }

  #rejectPlaced(error: RingleaderError): void {
    for (const ring of this.#pending) ring.reject(error)
    this.#writtenWaits.reject(error)
    this.#flushedWaits.reject(error)
  }

  #settleDrains(): void {
    const done = this.#drainWaiters.filter(({ collected }) => collected <= this.#collected)
    this.#drainWaiters = this.#drainWaiters.filter(({ collected }) => collected > this.#collected)
    for (const { resolve } of done) resolve()
  }

  // A log that somebody waits for keeps the event loop alive.
  #updateBusy(): void {
    const [memory, written, flushed] = this.#pending
    const appends = memory.size + written.size + flushed.size
    const busy = appends + this.#writtenWaits.size + this.#flushedWaits.size > 0
    if (busy === this.#busy) return
    this.#busy = busy
    this.#native.setBusy(busy)
  }

  /** Resolves when every append made before this call has its position or has failed. */
  async drained(): Promise<void> {
    this.submit()
    const collected = this.#queued
    if (collected === this.#collected) return
    await new Promise<void>((resolve) => {
      this.#drainWaiters.push({ collected, resolve })
    })
  }

  /** Resolves when the log has reached `level` up to `end`. */
  async waitFor(end: number, level: Level, timeoutMs: number | undefined): Promise<void> {
    const number = levelNumbers[level]
    if (this.#closed) throw closedError()
    this.submit()
    this.#native.request(end, number)
    this.#settle()
    if (end > (this.#positions[0] ?? 0)) {
      throw invalidArgument(`end: nothing has been appended up to ${end}`)
    }
    if ((this.#positions[number] ?? 0) >= end) return
    const errno = this.#positions[3] ?? 0
    if (errno !== 0) throw failedError(errno)
    const waits = level === 'flushed' ? this.#flushedWaits : this.#writtenWaits
    const reached = waits.add(end, timeoutMs)
    this.#updateBusy()
    await reached
  }

  /** Makes durable whatever was appended before, by anybody; resolves with the position. */
  async flush(): Promise<number> {
    if (this.#closed) throw closedError()
    await this.drained()
    this.#native.request(0, levelNumbers.flushed)
    await this.waitFor(this.#positions[0] ?? 0, 'flushed', undefined)
    return this.#positions[2] ?? 0
  }

  /** No append, no wait is accepted from now on. */
  refuse(): void {
    this.#closed = true
  }

  /** The log has been closed: with everything flushed, or with an error. */
  finish(error?: RingleaderError): void {
    if (error) {
      const { code, message, errno = 0 } = error
      this.#rejectPlaced(new RingleaderError(code, message, { fate: 'unknown', errno }))
    } else {
      this.#settleUpTo(Infinity, Infinity)
    }
    this.#updateBusy()
  }
}

export const closedError = () => new RingleaderError('RL_CLOSED', 'the log is closed')

const failedError = (errno: number) =>
  new RingleaderError('RL_FAILED', 'a write or flush of the log failed; reopen to recover', {
    fate: 'unknown',
    errno,
  })
