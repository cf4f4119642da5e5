// Whether there is an order of the operations of one key, each at a moment between its invocation
// and its end, in which every result is the right one.
//
// J. Wing and C. Gong, "Testing and Verifying Concurrent Objects" (1993), with the memory of G.
// Lowe, "Testing for linearizability" (2017): depth first, placing one operation after the other,
// and giving up wherever one has been before (configurations.ts). Of the operations that have
// ended, the one that is to be placed and returned first is the front; what was invoked before the
// front returned is open and may be next. Three things keep the search small:
//
// - An open operation that only reads is placed as soon as it can be: no later moment is better.
//   (Of others that leave this one state as it is that is not true: a remove of nothing may be
//   needed later.)
// - Operations of unknown fate are used only where they change the state, the earliest of those
//   with the same effect first, and never need to be.
// - A configuration is not looked at where one was that had used less of them.
import { fields, UsedSets, Visited } from './configurations.js'
import type { Operation } from './history.js'
import { impossible, modelOf, onlyReads, type Model } from './models.js'

export interface Limits {
  /** Configurations that are remembered. Each takes some 24 bytes. */
  configurations: number
  /** Attempts to place an operation, and comparisons of configurations. */
  attempts: number
}

export interface Found {
  result: 'ordered' | 'not ordered' | 'gave up'
  /**
   * Those that have ended, as they returned, and how many of them have been placed at most: the
   * next one could not be.
   */
  ended: readonly Operation[]
  placed: number
  /** What the key may have held when so many were placed. */
  states: string[]
  configurations: number
}

interface UnknownClass {
  step: (state: number) => number
  /** For each of them, by invocation: the first front at which it is open. */
  openFrom: number[]
}

const byInvocation = (a: Operation, b: Operation) => a.invoked - b.invoked

const endOf = ({ completed = Infinity }: Operation) => completed

// Operations of which all that matters is the same have the same text.
const effectOf = ({ call }: Operation) => JSON.stringify({ ...call, result: undefined })

/** The operations of a key as the search wants them: who is open when. */
class Schedule {
  /** In the order of their returns. */
  readonly ended: Operation[]
  readonly steps: Model['steps']
  readonly onlyRead: readonly boolean[]
  readonly model: Model
  readonly unknown: UnknownClass[] = []
  /** For each front the positions in `ended` of those that are open. */
  readonly open: Int32Array[] = []
  /** A place in the set of the placed ones, nobody else's while it is open. */
  readonly slots: Int32Array
  slotCount = 0

  constructor(operations: readonly Operation[], doubtful: Operation | undefined) {
    const sorted = operations.filter(({ outcome }) => outcome !== 'failed').sort(byInvocation)
    this.ended = sorted
      .filter(({ outcome }) => outcome === 'ok')
      .sort((a, b) => endOf(a) - endOf(b))
    const unknown = sorted.filter(({ outcome, call }) => outcome === 'unknown' && !onlyReads(call))
    const calls = [...this.ended, ...unknown].map(({ call }) => call)
    this.model = modelOf(calls, doubtful?.call)
    this.steps = this.model.steps
    this.onlyRead = this.ended.map(({ call }) => onlyReads(call))
    this.slots = new Int32Array(this.ended.length)
    this.#arrangeEnded()
    this.#arrangeUnknown(unknown)
  }

  #arrangeEnded(): void {
    const byCall = this.ended.map((_, i) => i)
    const invokedAt = (i: number) => this.ended[i]?.invoked ?? 0
    byCall.sort((a, b) => invokedAt(a) - invokedAt(b))
    const free: number[] = []
    let next = 0
    let open: number[] = []
    this.ended.forEach((operation, front) => {
      for (; next < byCall.length; next += 1) {
        const i = byCall[next] ?? 0
        if (invokedAt(i) > endOf(operation)) break
        open.push(i)
        this.slots[i] = free.pop() ?? this.slotCount
        this.slotCount = Math.max(this.slotCount, (this.slots[i] ?? 0) + 1)
      }
      this.open.push(Int32Array.from(open))
      open = open.filter((i) => i !== front)
      free.push(this.slots[front] ?? 0)
    })
  }

  #arrangeUnknown(unknown: readonly Operation[]): void {
    const classes = new Map<string, UnknownClass>()
    let front = 0
    unknown.forEach((operation, i) => {
      const effect = effectOf(operation)
      let of = classes.get(effect)
      if (!of) {
        of = { step: this.steps[this.ended.length + i] ?? (() => impossible), openFrom: [] }
        classes.set(effect, of)
        this.unknown.push(of)
      }
      while (front < this.ended.length && endOf(this.ended[front] ?? operation) < operation.invoked)
        front += 1
      of.openFrom.push(front)
    })
  }
}

// Frames of the search, in one array that grows: a configuration and how far its successors have
// been tried.
class Frames {
  readonly #width: number
  #numbers: Int32Array
  depth = 0

  constructor(width: number) {
    this.#width = width + 1
    this.#numbers = new Int32Array(64 * this.#width)
  }

