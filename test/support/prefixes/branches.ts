// The commits of all primaries as what they are: a tree. Each reign continues an earlier one from
// some position, and what that one went on with is another branch. A node of the tree is a state of
// the database: what is there after the commits on the way to it.
import type { Commit, History, Position } from './history.js'
import { countWhile } from './partition.js'

/** The state after the first `count` commits of a reign; 0 only of the reign that began it all. */
export interface Node {
  reign: number
  count: number
}

/** Some nodes of a reign: those after `low` to `high` of its commits; none where low > high. */
export interface Nodes {
  reign: number
  low: number
  high: number
}

type Key = string | null // null: how many rows there are

interface Branch {
  term: number
  /** Where it begins; undefined: with nothing. */
  fork: Node | undefined
  forkLsn: number
  commits: Commit[]
  /** How many commits there are up to `fork`. */
  depth: number
  /** For each count, the latest start of a commit up to there. */
  latestStart: number[]
  /** How many of its own commits survive; -1: it is no part of what does. */
  surviving: number
  /** Every change of a key, and how to find those to a value. */
  changes: Map<Key, { count: number; word: string }[]>
  spans: Map<Key, Map<string, [from: number, to: number][]>>
}

/** What a key has to hold, as JSON. */
export type Wanted = readonly [key: Key, word: string]

const nothing = 'null'

const wordOf = (value: unknown): string => JSON.stringify(value)

export class Branches {
  readonly #branches: Branch[] = []
  readonly #byTerm = new Map<number, number>()

