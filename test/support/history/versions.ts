// What the lists that were read say about the versions of every key, and what is wrong in them
// before any order of transactions is considered.
import type { Key, Read, Transaction, Value } from './history.js'

/** Anomalies of single reads. */
export type ReadAnomaly =
  | 'G1a' // aborted read
  | 'G1b' // intermediate read
  | 'internal' // a transaction does not see what it has read or written itself
  | 'duplicate-element' // a value is twice in a list
  | 'unknown-element' // a value that nobody has appended
  | 'incompatible-order' // two lists of a key of which none begins the other

export interface Found<T extends string> {
  type: T
  text: string
}

export interface Writer {
  transaction: number
  /** Nothing is appended to this key after it by the same transaction. */
  last: boolean
}

/** The first read of a key in a transaction, without what that transaction has appended itself. */
export interface ExternalRead {
  transaction: number
  /** Length of the list: it is the version after so many appends. */
  length: number
}

export interface KeyVersions {
  key: Key
  /** Who has appended what. */
  writers: Map<Value, Writer>
  /** Appended values in the order of versions, as far as they have been read. */
  order: readonly Value[]
  /** Reads that fit into this order. */
  reads: ExternalRead[]
}

export interface Versions {
  /** Which transactions are known to have committed. */
  committed: boolean[]
  keys: Map<Key, KeyVersions>
  found: Found<ReadAnomaly>[]
}

const versionsOf = (keys: Map<Key, KeyVersions>, key: Key): KeyVersions => {
  let versions = keys.get(key)
  if (!versions) keys.set(key, (versions = { key, writers: new Map(), order: [], reads: [] }))
  return versions
}

const indexAppends = (history: readonly Transaction[]): Map<Key, KeyVersions> => {
  const keys = new Map<Key, KeyVersions>()
  history.forEach(({ id, ops }, transaction) => {
    const latest = new Map<Key, Writer>()
    for (const op of ops) {
      const { writers } = versionsOf(keys, op.key)
      if (op.f !== 'append') continue
      if (writers.has(op.value))
        throw new Error(`T${id}: a second append of ${op.value} to ${op.key}`)
      const earlier = latest.get(op.key)
      if (earlier) earlier.last = false
      const writer = { transaction, last: true }
      writers.set(op.value, writer)
      latest.set(op.key, writer)
    }
  })
  return keys
}

// A transaction of unknown outcome has committed if a committed one has seen something of it.
const findCommitted = (history: readonly Transaction[], keys: Map<Key, KeyVersions>): boolean[] => {
  const committed = history.map(({ outcome }) => outcome === 'ok')
  const open = new Map<Key, Map<Value, number>>()
  for (const [key, { writers }] of keys) {
    const values = [...writers].flatMap(([value, { transaction }]): [Value, number][] =>
      history[transaction]?.outcome === 'unknown' ? [[value, transaction]] : [],
    )
    if (values.length > 0) open.set(key, new Map(values))
  }
  // Grows while it is walked through: what has committed may itself have seen others.
  const readers = history.flatMap(({ outcome }, i) => (outcome === 'ok' ? [i] : []))
  for (const reader of open.size > 0 ? readers : []) {
    for (const op of history[reader]?.ops ?? []) {
      const values = op.f === 'read' ? open.get(op.key) : undefined
      if (op.f !== 'read' || !values) continue
      for (const value of op.list ?? []) {
        const writer = values.get(value)
        if (writer === undefined) continue
        values.delete(value)
        if (!committed[writer]) readers.push(writer)
        committed[writer] = true
      }
    }
  }
  return committed
}

const begins = (list: readonly Value[], length: number, longer: readonly Value[]): boolean => {
  if (length > longer.length) return false
  for (let i = 0; i < length; i += 1) if (list[i] !== longer[i]) return false
  return true
}

const ends = (list: readonly Value[], last: readonly Value[]): boolean =>
  last.every((value, i) => list[list.length - last.length + i] === value)

interface FirstRead extends ExternalRead {
  list: readonly Value[]
}

// Every list that was read, key by key: the first read of a transaction, the others have to follow
// from it.
class ReadCollector {
  readonly found: Found<ReadAnomaly>[] = []
  readonly firstReads = new Map<Key, FirstRead[]>()

  constructor(history: readonly Transaction[], committed: readonly boolean[]) {
    history.forEach((transaction, i) => {
      if (committed[i]) this.#collect(transaction, i)
    })
  }