  push(configuration: Int32Array): void {
    if ((this.depth + 1) * this.#width > this.#numbers.length) {
      const numbers = new Int32Array(2 * this.#numbers.length)
      numbers.set(this.#numbers)
      this.#numbers = numbers
    }
    const start = this.depth * this.#width
    this.#numbers.set(configuration, start)
    this.#numbers[start + this.#width - 1] = 0
    this.depth += 1
  }

  pop(): void {
    this.depth -= 1
  }

  /** Copies the topmost one. */
  top(into: Int32Array): void {
    const start = (this.depth - 1) * this.#width
    for (let i = 0; i < into.length; i += 1) into[i] = this.#numbers[start + i] ?? 0
  }

  /** Counts from 0 for each frame. */
  nextSuccessor(): number {
    const at = this.depth * this.#width - 1
    const next = this.#numbers[at] ?? 0
    this.#numbers[at] = next + 1
    return next
  }
}

class Search {
  readonly #schedule: Schedule
  readonly #limits: Limits
  readonly #sets: UsedSets
  readonly #visited: Visited
  readonly #frames: Frames
  readonly #now: Int32Array // the configuration that is being built
  #attempts = 0
  #placed = 0
  readonly #states = new Set<number>()

  constructor(operations: readonly Operation[], limits: Limits, doubtful?: Operation) {
    this.#schedule = new Schedule(operations, doubtful)
    this.#limits = limits
    const width = fields.placed + Math.ceil(this.#schedule.slotCount / 32)
    this.#sets = new UsedSets(this.#schedule.unknown.length)
    this.#visited = new Visited(width, this.#sets)
    this.#frames = new Frames(width)
    this.#now = new Int32Array(width)
  }

  run(): Found {
    this.#now[fields.state] = this.#schedule.model.initial
    let result: Found['result'] | undefined = this.#enter()
    while (result === undefined) {
      if (this.#frames.depth === 0) result = 'not ordered'
      else if (this.#isTooMuch()) result = 'gave up'
      else result = this.#tryNext()
    }
    const states = [...this.#states].map((state) => this.#schedule.model.describe(state))
    const configurations = this.#visited.size
    return { result, ended: this.#schedule.ended, placed: this.#placed, states, configurations }
  }

  #isTooMuch(): boolean {
    const { configurations, attempts } = this.#limits
    const work = this.#attempts + this.#visited.compared
    const size = Math.max(this.#visited.size, this.#sets.size)
    return size >= configurations || work >= attempts
  }

  #tryNext(): 'ordered' | undefined {
    this.#attempts += 1
    const successor = this.#frames.nextSuccessor()
    this.#frames.top(this.#now)
    const open = this.#schedule.open[this.#front] ?? new Int32Array()
    if (successor < open.length) return this.#tryEnded(open[successor] ?? 0)
    const of = successor - open.length
    if (of < this.#schedule.unknown.length) return this.#tryUnknown(of)
    this.#frames.pop()
    return undefined
  }

  get #front(): number {
    return this.#now[fields.front] ?? 0
  }

  get #state(): number {
    return this.#now[fields.state] ?? 0
  }

  #tryEnded(i: number): 'ordered' | undefined {
    if (this.#isPlaced(i)) return undefined
    const state = this.#after(i)
    if (state === impossible) return undefined
    this.#now[fields.state] = state
    this.#flip(i)
    return this.#enter()
  }

  #tryUnknown(of: number): 'ordered' | undefined {
    const { step, openFrom } = this.#schedule.unknown[of] ?? { step: () => impossible }
    const used = this.#now[fields.used] ?? 0
    const first = openFrom?.[this.#sets.countOf(used, of)] ?? Infinity
    if (first > this.#front) return undefined
    const state = step(this.#state)
    if (state === impossible || state === this.#state) return undefined
    this.#now[fields.state] = state
    this.#now[fields.used] = this.#sets.with(used, of)
    return this.#enter()
  }

  #after(i: number): number {
    return this.#schedule.steps[i]?.(this.#state) ?? impossible
  }

  #isPlaced(i: number): boolean {
    const slot = this.#schedule.slots[i] ?? 0
    return (((this.#now[fields.placed + (slot >> 5)] ?? 0) >>> (slot & 31)) & 1) === 1
  }

  #flip(i: number): void {
    const slot = this.#schedule.slots[i] ?? 0
    const word = fields.placed + (slot >> 5)
    this.#now[word] = (this.#now[word] ?? 0) ^ (1 << (slot & 31))
  }

  // Goes on from the configuration, unless somebody has.
  #enter(): 'ordered' | undefined {
    this.#settle()
    if (this.#front > this.#placed) {
      this.#placed = this.#front
      this.#states.clear()
    }
    if (this.#front === this.#placed) this.#states.add(this.#state)
    if (this.#front === this.#schedule.ended.length) return 'ordered'
    if (this.#visited.add(this.#now)) this.#frames.push(this.#now)
    return undefined
  }

  // Places what only reads, and moves the front behind what is placed.
  #settle(): void {
    const { ended, open, onlyRead } = this.#schedule
    while (this.#front < ended.length) {
      for (const i of open[this.#front] ?? []) {
        if (onlyRead[i] && !this.#isPlaced(i) && this.#after(i) !== impossible) this.#flip(i)
      }
      if (!this.#isPlaced(this.#front)) return
      this.#flip(this.#front)
      this.#now[fields.front] = this.#front + 1
    }
  }
}

/**
 * Of one key. Nothing is concluded from the result of the one that is doubtful, except that it
 * cannot be placed: then `states` are all that the key may have held before it.
 */
export const search = (
  operations: readonly Operation[],
  limits: Limits,
  doubtful?: Operation,
): Found => new Search(operations, limits, doubtful).run()
