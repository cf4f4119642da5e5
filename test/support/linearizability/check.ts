// Judges a history of operations on single keys (history.ts says how to record one): is there, for
// every key, an order of them that explains all results and in which whatever had ended before
// something else was invoked comes first?
//
// Keys do not concern each other, so each is looked at alone (A. Horn and D. Kroening, "Faster
// linearizability checking via P-compositionality", 2015), by the search of search.ts. What cannot
// be decided within the limits is said to be so: "gave up" is neither good nor bad. Of a key that
// fails, as little is told as fails: the operations until the first end that nothing explains.
import { describeCall, type Call, type Key, type Operation } from './history.js'
import { search, type Found, type Limits } from './search.js'

export type { Limits } from './search.js'

export interface Failure {
  key: Key
  /**
   * Those of the key that were invoked before `stuck` had ended: whatever had not ended by then may
   * have any result.
   */
  operations: Operation[]
  /** Up to the end of this one there is no order; up to the end before, there is. */
  stuck: Operation
  /**
   * What the key may have held, each of them for an order of all that had ended before. None where
   * something of that needs `stuck` with another result.
   */
  states: string[]
  /** Whether these are not all, because there were too many orders to try. */
  maybeMore: boolean
  /** Whether an earlier end might be the first; because the limits left it open. */
  maybeEarlier: boolean
}

export interface Verdict {
  result: 'linearizable' | 'not linearizable' | 'gave up'
  /** At most ten. */
  failures: Failure[]
  /** How many keys fail. */
  failed: number
  gaveUp: Key[]
  keys: number
  /** How many configurations the search has been in. */
  configurations: number
}

const failuresTold = 10

// Enough for the report.
const limitsForStates: Limits = { configurations: 20_000, attempts: 400_000 }

/** Of each key: some 60 MB and some seconds. */
export const defaultLimits: Limits = { configurations: 2_000_000, attempts: 40_000_000 }

// The history until one moment: what had not ended by then is open.
const until = (operations: readonly Operation[], moment: Operation, ended: Set<Operation>) => {
  const end = moment.completed ?? Infinity
  return operations
    .filter(({ invoked }) => invoked <= end)
    .map((operation): Operation => {
      if (operation.outcome !== 'ok' || ended.has(operation)) return operation
      const call = { ...operation.call, result: undefined } as Call
      return { ...operation, call, completed: undefined, outcome: 'unknown' }
    })
}

/** Looks for the first end up to which there is no order. */
class FailureFinder {
  readonly #operations: readonly Operation[]
  readonly #limits: Limits
  readonly #ended: readonly Operation[]
  readonly #given: Found
  // Of the ends: up to this one there is an order, up to that one there is none.
  #good = -1
  #bad: number
  #isOpen = false

  constructor(operations: readonly Operation[], limits: Limits, given: Found) {
    this.#operations = operations
    this.#limits = limits
    this.#given = given
    this.#ended = given.ended
    this.#bad = given.ended.length - 1
  }

  find(): Failure {
    // Where the whole search came to an end is where it is most of the time.
    this.#probe(this.#given.placed)
    this.#probe(this.#given.placed - 1)
    while (this.#bad - this.#good > 1 && !this.#isOpen) {
      this.#probe(Math.floor((this.#good + this.#bad) / 2))
    }
    const stuck = this.#ended[this.#bad]
    if (!stuck) throw new Error('a failure without an operation that has ended')
    const operations = this.#until(this.#bad)
    const { states: all, result, placed, ended } = search(operations, limitsForStates, stuck)
    const states = placed === ended.length - 1 ? all : []
    const maybeMore = result === 'gave up'
    return { key: stuck.key, operations, stuck, states, maybeMore, maybeEarlier: this.#isOpen }
  }

  #until(end: number): Operation[] {
    const ended = this.#ended.slice(0, end + 1)
    const moment = ended.at(-1)
    return moment ? until(this.#operations, moment, new Set(ended)) : []
  }

  #probe(end: number): void {
    if (end <= this.#good || end >= this.#bad) return
    const { result } = search(this.#until(end), this.#limits)
    if (result === 'gave up') this.#isOpen = true
    else if (result === 'ordered') this.#good = end
    else this.#bad = end
  }
}

const byKey = (history: readonly Operation[]): Map<Key, Operation[]> => {
  const keys = new Map<Key, Operation[]>()
  for (const operation of history) {
    const operations = keys.get(operation.key)
    if (operations) operations.push(operation)
    else keys.set(operation.key, [operation])
  }
  return keys
}

/** Whether the history may be one of a database that does one operation after the other. */
export const check = (history: readonly Operation[], limits = defaultLimits): Verdict => {
  const keys = byKey(history)
  const failures: Failure[] = []
  const gaveUp: Key[] = []
  let failed = 0
  let configurations = 0
  for (const [key, operations] of keys) {
    const found = search(operations, limits)
    configurations += found.configurations
    if (found.result === 'gave up') gaveUp.push(key)
    if (found.result !== 'not ordered') continue
    failed += 1
    if (failed > failuresTold) continue
    failures.push(new FailureFinder(operations, limits, found).find())
  }
  const undecided = gaveUp.length > 0 ? 'gave up' : 'linearizable'
  const result = failed > 0 ? 'not linearizable' : undecided
  return { result, failures, failed, gaveUp, keys: keys.size, configurations }
}

const linesTold = 24

const describeOperation = ({ key, process, call, invoked, completed, outcome }: Operation) => {
  const end = outcome === 'failed' ? ' failed' : outcome === 'unknown' ? ' ?' : ''
  return `[${invoked}, ${completed ?? ''}] ${process}: ${describeCall(key, call)}${end}`
}

const describeStates = ({ states, maybeMore }: Failure): string => {
  if (states.length === 0) return 'with this result'
  const told = states.slice(0, 8)
  const more = maybeMore || states.length > told.length ? ['...'] : []
  return `when it was ${[...told, ...more].join(' or ')}`
}

const describeFailure = (failure: Failure): string => {
  const { key, operations, stuck, maybeEarlier } = failure
  const relevant = operations
    .filter(({ outcome }) => outcome !== 'failed')
    .sort((a, b) => a.invoked - b.invoked)
  const from = relevant.length - linesTold
  const told = relevant.filter(({ id }, i) => i >= from || id === stuck.id)
  const left = relevant.length - told.length
  const end = stuck.completed ?? ''
  return [
    `key ${key}: no order explains its ${relevant.length} operations until ${end}`,
    ...(left > 0 ? [`  (${left} before)`] : []),
    ...told.map((operation) => {
      const mark = operation.id === stuck.id ? `   <- ${describeStates(failure)}` : ''
      return `  ${describeOperation(operation)}${mark}`
    }),
    ...(maybeEarlier ? ['  (it may be so earlier: the limits left that open)'] : []),
  ].join('\n')
}

/** The verdict as a person reads it, for the message of a test that has failed. */
export const report = ({ result, failures, failed, gaveUp, keys }: Verdict): string => {
  const counts = `${result}: ${failed} of ${keys} keys fail, ${gaveUp.length} undecided`
  const undecided = gaveUp.slice(0, failuresTold).map((key) => `key ${key}: gave up`)
  return [counts, ...failures.map(describeFailure), ...undecided].join('\n')
}
