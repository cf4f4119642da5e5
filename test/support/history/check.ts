// Judges a history of list appends (history.ts says how to record one): which isolation level do
// the answers rule out, and by which transactions?
//
// After K. Kingsbury and P. Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
// Observations" (VLDB 2020), and A. Adya's thesis (MIT 1999), whose names the anomalies have. In
// three steps: the lists that were read give the order of versions of each key (versions.ts); that
// gives the dependencies between transactions (dependencies.ts); a cycle of them is an anomaly
// (cycles.ts). Every anomaly reported is one: nothing is assumed about the database. Anomalies that
// nobody has read the traces of are not found; let a last transaction read every key.
import { findCycles, type Cycle, type CycleAnomaly, type OrderAnomaly } from './cycles.js'
import {
  dataDependencies,
  processDependencies,
  realTimeDependencies,
  type Dependency,
} from './dependencies.js'
import { describe, type Transaction } from './history.js'
import { inferVersions, type Found, type ReadAnomaly, type Versions } from './versions.js'

export type Anomaly = ReadAnomaly | 'lost-update' | CycleAnomaly | OrderAnomaly

/**
 * What a database may promise.
 *
 * - `serializable`, `snapshot`: nothing about the time at which transactions take effect.
 * - `session-...`: each process sees what it has done and seen before.
 * - `strict-serializable`, `strong-snapshot`: everybody sees what had completed before.
 */
export type Model =
  | 'serializable'
  | 'snapshot'
  | 'session-serializable'
  | 'session-snapshot'
  | 'strict-serializable'
  | 'strong-snapshot'

export interface Verdict {
  valid: boolean
  /** Those that the model forbids, at most ten of a type. */
  anomalies: Found<Anomaly>[]
  /** How many there are of each type; of cycles at least. */
  counts: Map<Anomaly, number>
}

const perType = 10

const orderOf = (model: Model): typeof realTimeDependencies | undefined => {
  if (model === 'strict-serializable' || model === 'strong-snapshot') return realTimeDependencies
  return model.startsWith('session-') ? processDependencies : undefined
}

// Snapshot isolation permits write skew.
const permits = (model: Model, type: Anomaly): boolean =>
  model.endsWith('snapshot') && (type === 'G2' || type === 'G2-order')

// Two who have read the same version of a key and then appended to it.
const lostUpdates = (
  history: readonly Transaction[],
  { keys, committed }: Versions,
): Found<'lost-update'>[] => {
  const found: Found<'lost-update'>[] = []
  for (const { key, writers, reads } of keys.values()) {
    const appenders = new Set([...writers.values()].map(({ transaction }) => transaction))
    const byVersion = new Map<number, number[]>()
    for (const { transaction, length } of reads) {
      if (!committed[transaction] || !appenders.has(transaction)) continue
      byVersion.set(length, [...(byVersion.get(length) ?? []), transaction])
    }
    for (const [length, transactions] of byVersion) {
      if (transactions.length < 2) continue
      const names = transactions.map((i) => `T${history[i]?.id ?? '?'}`).join(', ')
      const text = `${names} have read ${key} with the same ${length} elements and appended to it`
      found.push({ type: 'lost-update', text })
    }
  }
  return found
}

class Reporter {
  readonly #history: readonly Transaction[]

  constructor(history: readonly Transaction[]) {
    this.#history = history
  }

  text({ arcs }: Cycle): string {
    const steps = joinOrder(arcs)
    const transactions = steps.map(({ from }) => `  ${this.#describe(from)}`)
    return [...transactions, ...steps.map((step) => `  ${this.#step(step)}`)].join('\n')
  }

  #describe(i: number): string {
    const transaction = this.#history[i]
    return transaction ? describe(transaction) : ''
  }

  #id(i: number): string {
    return `T${this.#history[i]?.id ?? '?'}`
  }

  #step({ kind, from, to, key = '', before, after, unread }: Dependency): string {
    const a = this.#id(from)
    const b = this.#id(to)
    const version = before === undefined ? 'empty' : `up to ${before}`
    const words = {
      ww: () =>
        unread
          ? `${b} appended ${after ?? ''} to ${key}, which no list has, so it is behind ${a}'s`
          : `${b} appended ${after ?? ''} to ${key}, behind ${before ?? ''} of ${a}`,
      wr: () => `${b} read ${key} ${version}, which ${a} had appended`,
      rw: () =>
        unread
          ? `${a} read ${key} ${version}, and no list has ${after ?? ''}, which ${b} appended`
          : `${a} read ${key} ${version}, and ${b} appended ${after ?? ''} behind that`,
      order: () => `${a} had completed before ${b} was invoked`,
    }
    return `${a} -${kind}-> ${b}: ${words[kind]()}`
  }
}

// Edges of order that follow each other are one: it has all of them.
const joinOrder = (arcs: readonly Dependency[]): Dependency[] => {
  const joined: Dependency[] = []
  for (const arc of arcs) {
    const last = joined.at(-1)
    if (last?.kind === 'order' && arc.kind === 'order')
      joined[joined.length - 1] = { ...last, to: arc.to }
    else joined.push(arc)
  }
  return joined
}

/** Whether the history may be one of a database that keeps to the model. */
export const check = (history: readonly Transaction[], model: Model): Verdict => {
  const versions = inferVersions(history)
  const found: Found<Anomaly>[] = [...versions.found, ...lostUpdates(history, versions)]
  const reporter = new Reporter(history)
  const data = dataDependencies(versions)
  for (const cycle of findCycles(history.length, data, false)) {
    found.push({ type: cycle.type, text: reporter.text(cycle) })
  }
  const order = orderOf(model)?.(history, versions.committed) ?? []
  if (order.length > 0) {
    for (const cycle of findCycles(history.length, [...data, ...order], true)) {
      found.push({ type: `${cycle.type}-order`, text: reporter.text(cycle) })
    }
  }
  return verdict(found.filter(({ type }) => !permits(model, type)))
}

const verdict = (found: readonly Found<Anomaly>[]): Verdict => {
  const counts = new Map<Anomaly, number>()
  const anomalies = found.filter(({ type }) => {
    const count = (counts.get(type) ?? 0) + 1
    counts.set(type, count)
    return count <= perType
  })
  return { valid: found.length === 0, anomalies, counts }
}

/** The anomalies as a person reads them, for the message of a test that has failed. */
export const report = ({ anomalies, counts }: Verdict): string => {
  const totals = [...counts].map(([type, count]) => `${type}: ${count}`).join(', ')
  return [totals, ...anomalies.map(({ type, text }) => `${type}\n${text}`)].join('\n')
}
