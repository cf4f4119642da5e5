// All logs of a round's members as one tree: what has been committed anywhere, in which reign, what
// it continued, and whether it is in the log that the group has settled on.
import {
  ballotOf,
  readArchive,
  readDiscarded,
  readLogFiles,
  writesOf,
  type LogRecord,
  type Write,
} from '../support/log-files.js'
import type { Position, Reign } from '../support/prefixes/history.js'
import { directoriesOf } from './processes.js'

export interface Committed {
  /** The number of its reign in the order of ballots, and the end of its record. */
  at: Position
  /** The counter of that reign's ballot: what receipts call the term. */
  counter: number
  writes: [key: string, value: unknown][]
  survives: boolean
}

interface Node {
  record: LogRecord
  parent: Node | undefined
  reign: number
}

/** Before the first reign. */
const noReign = 0
const firstLsn = 4096

const wordOf = ({ counter, incarnation }: ReturnType<typeof ballotOf>) =>
  `${`${counter}`.padStart(10, '0')} ${`${incarnation}`.padStart(20, '0')}`

const valuesOf = (writes: readonly Write[]): [string, unknown][] =>
  writes.map(([key, value]) => [key, value === null ? null : JSON.parse(value)])

export class Tree {
  readonly problems: string[] = []
  readonly reigns: Reign[] = [{ event: 'reign', term: noReign }]
  readonly commits: Committed[] = []
  readonly #nodes = new Map<string, Node>()
  readonly #surviving = new Set<Node>()

  constructor(directory: string, members: readonly number[]) {
    const tips: [member: number, tip: LogRecord | undefined][] = []
    for (const member of members) {
      const { environment, archive } = directoriesOf(directory, member)
      const log = readLogFiles(environment)
      tips.push([member, log.at(-1)])
      for (const record of [...log, ...readArchive(archive), ...readDiscarded(environment)]) {
        this.#nodes.set(record.name, { record, parent: undefined, reign: noReign })
      }
    }
    this.#link()
    this.#markSurvivors(tips)
    this.#collect()
  }

  #link(): void {
    const starts = [...this.#nodes.values()].filter(({ record }) => record.type === 'termStart')
    const ballots = starts.map(({ record }) => wordOf(ballotOf(record)))
    const reigns = new Map([...new Set(ballots)].sort().map((word, i) => [word, i + 1]))
    const nodes = [...this.#nodes.values()].sort((a, b) => a.record.lsn - b.record.lsn)
    for (const node of nodes) {
      const { record } = node
      node.parent = this.#nodes.get(record.before)
      if (!node.parent && record.lsn > firstLsn) {
        this.problems.push(`the log has a gap before ${record.lsn}, term ${record.term}`)
      }
      const own = record.type === 'termStart' ? reigns.get(wordOf(ballotOf(record))) : undefined
      node.reign = own ?? node.parent?.reign ?? noReign
      if (own === undefined) continue
      const { parent } = node
      const from = { term: parent?.reign ?? noReign, lsn: parent?.record.end ?? 0 }
      this.reigns.push({ event: 'reign', term: own, from })
    }
  }

  #markSurvivors(tips: readonly [member: number, tip: LogRecord | undefined][]): void {
    const paths = tips.map(([member, tip]) => {
      const path: Node[] = []
      for (let at = tip && this.#nodes.get(tip.name); at; at = at.parent) path.push(at)
      return { member, path: path.reverse() }
    })
    const orderOf = ({ path }: { path: Node[] }) => path.at(-1)?.reign ?? noReign
    const [newest] = paths.toSorted(
      (a, b) => orderOf(b) - orderOf(a) || b.path.length - a.path.length,
    )
    for (const node of newest?.path ?? []) this.#surviving.add(node)
    const commitsIn = (path: readonly Node[]) =>
      path.filter(({ record }) => record.type === 'transaction')
    const count = commitsIn(newest?.path ?? []).length
    for (const { member, path } of paths) {
      const own = commitsIn(path)
      const strange = own.find((node) => !this.#surviving.has(node))
      if (strange) this.problems.push(`member ${member} has another log at ${strange.record.lsn}`)
      else if (own.length !== count) {
        this.problems.push(`member ${member} has ${own.length} of ${count} commits in its log`)
      }
    }
    const latest = Math.max(...this.reigns.map(({ term }) => term))
    if (newest && orderOf(newest) !== latest) {
      this.problems.push(`reign ${latest} came last, and the group follows ${orderOf(newest)}`)
    }
  }

  #collect(): void {
    for (const node of this.#nodes.values()) {
      const { record, reign } = node
      if (record.type !== 'transaction') continue
      const writes = valuesOf(writesOf(record))
      if (writes.length === 0) continue
      const at = { term: reign, lsn: record.end }
      const survives = this.#surviving.has(node)
      this.commits.push({ at, counter: record.term, writes, survives })
    }
  }
}
