// Promises of appends, in the order in which they were made, until they can be settled.
//
//        settled |  placed: position known  |  not placed yet  |
//               head                     placed              tail
//
// Positions of one log only grow, so the promises of one level settle from the head on. The arrays
// are used again and again: an append leaves nothing behind but its promise and its result.
import type { RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'

export type Resolve = (appended: Appended) => void
export type Reject = (error: Error) => void

/** What is told instead of a promise. It must not commit anything before it returns. */
export interface Settler {
  settled(lsn: number, end: number): void
  rejected(error: Error): void
}

const initialCapacity = 64

export class PendingRing {
  #resolves: (Resolve | Settler | undefined)[] = new Array<Resolve | undefined>(initialCapacity)
  #rejects: (Reject | undefined)[] = new Array<Reject | undefined>(initialCapacity)
  #lsns = new Float64Array(initialCapacity)
  #ends = new Float64Array(initialCapacity)
  #capacity = initialCapacity // a power of two
  #head = 0
  #placed = 0
  #tail = 0

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

  /** The oldest `count` without a position have got it. */
  place(lsn: number, end: number, count = 1): void {
    for (const last = this.#placed + count; this.#placed < last; this.#placed += 1) {
      const slot = this.#placed & (this.#capacity - 1)
      this.#lsns[slot] = lsn
      this.#ends[slot] = end
    }
  }

  /** The oldest `count` without a position will never have any. */
  fail(error: RingleaderError, count = 1): void {
    for (const last = this.#placed + count; this.#placed < last; this.#placed += 1) {
      const slot = this.#placed & (this.#capacity - 1)
      this.#rejectAt(slot, error)
      this.#ends[slot] = 0 // settled with whatever stands before it
    }
  }

  /** Resolves what ends at `reached` or before. */
  settle(reached: number): void {
    const mask = this.#capacity - 1
    const ends = this.#ends
    while (this.#head < this.#placed) {
      const slot = this.#head & mask
      const end = ends[slot] ?? 0
      if (end > reached) return
      this.#head += 1
      const resolve = this.#resolves[slot]
      const lsn = this.#lsns[slot] ?? 0
      this.#forget(slot)
      if (typeof resolve === 'function') resolve({ lsn, end })
      else resolve?.settled(lsn, end)
    }
    if (this.#head === this.#tail) this.#head = this.#placed = this.#tail = 0
  }

  /** Rejects what ends where `isGone` says so. */
  rejectWhere(isGone: (end: number) => boolean, error: RingleaderError): void {
    for (let at = this.#head; at < this.#placed; at += 1) {
      const slot = at & (this.#capacity - 1)
      if (this.#resolves[slot] === undefined || !isGone(this.#ends[slot] ?? 0)) continue
      this.#rejectAt(slot, error)
      this.#ends[slot] = 0 // settled with whatever stands before it
    }
  }

  /** Rejects everything that has a position. */
  reject(error: RingleaderError): void {
    while (this.#head < this.#placed) {
      const slot = this.#head & (this.#capacity - 1)
      this.#head += 1
      this.#rejectAt(slot, error)
    }
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
  }

  #grow(): void {
    const old = this.#capacity
    const order = Array.from({ length: old }, (_, i) => (this.#head + i) & (old - 1))
    const room = new Array<undefined>(old)
    const lsns = new Float64Array(2 * old)
    const ends = new Float64Array(2 * old)
    for (const [to, from] of order.entries()) {
      lsns[to] = this.#lsns[from] ?? 0
      ends[to] = this.#ends[from] ?? 0
    }
    this.#resolves = [...order.map((slot) => this.#resolves[slot]), ...room]
    this.#rejects = [...order.map((slot) => this.#rejects[slot]), ...room]
    this.#lsns = lsns
    this.#ends = ends
    this.#capacity = 2 * old
    this.#placed -= this.#head
    this.#tail -= this.#head
    this.#head = 0
  }
}