  constructor({ reigns, commits }: History) {
    const sorted = [...reigns].sort((a, b) => a.term - b.term)
    for (const { term, from } of sorted) this.#addReign(term, from, commits)
    this.#markSurvivors()
    this.#branches.forEach((_, reign) => {
      this.#addChanges(reign)
    })
    const stray = commits.find(({ at }) => !this.#byTerm.has(at.term))
    if (stray) throw new Error(`commit ${stray.id} is of term ${stray.at.term}, which is no reign`)
  }

  #addReign(term: number, from: Position | undefined, commits: readonly Commit[]): void {
    if ((from === undefined) !== (this.#branches.length === 0)) {
      throw new Error(`reign ${term}: one reign begins with nothing, that of the lowest term`)
    }
    if (this.#byTerm.has(term)) throw new Error(`reign ${term} is there twice`)
    const own = commits.filter(({ at }) => at.term === term).sort((a, b) => a.at.lsn - b.at.lsn)
    own.forEach((commit, i) => {
      const after = own[i - 1]?.at.lsn ?? from?.lsn ?? -Infinity
      if (commit.at.lsn <= after) throw new Error(`commit ${commit.id} is where others are`)
    })
    const fork = from && this.nodeAt(from)
    let latest = fork ? this.latestStartOf(fork) : -Infinity
    const latestStart = [latest, ...own.map(({ start }) => (latest = Math.max(latest, start)))]
    this.#byTerm.set(term, this.#branches.length)
    this.#branches.push({
      ...{ term, fork, forkLsn: from?.lsn ?? -Infinity, commits: own, latestStart },
      ...{ depth: fork ? this.depthOf(fork) : 0, surviving: -1 },
      ...{ changes: new Map(), spans: new Map() },
    })
  }

  #markSurvivors(): void {
    const last = this.#branches.length - 1
    let count = this.#branches[last]?.commits.length ?? 0
    for (let reign = last; reign >= 0;) {
      const branch = this.#branch(reign)
      branch.surviving = count
      // The nodes between are those of reigns that have committed nothing.
      count = branch.fork?.count ?? 0
      reign = branch.fork?.reign ?? -1
    }
  }

  #addChanges(reign: number): void {
    const { changes, commits, fork } = this.#branch(reign)
    let rows = Number(fork ? this.#wordAt(fork, null) : 0)
    if (!fork) changes.set(null, [{ count: 0, word: '0' }])
    const add = (key: Key, count: number, word: string) => {
      const ofKey = changes.get(key)
      if (ofKey) ofKey.push({ count, word })
      else changes.set(key, [{ count, word }])
    }
    commits.forEach(({ writes }, i) => {
      for (const [key, value] of Object.entries(writes)) {
        const word = wordOf(value)
        const before = this.#wordAt({ reign, count: i }, key)
        rows += Number(word !== nothing) - Number(before !== nothing)
        add(key, i + 1, word)
      }
      add(null, i + 1, `${rows}`)
    })
  }

  #branch(reign: number): Branch {
    const branch = this.#branches[reign]
    if (!branch) throw new Error(`no reign ${reign}`)
    return branch
  }

  get reigns(): number {
    return this.#branches.length
  }

  /** All nodes of a reign. */
  nodesOf(reign: number): Nodes {
    const { fork, commits } = this.#branch(reign)
    return { reign, low: fork ? 1 : 0, high: commits.length }
  }

  /** The state at a position: of a term, as far as its log was like that. */
  nodeAt({ term, lsn }: Position): Node {
    const reign = this.#byTerm.get(term)
    if (reign === undefined) throw new Error(`term ${term} is no reign`)
    return this.#nodeBefore(reign, lsn)
  }

  #nodeBefore(reign: number, lsn: number): Node {
    const { commits, fork, forkLsn } = this.#branch(reign)
    const count = countWhile(commits.length, (i) => (commits[i]?.at.lsn ?? 0) <= lsn)
    if (count > 0 || !fork) return { reign, count }
    return lsn >= forkLsn ? fork : this.#nodeBefore(fork.reign, lsn)
  }

  /** The states that a reader who knows only an LSN may mean. */
  nodesAt(lsn: number): Node[] {
    const nodes = this.#branches.map((_, reign) => this.#nodeBefore(reign, lsn))
    const exact = nodes.filter((node) => this.commitOf(node)?.at.lsn === lsn)
    return exact.length > 0 ? exact : nodes
  }

  /** The last commit of a state. */
  commitOf({ reign, count }: Node): Commit | undefined {
    return this.#branch(reign).commits[count - 1]
  }

  depthOf({ reign, count }: Node): number {
    return this.#branch(reign).depth + count
  }

  latestStartOf({ reign, count }: Node): number {
    return this.#branch(reign).latestStart[count] ?? -Infinity
  }

  survives({ reign, count }: Node): boolean {
    return count <= this.#branch(reign).surviving
  }

  /** Whether everything in the second state is in the first. */
  contains(node: Node, other: Node): boolean {
    let at: Node | undefined = node
    while (at && at.reign !== other.reign) at = this.#branch(at.reign).fork
    return at ? other.count <= at.count : other.count === 0 && !this.#branch(other.reign).fork
  }

  /** Those of the nodes that have everything of another one. */
  containing(nodes: Nodes, other: Node): Nodes {
    const { reign, low, high } = nodes
    if (reign === other.reign) return { reign, low: Math.max(low, other.count), high }
    const { fork } = this.#branch(reign)
    return fork && this.contains(fork, other) ? nodes : { reign, low, high: -1 }
  }

  /** Those in which no commit started later. */
  startedBy({ reign, low, high }: Nodes, time: number): Nodes {
    const { latestStart } = this.#branch(reign)
    const started = countWhile(high + 1, (count) => (latestStart[count] ?? 0) <= time)
    return { reign, low, high: started - 1 }
  }

  /** Those that survive. */
  surviving({ reign, low, high }: Nodes): Nodes {
    return { reign, low, high: Math.min(high, this.#branch(reign).surviving) }
  }

  /** Those that have the first so many of the commits that survive. */
  reaching(nodes: Nodes, depth: number): Nodes {
    const { reign, low, high } = nodes
    const branch = this.#branch(reign)
    if (branch.surviving < 0) {
      let fork = branch.fork
      while (fork && this.#branch(fork.reign).surviving < 0) fork = this.#branch(fork.reign).fork
      const common = fork ? this.#survivingDepth(fork) : 0
      return common >= depth ? nodes : { reign, low, high: -1 }
    }
    if (depth > branch.depth + branch.surviving) return { reign, low, high: -1 }
    return { reign, low: Math.max(low, depth - branch.depth), high }
  }

  #survivingDepth({ reign, count }: Node): number {
    const { depth, surviving } = this.#branch(reign)
    return depth + Math.min(count, surviving)
  }

  /** What a key holds, as JSON. */
  #wordAt(node: Node, key: Key): string {
    let at: Node | undefined = node
    while (at) {
      const { changes, fork } = this.#branch(at.reign)
      const { count } = at
      const ofKey = changes.get(key) ?? []
      const change = ofKey[countWhile(ofKey.length, (i) => (ofKey[i]?.count ?? 0) <= count) - 1]
      if (change) return change.word
      at = fork
    }
    return nothing
  }

  /** What is wanted and is not so in a state: "x is 5". */
  differences(node: Node, wanted: readonly Wanted[]): string[] {
    return wanted.flatMap(([key, word]) => {
      const there = this.#wordAt(node, key)
      if (there === word) return []
      return [key === null ? `there are ${there} rows, not ${word}` : `${key} is ${there}`]
    })
  }

  // Where in a reign a key holds a value, in order.
  #spansOf(reign: number, key: Key, word: string): [from: number, to: number][] {
    const { changes, spans } = this.#branch(reign)
    const { low, high } = this.nodesOf(reign)
    const ofKey = changes.get(key)
    if (!ofKey) return this.#wordAt({ reign, count: 0 }, key) === word ? [[low, high]] : []
    let byWord = spans.get(key)
    if (!byWord) {
      spans.set(key, (byWord = new Map<string, [number, number][]>()))
      const first = { count: low, word: this.#wordAt({ reign, count: 0 }, key) }
      const all = [first, ...ofKey]
      for (const [i, { count, word: held }] of all.entries()) {
        const to = (all[i + 1]?.count ?? high + 1) - 1
        if (to < count) continue
        const ofWord = byWord.get(held)
        if (ofWord) ofWord.push([count, to])
        else byWord.set(held, [[count, to]])
      }
    }
    return byWord.get(word) ?? []
  }

  /** The first of the nodes in which all keys hold what is wanted. */
  first({ reign, low, high }: Nodes, wanted: readonly Wanted[]): Node | undefined {
    const all = wanted.map(([key, word]) => this.#spansOf(reign, key, word))
    let count = low
    for (let agreed = 0; agreed < all.length && count <= high;) {
      agreed = 0
      for (const spans of all) {
        const next = nextIn(spans, count)
        if (next === count) agreed += 1
        count = next
      }
    }
    return count <= high ? { reign, count } : undefined
  }
}

// The first number of the spans that is not below.
const nextIn = (spans: readonly [from: number, to: number][], count: number): number => {
  const span = spans[countWhile(spans.length, (i) => (spans[i]?.[1] ?? 0) < count)]
  return span ? Math.max(span[0], count) : Infinity
}
