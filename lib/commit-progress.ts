// From the hand-over of a batch to the promises: what appends to a log and commits to a store have
// in common.
//
//   submit    at the end of a turn of the event loop: the addon places the batch, without ever
//             waiting, and queues what finds no room for a thread that may
//   progress  the addon calls when positions have moved or queued work is done; promises settle
//
// Positions only grow, so the promises of one level settle in the order in which they were made.
import { invalidArgument, RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'
import { levelNumbers, type Level } from './options.js'
import {
  PendingRing,
  type MakeAppended,
  type MakeError,
  type Reject,
  type Resolve,
  type Settler,
} from './pending-ring.js'
import { WaitList } from './wait-list.js'

/** What the addon has of it, of a log and of a store. */
export interface NativeProgress {
  onProgress?: () => void
  /** How many results of queued work are in shared memory now; 0 when there is none. */
  collect(): number
  request(end: number, level: number): void
  /** Whether a roll-back that is not among these has taken the position back. */
  rolledBack(end: number, history: number): boolean
  setBusy(busy: boolean): void
}

// One executor for all promises: it leaves what it was given where promise() finds it.
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

/** Who waits for more than the local log. */
export interface OtherWaits {
  readonly size: number
  /** The promises of a level that is none of the log's. */
  ring(level: number): PendingRing
  /** Positions have changed. */
  settle(): void
  /** A roll-back has taken back what ends where `isGone` says so. */
  rejectWhere(isGone: (end: number) => boolean, error: RingleaderError): void
  /** Nothing more will be heard. */
  reject(makeError: MakeError): void
}

/** `A`: what promises resolve with. */
export abstract class CommitProgress<A extends Appended = Appended> {
  readonly #native: NativeProgress
  readonly #what: string
  // Visible, written, durable: by level; errno; roll-backs; those before the latest submission;
  // what a store has beside these (durability.ts).
  readonly #positions: Float64Array
  #history = 0 // roll-backs that the promises have been told of
  #queued = 0 // submissions that the addon has queued, ever
  #collected = 0 // of those, the ones whose results are here
  #busy = false
  #closed = false
  readonly #pending: readonly [PendingRing, PendingRing, PendingRing]
  readonly #writtenWaits = new WaitList(() => {
    this.updateBusy()
  })
  readonly #flushedWaits = new WaitList(() => {
    this.updateBusy()
  })
  #drainWaiters: DrainWaiter[] = []
  protected others: OtherWaits | undefined

  /**
   * `what` is closed in messages: the log, the environment. `make`: an `A`.
   */
  constructor(native: NativeProgress, positions: ArrayBuffer, what: string, make: MakeAppended) {
    this.#native = native
    this.#what = what
    this.#pending = [new PendingRing(make), new PendingRing(make), new PendingRing(make)]
    this.#positions = new Float64Array(positions)
    this.#history = this.#positions[4] ?? 0
    native.onProgress = () => {
      this.#progress()
    }
  }

  /** Hands the batch of this turn over now. */
  abstract submit(): void

  /** The i-th result in shared memory is that of the oldest submission without one. */
  protected abstract takeResult(i: number): void

  get closed(): boolean {
    return this.#closed
  }

  closedError(): RingleaderError {
    return new RingleaderError('RL_CLOSED', `the ${this.#what} is closed`)
  }

  /** Throws RL_CLOSED from `refuse` on. */
  checkOpen(): void {
    if (this.#closed) throw this.closedError()
  }

  /** The promise of something that has just been added to the batch. */
  protected promise(level: number): Promise<A> {
    const promise = new Promise<Appended>(takeSettlers)
    this.pendingOf(level).add(newResolve, newReject)
    return promise as Promise<A>
  }

  /** The same for what needs no promise. */
  protected tell(settler: Settler, level: number): void {
    this.pendingOf(level).addSettler(settler)
  }

  protected pendingOf(level: number): PendingRing {
    if (level === 2) return this.#pending[2]
    if (level === 1) return this.#pending[1]
    return level === 0 ? this.#pending[0] : this.#otherRing(level)
  }

  #otherRing(level: number): PendingRing {
    if (this.others) return this.others.ring(level)
    throw invalidArgument(`level: there is no ${level}`)
  }

  /** The end of what is visible, as far as the addon has told. */
  get visible(): number {
    return this.#positions[0] ?? 0
  }

  /** The same as in the addon's memory, for who else waits. */
  protected get positions(): Float64Array {
    return this.#positions
  }

  /** A batch of `count` was handed over; the first `placed` have their results. */
  protected submitted(placed: number, count: number): void {
    this.#tellRollBacks(this.#positions[5] ?? 0)
    for (let i = 0; i < placed; i += 1) this.takeResult(i)
    this.#queued += count - placed
    this.#settle()
  }

  #progress(): void {
    while (this.#collected < this.#queued) {
      const count = this.#native.collect()
      if (count === 0) break
      for (let i = 0; i < count; i += 1) this.takeResult(i)
      this.#collected += count
    }
    this.#settle()
    if (this.#drainWaiters.length > 0) this.#settleDrains()
  }

  // What a roll-back has taken back must not be taken for durable when others have got as far.
  #tellRollBacks(history: number): void {
    if (history === this.#history) return
    const before = this.#history
    this.#history = history
    const isGone = (end: number) => this.#native.rolledBack(end, before)
    for (const ring of this.#pending) ring.rejectWhere(isGone, rolledBackError())
    this.#writtenWaits.rejectWhere(isGone, rolledBackError())
    this.#flushedWaits.rejectWhere(isGone, rolledBackError())
    this.others?.rejectWhere(isGone, rolledBackError())
  }

  #settle(): void {
    this.#tellRollBacks(this.#positions[4] ?? 0)
    const written = this.#positions[1] ?? 0
    const durable = this.#positions[2] ?? 0
    const errno = this.#positions[3] ?? 0
    this.#settleUpTo(written, durable)
    this.others?.settle()
    if (errno !== 0) this.#rejectPlaced(failedError(errno))
    this.updateBusy()
  }

  #settleUpTo(written: number, durable: number): void {
    this.#pending[0].settle(Infinity) // what has a position is in memory
    this.#pending[1].settle(written)
    this.#pending[2].settle(durable)
    this.#writtenWaits.settle(written)
    this.#flushedWaits.settle(durable)
  }

  #rejectPlaced(error: RingleaderError): void {
    for (const ring of this.#pending) ring.reject(() => error)
    this.#writtenWaits.reject(error)
    this.#flushedWaits.reject(error)
    this.others?.reject(() => error)
  }

  #settleDrains(): void {
    const done = this.#drainWaiters.filter(({ collected }) => collected <= this.#collected)
    this.#drainWaiters = this.#drainWaiters.filter(({ collected }) => collected > this.#collected)
    for (const { resolve } of done) resolve()
  }

  // What somebody waits for keeps the event loop alive.
  protected updateBusy(): void {
    const [memory, written, flushed] = this.#pending
    const pending = memory.size + written.size + flushed.size + (this.others?.size ?? 0)
    const busy = pending + this.#writtenWaits.size + this.#flushedWaits.size > 0
    if (busy === this.#busy) return
    this.#busy = busy
    this.#native.setBusy(busy)
  }

  /** Resolves when everything added before this call has its position or has failed. */
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
    this.checkOpen()
    this.submit()
    this.#native.request(end, number)
    this.#settle()
    if (end > (this.#positions[0] ?? 0)) {
      throw invalidArgument(`end: nothing has been appended up to ${end}`)
    }
    if ((this.#positions[number] ?? 0) >= end) return
    this.checkFailed()
    const waits = level === 'flushed' ? this.#flushedWaits : this.#writtenWaits
    const reached = waits.add(end, timeoutMs)
    this.updateBusy()
    await reached
  }

  /** Makes durable whatever was appended before, by anybody; resolves with the position. */
  async flush(): Promise<number> {
    this.checkOpen()
    await this.drained()
    this.#native.request(0, levelNumbers.flushed)
    await this.waitFor(this.#positions[0] ?? 0, 'flushed', undefined)
    return this.#positions[2] ?? 0
  }

  /** Whether the log has come to an end; RL_FAILED where it has. */
  protected checkFailed(): void {
    const errno = this.#positions[3] ?? 0
    if (errno !== 0) throw failedError(errno)
  }

  /** Nothing new, no wait is accepted from now on. */
  refuse(): void {
    this.#closed = true
  }

  /** It has been closed: with everything flushed, or with an error. */
  finish(error?: RingleaderError): void {
    if (error) {
      const { code, message, errno = 0 } = error
      this.#rejectPlaced(new RingleaderError(code, message, { fate: 'unknown', errno }))
    } else {
      this.#settleUpTo(Infinity, Infinity)
    }
    this.updateBusy()
  }
}

const rolledBackError = () =>
  new RingleaderError('RL_ROLLED_BACK', 'the log has been rolled back to below that position', {
    fate: 'unknown',
  })

const failedError = (errno: number) =>
  new RingleaderError('RL_FAILED', 'a write or flush of the log failed; reopen to recover', {
    fate: 'unknown',
    errno,
  })
