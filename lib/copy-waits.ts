// Who waits for the group: the promises of commits that need copies elsewhere, and calls that wait
// for something that the group's news will bring.
//
// A promise settles when its local level and its rule have both got as far as its end; the addon
// keeps the rules' positions (native/binding/group_look.h). Times allowed cost no timer each: one
// timer stands for the earliest of all, and deadlines are rounded up by a thirtieth at most, so
// that thousands of them come due together.
import type { NativeGroup } from './binding.js'
import type { OtherWaits } from './commit-progress.js'
import {
  commitPosition,
  localOf,
  plainLevel,
  rulePositionOf,
  termPosition,
  timeoutOf,
} from './durability.js'
import { RingleaderError } from './errors.js'
import type { GroupFacts } from './group-facts.js'
import { PendingRing, type MakeAppended, type MakeError } from './pending-ring.js'

// Deadlines are multiples of the time allowed over 32, rounded down to a power of two.
const roundedShare = 5

const grainOf = (timeoutMs: number): number =>
  2 ** Math.max(0, 31 - Math.clz32(timeoutMs) - roundedShare)

interface LevelRing {
  ring: PendingRing
  local: number
  rule: number // where its position stands
}

/** Called when there may be news: true when it is over; what it throws, the wait rejects with. */
export type Check = () => boolean

interface Waiter {
  check: Check
  resolve: () => void
  reject: (error: unknown) => void
  timer: NodeJS.Timeout | undefined
}

export class CopyWaits implements OtherWaits {
  readonly #native: NativeGroup
  readonly #positions: Float64Array
  readonly #make: MakeAppended
  readonly #facts: GroupFacts
  readonly #onGone: () => void
  readonly #rings: (LevelRing | undefined)[] = [] // by level
  readonly #used: LevelRing[] = []
  readonly #waiters = new Set<Waiter>()
  #watching = false
  #timer: NodeJS.Timeout | undefined
  #next = Infinity // when it comes due

  /** `onGone`: somebody waits no longer, whose time is over. */
  constructor(
    native: NativeGroup,
    positions: Float64Array,
    make: MakeAppended,
    facts: GroupFacts,
    onGone: () => void,
  ) {
    this.#native = native
    this.#positions = positions
    this.#make = make
    this.#facts = facts
    this.#onGone = onGone
  }

  get size(): number {
    let size = this.#waiters.size
    for (const { ring } of this.#used) size += ring.size
    return size
  }

  /** The commit position that this environment knows of. */
  get commit(): number {
    return this.#positions[commitPosition] ?? 0
  }

  /** Changes with every new primary that is heard of. */
  get newestTerm(): number {
    return this.#positions[termPosition] ?? 0
  }

  /** The promises of a level with a rule. Where it allows a time, that is of what is added next. */
  ring(level: number): PendingRing {
    const plain = plainLevel(level)
    const { ring } = this.#rings[plain] ?? this.#addRing(plain)
    const timeoutMs = timeoutOf(level)
    if (timeoutMs !== undefined) this.#expireNext(ring, timeoutMs)
    return ring
  }

  #addRing(level: number): LevelRing {
    const ring = new PendingRing(this.#make)
    const added = { ring, local: localOf(level), rule: rulePositionOf(level) }
    this.#rings[level] = added
    this.#used.push(added)
    return added
  }

  #expireNext(ring: PendingRing, timeoutMs: number): void {
    const grain = grainOf(timeoutMs)
    const at = Math.ceil((performance.now() + timeoutMs) / grain) * grain
    ring.setDeadline(at)
    if (at < this.#next) this.#setTimer(at)
  }

  #setTimer(at: number): void {
    clearTimeout(this.#timer)
    this.#next = at
    if (at === Infinity) return
    // What it is for keeps the event loop alive, not the timer.
    const ms = Math.min(Math.max(at - performance.now(), 0) + 1, 2 ** 31 - 1)
    this.#timer = setTimeout(() => {
      this.#expire()
    }, ms).unref()
  }

  #expire(): void {
    const now = performance.now()
    let next = Infinity
    for (const { ring } of this.#used) next = Math.min(next, ring.expire(now, this.#timeoutError))
    this.#setTimer(next)
    this.#onGone()
  }

  readonly #timeoutError: MakeError = (end, term) =>
    new RingleaderError('RL_TIMEOUT', 'the copies asked for have not been acknowledged in time', {
      fate: 'unknown',
      token: this.#facts.tokenIfKnown(end, term),
    })

  /**
   * Resolves when `check` says so, which is asked now and whenever there is news. Rejects with what
   * it throws, or `timeoutError` gives, where the time is over.
   */
  until(
    check: Check,
    timeoutMs: number | undefined,
    timeoutError: () => RingleaderError,
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { check, resolve, reject, timer: undefined }
      if (this.#isOver(waiter)) return
      if (timeoutMs !== undefined) {
        waiter.timer = setTimeout(() => {
          this.#waiters.delete(waiter)
          reject(timeoutError())
          this.#onGone()
        }, timeoutMs)
      }
      this.#waiters.add(waiter)
    })
  }

  #isOver(waiter: Waiter): boolean {
    try {
      if (!waiter.check()) return false
      waiter.resolve()
    } catch (error) {
      waiter.reject(error)
    }
    clearTimeout(waiter.timer)
    return true
  }

  settle(): void {
    const positions = this.#positions
    for (const { ring, local, rule } of this.#used) {
      if (ring.size === 0) continue
      // What has a position is in memory.
      const here = local === 0 ? Infinity : (positions[local] ?? 0)
      ring.settle(Math.min(here, positions[rule] ?? 0))
    }
    for (const waiter of this.#waiters) {
      if (this.#isOver(waiter)) this.#waiters.delete(waiter)
    }
    this.watch()
  }

  rejectWhere(isGone: (end: number) => boolean, error: RingleaderError): void {
    for (const { ring } of this.#used) ring.rejectWhere(isGone, error)
  }

  reject(makeError: MakeError): void {
    for (const { ring } of this.#used) ring.reject(makeError)
    for (const waiter of this.#waiters) {
      clearTimeout(waiter.timer)
      waiter.reject(makeError(0, 0))
    }
    this.#waiters.clear()
    this.#setTimer(Infinity)
  }

  // News of the group is listened to while somebody waits for it.
  watch(): void {
    const waits = this.size > 0
    if (waits === this.#watching) return
    this.#watching = waits
    this.#native.watchGroup(waits)
  }
}
