// Judges reads at replicas (history.ts says how to record them): is each the state after some
// prefix of what a primary has committed, and one that its level permits?
//
// A read that says where its snapshot is is held to that; for the others any prefix will do whose
// values these are, the same for all promises that the read has been given. What that leaves open
// is settled in favour of the database: of all prefixes the earliest is taken, which leaves the
// most to what comes later; on different branches each of the earliest is kept in mind. So every
// anomaly reported is one.
import { Branches, type Node, type Nodes, type Wanted } from './branches.js'
import type { Commit, History, Read } from './history.js'
import { countWhile } from './partition.js'

export type Anomaly =
  | 'no-prefix' // values that no prefix has, or not that of the snapshot
  | 'future-read' // of what was asked for only when the read was over
  | 'rolled-back-read' // durable or linearizable, and does not survive
  | 'stale-read' // linearizable, without something acknowledged or shown as durable before
  | 'lagging-read' // without something acknowledged longer than maxLag before
  | 'token-ignored' // without what its token stands for
  | 'went-back' // without what the session had seen before: with a token, or for good and here
  | 'lost-commit' // acknowledged as durable and rolled back
  | 'commit-order' // acknowledged before another one began that comes before it
  | 'duplicate-commit' // applied twice

export interface Found {
  type: Anomaly
  text: string
}

export interface Verdict {
  valid: boolean
  /** At most ten of a type. */
  anomalies: Found[]
  counts: Map<Anomaly, number>
}

const perType = 10

/** What has to be there at some time: the most of what was added before. */
class Watermark {
  readonly #times: number[] = []
  readonly #depths: number[] = []

  /** In the order of times. */
  add(time: number, depth: number): void {
    this.#times.push(time)
    this.#depths.push(Math.max(depth, this.#depths.at(-1) ?? 0))
  }

  /** Of what was added with an earlier time. */
  before(time: number): number {
    const count = countWhile(this.#times.length, (i) => (this.#times[i] ?? 0) < time)
    return this.#depths[count - 1] ?? 0
  }
}

/** What a session has seen at least: of each, one of the states. */
interface Session {
  end: number
  /** With a token. */
  nodes: Node[]
  /** At each member, durable or linearizable. */
  lasting: Map<unknown, Node[]>
}

interface Demand {
  type: Anomaly
  isMet: (nodes: Nodes) => Nodes
  reason: string
}

class Checker {
  readonly found: Found[] = []
  readonly #history: History
  readonly #branches: Branches
  readonly #acknowledged = new Watermark()
  readonly #sessions = new Map<unknown, Session>()
  /** How much a read that has to survive has shown, by read. */
  readonly #shown = new Map<Read, number>()

  constructor(history: History) {
    this.#history = history
    this.#branches = new Branches(history)
  }

  run(): void {
    this.#checkCommits()
    const byStart = [...this.#history.reads].sort((a, b) => a.start - b.start || a.end - b.end)
    const byEnd = [...byStart].sort((a, b) => a.end - b.end)
    let ended = 0
    let seen = 0
    for (const read of byStart) {
      for (let one = byEnd[ended]; one && one.end < read.start; one = byEnd[ended]) {
        seen = Math.max(seen, this.#shown.get(one) ?? 0)
        ended += 1
      }
      this.#checkRead(read, seen)
    }
  }

  #add(type: Anomaly, text: string): void {
    this.found.push({ type, text })
  }

  #checkCommits(): void {
    const acknowledged: [end: number, depth: number][] = []
    const places = new Map<unknown, Commit>()
    for (let reign = 0; reign < this.#branches.reigns; reign += 1) {
      const { high } = this.#branches.nodesOf(reign)
      for (let count = 1; count <= high; count += 1) {
        const node = { reign, count }
        const commit = this.#branches.commitOf(node)
        if (!commit) continue
        const depth = this.#checkCommit(commit, node, places)
        if (depth > 0 && commit.acknowledged === 'durable') {
          acknowledged.push([commit.end ?? 0, depth])
        }
      }
    }
    acknowledged.sort(([a], [b]) => a - b)
    for (const [end, depth] of acknowledged) this.#acknowledged.add(end, depth)
  }

