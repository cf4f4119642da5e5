// Promises of appends, in the order in which they were made, until they can be settled.
//
//        settled |  placed: position known  |  not placed yet  |
//               head                     placed              tail
//
// Positions of one log only grow, so the promises of one level settle from the head on. One that
// has been told otherwise, because its time is over or a roll-back has taken it back, leaves an
// empty slot, which goes with whatever stands before it. The arrays are used again and again: an
// append leaves nothing behind but its promise and its result.
import type { RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'

export type Resolve = (appended: Appended) => void
export type Reject = (error: Error) => void

/** What is told instead of a promise. It must not commit anything before it returns. */
export interface Settler {
  settled(lsn: number, end: number, term: number): void
  rejected(error: Error): void
}

/** What promises resolve with. */
export type MakeAppended = (lsn: number, end: number, term: number) => Appended

/** What a promise is rejected with; `end` is 0 where it has no position yet. */
export type MakeError = (end: number, term: number) => RingleaderError

const initialCapacity = 64

export class PendingRing {
  readonly #make: MakeAppended
  #resolves: (Resolve | Settler | undefined)[] = new Array<Resolve | undefined>(initialCapacity)
  #rejects: (Reject | undefined)[] = new Array<Reject | undefined>(initialCapacity)
  #lsns = new Float64Array(initialCapacity)
  #ends = new Float64Array(initialCapacity)
  #terms = new Uint32Array(initialCapacity)
  #deadlines: Float64Array | undefined // where any has had one; 0 = none
  #capacity = initialCapacity // a power of two
  #head = 0
  #placed = 0
  #tail = 0

  constructor(make: MakeAppended) {
    this.#make = make
  }

  get size(): number {
    return this.#tail - this.#head
  }

  add(resolve: Resolve, reject: Reject): void {
    if (this.size === this.#capacity) this.#grow()
    const slot = this.#tail & (this.#capacity - 1)
    this.#resolves[slot] = resolve
    this.#rejects[slot] = reject
    this.#tail += 1
  }

  addSettler(settler: Settler): void {
    if (this.size === this.#capacity) this.#grow()
    this.#resolves[this.#tail & (this.#capacity - 1)] = settler
    this.#tail += 1
  }

  /** What is added next is to be rejected at this time, where it is not settled by then. */
  setDeadline(at: number): void {
    if (this.size === this.#capacity) this.#grow()
    this.#deadlines ??= new Float64Array(this.#capacity)
    this.#deadlines[this.#tail & (this.#capacity - 1)] = at
  }

  /** The oldest `count` without a position have got it. */
  place(lsn: number, end: number, term: number, count = 1): void {
    for (const last = this.#placed + count; this.#placed < last; this.#placed += 1) {
      const slot = this.#placed & (this.#capacity - 1)
      this.#lsns[slot] = lsn
      this.#ends[slot] = end
      this.#terms[slot] = term
    }
  }

  /** The oldest `count` without a position will never have any. */
  fail(error: RingleaderError, count = 1): void {
    for (const last = this.#placed + count; this.#placed < last; this.#placed += 1) {
      this.#rejectAt(this.#placed & (this.#capacity - 1), error)
    }
  }

  /** Resolves what ends at `reached` or before. */
  settle(reached: number): void {
    const mask = this.#capacity - 1
    const ends = this.#ends
    while (this.#head < this.#placed) {
      const slot = this.#head & mask
      const end = ends[slot] ?? 0
      const resolve = this.#resolves[slot]
      if (end > reached && resolve !== undefined) return
      this.#head += 1
      if (resolve === undefined) continue
      const lsn = this.#lsns[slot] ?? 0
      const term = this.#terms[slot] ?? 0
      this.#forget(slot)
      if (typeof resolve === 'function') resolve(this.#make(lsn, end, term))
      else resolve.settled(lsn, end, term)
    }
    if (this.#head === this.#tail) this.#head = this.#placed = this.#tail = 0
  }

  /** Rejects what ends where `isGone` says so. */
  rejectWhere(isGone: (end: number) => boolean, error: RingleaderError): void {
    for (let at = this.#head; at < this.#placed; at += 1) {
      const slot = at & (this.#capacity - 1)
      if (this.#resolves[slot] === undefined || !isGone(this.#ends[slot] ?? 0)) continue
      this.#rejectAt(slot, error)
    }
  }

  /** Rejects everything that has a position. */
  reject(makeError: MakeError): void {
    while (this.#head < this.#placed) {
      const slot = this.#head & (this.#capacity - 1)
      this.#head += 1
      if (this.#resolves[slot] === undefined) continue
      this.#rejectAt(slot, makeError(this.#ends[slot] ?? 0, this.#terms[slot] ?? 0))
    }
  }

  /** Rejects what has waited for longer than until `now`; the earliest deadline of the others. */
  expire(now: number, makeError: MakeError): number {
    let next = Infinity
    const deadlines = this.#deadlines
    if (deadlines === undefined) return next
    for (let at = this.#head; at < this.#tail; at += 1) {
      const slot = at & (this.#capacity - 1)
      const deadline = deadlines[slot] ?? 0
      if (deadline === 0) continue
      if (deadline > now) {
        next = Math.min(next, deadline)
        continue
      }
      const placed = at < this.#placed
      const end = placed ? (this.#ends[slot] ?? 0) : 0
      this.#rejectAt(slot, makeError(end, this.#terms[slot] ?? 0))
    }
    this.settle(0) // nobody waits for empty slots at the head
    return next
  }

  #rejectAt(slot: number, error: RingleaderError): void {
    const resolve = this.#resolves[slot]
    const reject = this.#rejects[slot]
    this.#forget(slot)
    if (typeof resolve === 'function') reject?.(error)
    else resolve?.rejected(error)
  }

  #forget(slot: number): void {
    this.#resolves[slot] = undefined
    this.#rejects[slot] = undefined
    if (this.#deadlines) this.#deadlines[slot] = 0
  }

  #grow(): void {
    const old = this.#capacity
    const order = Array.from({ length: old }, (_, i) => (this.#head + i) & (old - 1))
    const room = new Array<undefined>(old)
    const inOrder = <T extends Float64Array | Uint32Array>(from: T, to: T): T => {
      for (const [at, slot] of order.entries()) to[at] = from[slot] ?? 0
      return to
    }
    this.#resolves = [...order.map((slot) => this.#resolves[slot]), ...room]
    this.#rejects = [...order.map((slot) => this.#rejects[slot]), ...room]
    this.#lsns = inOrder(this.#lsns, new Float64Array(2 * old))
    this.#ends = inOrder(this.#ends, new Float64Array(2 * old))
    this.#terms = inOrder(this.#terms, new Uint32Array(2 * old))
    if (this.#deadlines) {
      this.#deadlines = inOrder(this.#deadlines, new Float64Array(2 * old))
    }
    this.#capacity = 2 * old
    this.#placed -= this.#head
    this.#tail -= this.#head
    this.#head = 0
  }
}