  #collect(transaction: Transaction, index: number): void {
    const own = new Map<Key, Value[]>() // appended by the transaction itself, until now
    const seen = new Map<Key, readonly Value[]>() // what a read has to give now
    for (const op of transaction.ops) {
      const appended = own.get(op.key) ?? []
      const expected = seen.get(op.key)
      if (op.f === 'append') {
        own.set(op.key, [...appended, op.value])
        if (expected) seen.set(op.key, [...expected, op.value])
      } else if (op.list) {
        seen.set(op.key, op.list)
        if (expected) this.#checkAgain(transaction, op, op.list, expected)
        else this.#addFirst(transaction, index, op.key, op.list, appended)
      }
    }
  }

  #checkAgain(
    { id }: Transaction,
    { key }: Read,
    list: readonly Value[],
    expected: readonly Value[],
  ) {
    if (list.length === expected.length && begins(list, list.length, expected)) return
    const text = `T${id} read [${list.join(', ')}] in ${key}, knew it as [${expected.join(', ')}]`
    this.found.push({ type: 'internal', text })
  }

  #addFirst(
    { id }: Transaction,
    transaction: number,
    key: Key,
    list: readonly Value[],
    appended: readonly Value[],
  ): void {
    if (list.length < appended.length || !ends(list, appended)) {
      const text = `T${id} read [${list.join(', ')}] in ${key}, but appended ${appended.join(', ')}`
      this.found.push({ type: 'internal', text })
      return
    }
    const reads = this.firstReads.get(key) ?? []
    reads.push({ transaction, list, length: list.length - appended.length })
    this.firstReads.set(key, reads)
  }
}

// The lists of one key: the longest is the order of versions, all others have to begin it.
class KeyChecker {
  readonly found: Found<ReadAnomaly>[] = []
  readonly #history: readonly Transaction[]
  readonly #committed: readonly boolean[]
  readonly #versions: KeyVersions

  constructor(history: readonly Transaction[], committed: readonly boolean[], of: KeyVersions) {
    this.#history = history
    this.#committed = committed
    this.#versions = of
  }

  check(reads: readonly FirstRead[]): void {
    const longest = reads.reduce((a, b) => (b.list.length > a.list.length ? b : a), noRead)
    this.#versions.order = longest.list
    this.#checkElements(longest)
    for (const read of reads) {
      const fits = begins(read.list, read.list.length, longest.list)
      if (fits) {
        this.#versions.reads.push({ transaction: read.transaction, length: read.length })
      } else {
        this.#checkElements(read)
        const both = `${this.#readBy(read)}, ${this.#readBy(longest)}`
        this.#add('incompatible-order', both)
      }
      this.#checkIntermediate(read)
    }
  }

  #add(type: ReadAnomaly, text: string): void {
    this.found.push({ type, text })
  }

  #id(transaction: number): string {
    return `T${this.#history[transaction]?.id ?? '?'}`
  }

  #readBy({ transaction, list }: FirstRead): string {
    return `${this.#id(transaction)} read [${list.join(', ')}] in ${this.#versions.key}`
  }

  #checkElements(read: FirstRead): void {
    const { writers } = this.#versions
    const values = new Set<Value>()
    for (const value of read.list) {
      if (values.has(value)) this.#add('duplicate-element', `${this.#readBy(read)}: ${value} twice`)
      values.add(value)
      const writer = writers.get(value)?.transaction
      if (writer === undefined) {
        this.#add('unknown-element', `${this.#readBy(read)}: nobody has appended ${value}`)
      } else if (!this.#committed[writer]) {
        this.#add('G1a', `${this.#readBy(read)}: ${this.#id(writer)} with ${value} was aborted`)
      }
    }
  }

  #checkIntermediate(read: FirstRead): void {
    const value = read.list[read.length - 1]
    const writer = value === undefined ? undefined : this.#versions.writers.get(value)
    if (!writer || writer.last || writer.transaction === read.transaction) return
    const text = `${this.#readBy(read)}: ${this.#id(writer.transaction)} went on after ${value}`
    this.#add('G1b', text)
  }
}

const noRead: FirstRead = { transaction: -1, list: [], length: 0 }

/** The versions of every key. Throws where the history is none: a value appended twice to a key. */
export const inferVersions = (history: readonly Transaction[]): Versions => {
  const keys = indexAppends(history)
  const committed = findCommitted(history, keys)
  const { found, firstReads } = new ReadCollector(history, committed)
  for (const [key, versions] of keys) {
    const checker = new KeyChecker(history, committed, versions)
    checker.check(firstReads.get(key) ?? [])
    found.push(...checker.found)
  }
  return { committed, keys, found }
}