  // Its depth if it survives, otherwise 0.
  #checkCommit(commit: Commit, node: Node, places: Map<unknown, Commit>): number {
    const before = this.#branches.latestStartOf({ ...node, count: node.count - 1 })
    const { end = Infinity, acknowledged, id } = commit
    if (end < before) {
      const text = `was acknowledged at ${end}; one before it began only at ${before}`
      this.#add('commit-order', `${describeCommit(commit)} ${text}`)
    }
    if (!this.#branches.survives(node)) {
      if (acknowledged === 'durable') {
        const text = `was acknowledged as durable at ${end} and does not survive`
        this.#add('lost-commit', `${describeCommit(commit)} ${text}`)
      }
      return 0
    }
    const other = places.get(id)
    if (other)
      this.#add('duplicate-commit', `${describeCommit(other)} and ${describeCommit(commit)}`)
    places.set(id, commit)
    return this.#branches.depthOf(node)
  }

  #checkRead(read: Read, seen: number): void {
    const session = this.#sessionOf(read)
    const wanted = wantedOf(read)
    let nodes = this.#nodesOf(read)
    let firsts = this.#firstsOf(nodes, wanted)
    if (firsts.length === 0) {
      this.#add('no-prefix', `${describeRead(read)}\n  ${this.#whyNot(read, nodes, wanted)}`)
      return
    }
    for (const { type, isMet, reason } of this.#demandsOf(read, seen, session)) {
      const place = firsts.map((node) => this.#describe(node)).join(' or ')
      nodes = nodes.map(isMet)
      firsts = this.#firstsOf(nodes, wanted)
      if (firsts.length > 0) continue
      this.#add(type, `${describeRead(read)}\n  is the state ${place}; ${reason}`)
      return
    }
    if (read.level !== 'local') {
      session.lasting.set(read.member, this.#earliest(firsts))
      this.#shown.set(read, Math.min(...firsts.map((node) => this.#branches.depthOf(node))))
    }
    if (read.atLeast) session.nodes = this.#earliest(firsts)
  }

  #sessionOf({ session, start, end }: Read): Session {
    const nothing = { end: -Infinity, nodes: [], lasting: new Map<unknown, Node[]>() }
    const known = this.#sessions.get(session) ?? nothing
    this.#sessions.set(session, known)
    if (start < known.end) throw new Error(`session ${session} reads twice at ${start}`)
    known.end = end
    return known
  }

  #nodesOf({ snapshot }: Read): Nodes[] {
    if (!snapshot) {
      return Array.from({ length: this.#branches.reigns }, (_, i) => this.#branches.nodesOf(i))
    }
    const { lsn, term } = snapshot
    const at =
      term === undefined ? this.#branches.nodesAt(lsn) : [this.#branches.nodeAt({ term, lsn })]
    return at.map(({ reign, count }) => ({ reign, low: count, high: count }))
  }

  #firstsOf(nodes: readonly Nodes[], wanted: readonly Wanted[]): Node[] {
    return nodes.flatMap((some) => this.#branches.first(some, wanted) ?? [])
  }

  // Without those that others are a part of.
  #earliest(nodes: readonly Node[]): Node[] {
    return nodes.filter(
      (node) =>
        !nodes.some(
          (other) => this.#branches.contains(node, other) && !this.#branches.contains(other, node),
        ),
    )
  }

