// What a key may hold and what operations do to it, in the form in which the search (search.ts)
// asks for it: states are small numbers, equal where the contents are.
import type { Call, Value } from './history.js'

/** A state in which an operation would have had another result. */
export const impossible = -1

type Step = (state: number) => number

export interface Model {
  /** The state of a key that nobody has written to. */
  readonly initial: number
  /** What each call makes of a state. Without a known result it is possible everywhere. */
  readonly steps: readonly Step[]
  /** A state as a person reads it. */
  describe(state: number): string
}

const isListCall = ({ f }: Call) => f === 'append' || f === 'read'

/** Whether a call with this result never changes anything, whatever the state. */
export const onlyReads = (call: Call): boolean => {
  if (call.f === 'get' || call.f === 'read') return true
  if (call.f === 'compareAndSet' || call.f === 'putIfAbsent') return call.result === false
  return call.f === 'take' && call.result === null
}

/** A value or nothing. */
class Register implements Model {
  readonly initial = 0
  readonly steps: readonly Step[]
  readonly #values: (Value | null)[] = [null]
  readonly #states = new Map<Value | null, number>([[null, 0]])

  constructor(calls: readonly Call[]) {
    this.steps = calls.map((call) => this.#compile(call))
  }

  describe(state: number): string {
    const value = this.#values[state] ?? null
    return value === null ? 'nothing' : JSON.stringify(value)
  }

  #stateOf(value: Value | null): number {
    let state = this.#states.get(value)
    if (state === undefined) {
      state = this.#values.push(value) - 1
      this.#states.set(value, state)
    }
    return state
  }

  #compile(call: Call): Step {
    switch (call.f) {
      case 'get': {
        if (call.result === undefined) return (state) => state
        const seen = this.#stateOf(call.result)
        return (state) => (state === seen ? state : impossible)
      }
      case 'take': {
        if (call.result === undefined) return () => this.initial
        const seen = this.#stateOf(call.result)
        return (state) => (state === seen ? this.initial : impossible)
      }
      case 'put': {
        const value = this.#stateOf(call.value)
        return () => value
      }
      case 'remove':
        return () => this.initial
      case 'putIfAbsent':
        return this.#conditional(null, call.value, call.result)
      case 'compareAndSet':
        return this.#conditional(call.expected, call.value, call.result)
      case 'add':
        return this.#addition(call.delta, call.result)
      default:
        throw new Error(`${call.f}: the key is no list`)
    }
  }

  #conditional(expected: Value | null, value: Value, result: boolean | undefined): Step {
    const before = this.#stateOf(expected)
    const behind = this.#stateOf(value)
    return (state) => {
      const applies = state === before
      if (result !== undefined && result !== applies) return impossible
      return applies ? behind : state
    }
  }

  #addition(delta: number, result: number | undefined): Step {
    return (state) => {
      const value = this.#values[state] ?? 0
      // Refused, so without an effect; it cannot have been answered with a sum.
      if (typeof value !== 'number') return result === undefined ? state : impossible
      const sum = value + delta
      return result === undefined || result === sum ? this.#stateOf(sum) : impossible
    }
  }
}

/**
 * A list that is appended to. States are the nodes of a tree, one for each list that there may be.
 *
 * A list only grows, so whatever it is while it is not longer than the longest that was read has to
 * begin that one. That leaves one order for all that was read.
 */
class List implements Model {
  readonly initial = 0
  readonly steps: readonly Step[]
  readonly #parents = [-1]
  readonly #values: (Value | undefined)[] = [undefined]
  readonly #lengths = [0]
  readonly #children = new Map<number, Map<Value, number>>()
  readonly #longest: number
  readonly #path = new Set<number>() // from the empty list to the longest

  constructor(calls: readonly Call[], doubtful: Call | undefined) {
    const reads = calls.map((call) => (call.f === 'read' ? this.#nodeOf(call.result ?? []) : 0))
    let longest = this.initial
    reads.forEach((node, i) => {
      if (calls[i] !== doubtful && this.#lengthOf(node) > this.#lengthOf(longest)) longest = node
    })
    this.#longest = this.#lengthOf(longest)
    for (let node = longest; node >= 0; node = this.#parents[node] ?? -1) this.#path.add(node)
    this.steps = calls.map((call, i) => this.#compile(call, reads[i] ?? 0))
  }

  describe(state: number): string {
    const values: string[] = []
    for (let node = state; node > 0; node = this.#parents[node] ?? 0) {
      values.push(JSON.stringify(this.#values[node]))
    }
    return `[${values.reverse().join(', ')}]`
  }

  #lengthOf(node: number): number {
    return this.#lengths[node] ?? 0
  }

  #nodeOf(list: readonly Value[]): number {
    let node = this.initial
    for (const value of list) node = this.#childOf(node, value)
    return node
  }

  #childOf(node: number, value: Value): number {
    let children = this.#children.get(node)
    if (!children) this.#children.set(node, (children = new Map<Value, number>()))
    let child = children.get(value)
    if (child === undefined) {
      child = this.#parents.push(node) - 1
      this.#values.push(value)
      this.#lengths.push(this.#lengthOf(node) + 1)
      children.set(value, child)
    }
    return child
  }

  #compile(call: Call, read: number): Step {
    if (call.f === 'read') {
      if (call.result === undefined) return (state) => state
      return (state) => (state === read ? state : impossible)
    }
    if (call.f !== 'append') throw new Error(`${call.f}: the key is a list`)
    const { value, result } = call
    return (state) => {
      const length = this.#lengthOf(state) + 1
      if (result !== undefined && result !== length) return impossible
      if (length > this.#longest) return this.#childOf(state, value)
      const child = this.#children.get(state)?.get(value)
      return child !== undefined && this.#path.has(child) ? child : impossible
    }
  }
}

/** The model for all calls of a key; one of them may be wrong. */
export const modelOf = (calls: readonly Call[], doubtful?: Call): Model =>
  calls.some(isListCall) ? new List(calls, doubtful) : new Register(calls)
