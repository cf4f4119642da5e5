// The graph of dependencies between the committed transactions of a history.
//
//   ww     the second has appended directly behind the first
//   wr     the second has read the version that the first has made
//   rw     the first has read a version, and the second has made the next one
//   order  the first had completed before the second was invoked (by anybody, or by its process)
//
// Appends that nobody has read have some place behind all that were, which gives edges too; among
// themselves they have none.
import type { Arc } from './graph.js'
import type { Id, Key, Transaction, Value } from './history.js'
import type { KeyVersions, Versions } from './versions.js'

export interface Dependency extends Arc {
  kind: 'ww' | 'wr' | 'rw' | 'order'
  /** For ww, wr, rw: the key, and the value of the first and the second append. */
  key?: Key
  before?: Value | undefined
  after?: Value | undefined
  /** Nobody has read the second append: it is behind all that were read. */
  unread?: boolean
}

class KeyDependencies {
  readonly arcs: Dependency[]
  readonly #committed: readonly boolean[]
  readonly #versions: KeyVersions
  readonly #read: ReadonlySet<Value>
  readonly #unread: [value: Value, writer: number][]

  constructor(arcs: Dependency[], committed: readonly boolean[], versions: KeyVersions) {
    this.arcs = arcs
    this.#committed = committed
    this.#versions = versions
    this.#read = new Set(versions.order)
    this.#unread = [...versions.writers].flatMap(([value, { transaction }]): [Value, number][] =>
      committed[transaction] && !this.#read.has(value) ? [[value, transaction]] : [],
    )
  }

  add(): void {
    const { order, reads } = this.#versions
    order.forEach((_, i) => {
      this.#addWrites(i)
    })
    for (const { transaction, length } of reads) this.#addRead(transaction, length)
  }

  #writerAt(i: number): number | undefined {
    const value = this.#versions.order[i]
    const writer = value === undefined ? undefined : this.#versions.writers.get(value)?.transaction
    return writer !== undefined && this.#committed[writer] ? writer : undefined
  }

  // From transaction `from` to all who may have written the version behind `length` appends.
  #addNext(kind: 'ww' | 'rw', from: number, length: number): void {
    const { order } = this.#versions
    const before = order[length - 1]
    if (length < order.length) this.#push(kind, from, this.#writerAt(length), before, order[length])
    else for (const [value, writer] of this.#unread) this.#push(kind, from, writer, before, value)
  }

  #addWrites(i: number): void {
    const writer = this.#writerAt(i)
    if (writer !== undefined) this.#addNext('ww', writer, i + 1)
  }

  #addRead(reader: number, length: number): void {
    const writer = this.#writerAt(length - 1)
    const before = this.#versions.order[length - 1]
    if (writer !== undefined) this.#push('wr', writer, reader, before, undefined)
    this.#addNext('rw', reader, length)
  }

  #push(
    kind: Dependency['kind'],
    from: number,
    to: number | undefined,
    before: Value | undefined,
    after: Value | undefined,
  ): void {
    if (to === undefined || to === from) return
    const unread = after !== undefined && !this.#read.has(after)
    this.arcs.push({ kind, from, to, key: this.#versions.key, before, after, unread })
  }
}

/** What follows from the versions. */
export const dataDependencies = ({ committed, keys }: Versions): Dependency[] => {
  const arcs: Dependency[] = []
  for (const versions of keys.values()) new KeyDependencies(arcs, committed, versions).add()
  return arcs
}

/**
 * Real time, without the edges that follow from others: an edge to T comes from those only that no
 * other one, completed before T was invoked, was invoked after.
 */
export const realTimeDependencies = (
  history: readonly Transaction[],
  committed: readonly boolean[],
): Dependency[] => {
  const arcs: Dependency[] = []
  const frontier = new Set<number>() // completed, and not yet followed by one that has completed
  const before = new Map<number, number[]>()
  const moments = history.flatMap(({ invoked, completed }, i) => {
    if (!committed[i]) return []
    const end = completed === undefined ? [] : [{ at: completed, i, isEnd: true }]
    return [{ at: invoked, i, isEnd: false }, ...end]
  })
  // At the same moment: concurrent, so invocations come first.
  moments.sort((a, b) => a.at - b.at || Number(a.isEnd) - Number(b.isEnd))
  for (const { i, isEnd } of moments) {
    if (isEnd) {
      for (const earlier of before.get(i) ?? []) frontier.delete(earlier)
      before.delete(i)
      frontier.add(i)
    } else {
      before.set(i, [...frontier])
      for (const earlier of frontier) arcs.push({ kind: 'order', from: earlier, to: i })
    }
  }
  return arcs
}

/** The order of every process alone. */
export const processDependencies = (
  history: readonly Transaction[],
  committed: readonly boolean[],
): Dependency[] => {
  const latest = new Map<Id, number>()
  const arcs: Dependency[] = []
  const indices = history.flatMap((_, i) => (committed[i] ? [i] : []))
  indices.sort((a, b) => (history[a]?.invoked ?? 0) - (history[b]?.invoked ?? 0))
  for (const to of indices) {
    const process = history[to]?.process ?? ''
    const from = latest.get(process)
    if (from !== undefined) arcs.push({ kind: 'order', from, to })
    // One that has no end may take effect after the next one.
    if (history[to]?.completed === undefined) latest.delete(process)
    else latest.set(process, to)
  }
  return arcs
}