  #demandsOf(read: Read, seen: number, { nodes: withToken, lasting }: Session): Demand[] {
    const branches = this.#branches
    const { level, start, end, atLeast, maxLag, member } = read
    const demands: Demand[] = []
    const add = (type: Anomaly, isMet: Demand['isMet'], reason: string) => {
      demands.push({ type, isMet, reason })
    }
    add('future-read', (nodes) => branches.startedBy(nodes, end), `that began behind ${end}`)
    if (level !== 'local') {
      add('rolled-back-read', (nodes) => branches.surviving(nodes), 'that does not survive')
    }
    if (level === 'linearizable') {
      const depth = Math.max(seen, this.#acknowledged.before(start))
      const reason = `more was acknowledged or shown before ${start}`
      add('stale-read', (nodes) => branches.reaching(nodes, depth), reason)
    }
    if (maxLag !== undefined) {
      const depth = this.#acknowledged.before(start - maxLag)
      const reason = `more was acknowledged before ${start - maxLag}`
      add('lagging-read', (nodes) => branches.reaching(nodes, depth), reason)
    }
    const addBehind = (before: readonly Node[]) => {
      const isMet = (nodes: Nodes) => this.#behind(nodes, before)
      const states = before.map((node) => this.#describe(node)).join(' or ')
      add('went-back', isMet, `the session had seen that ${states}`)
    }
    if (atLeast) {
      const token = branches.nodeAt(atLeast)
      const reason = `its token is the state ${this.#describe(token)}`
      add('token-ignored', (nodes) => branches.containing(nodes, token), reason)
      addBehind(withToken)
    }
    if (level !== 'local') addBehind(lasting.get(member) ?? [])
    return demands
  }

  // Those that have everything of one of the others.
  #behind(nodes: Nodes, others: readonly Node[]): Nodes {
    if (others.length === 0) return nodes
    const behind = others
      .map((other) => this.#branches.containing(nodes, other))
      .filter(({ low, high }) => low <= high)
    const low = Math.min(...behind.map((some) => some.low))
    return { ...nodes, low, high: behind.length > 0 ? nodes.high : -1 }
  }

  #describe(node: Node): string {
    const commit = this.#branches.commitOf(node)
    return commit ? `after ${describeCommit(commit)}` : 'before all commits'
  }

  #whyNot({ snapshot }: Read, nodes: readonly Nodes[], wanted: readonly Wanted[]): string {
    if (!snapshot) return 'is the state after no prefix'
    return nodes
      .map(({ reign, low }) => {
        const node = { reign, count: low }
        const differences = this.#branches.differences(node, wanted).join(', ')
        return `${this.#describe(node)} ${differences}`
      })
      .join('\n  ')
  }
}

const wantedOf = ({ values, whole }: Read): Wanted[] => {
  const wanted = Object.entries(values).map(([key, value]): Wanted => [key, JSON.stringify(value)])
  if (!whole) return wanted
  return [...wanted, [null, `${wanted.filter(([, word]) => word !== 'null').length}`]]
}

const describeCommit = ({ id, at }: Commit) => `${id} (term ${at.term}, LSN ${at.lsn})`

const describeRead = ({ session, member, start, end, level, values, whole, snapshot }: Read) => {
  const rows = Object.entries(values).map(([key, value]) => `${key} ${JSON.stringify(value)}`)
  const at = snapshot ? ` at LSN ${snapshot.lsn}` : ''
  const all = whole ? ' and nothing else' : ''
  return `${session} at member ${member} [${start}, ${end}] ${level}${at}: ${rows.join(', ')}${all}`
}

/** Whether the commits and reads may be those of a group that keeps its promises. */
export const check = (history: History): Verdict => {
  const checker = new Checker(history)
  checker.run()
  const counts = new Map<Anomaly, number>()
  const anomalies = checker.found.filter(({ type }) => {
    const count = (counts.get(type) ?? 0) + 1
    counts.set(type, count)
    return count <= perType
  })
  return { valid: checker.found.length === 0, anomalies, counts }
}

/** The anomalies as a person reads them, for the message of a test that has failed. */
export const report = ({ anomalies, counts }: Verdict): string => {
  const totals = [...counts].map(([type, count]) => `${type}: ${count}`).join(', ')
  return [totals, ...anomalies.map(({ type, text }) => `${type}\n${text}`)].join('\n')
}
