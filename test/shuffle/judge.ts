// Judges what a round has left: the logs of its members, the records of its clients, and the rows
// that each member has shown in the end. Whoever was told that something is there finds it, whoever
// was told that it is not does not; reads at replicas are states after prefixes of what primaries
// have committed; lasting writes and linearizable reads are linearizable; all members are the same.
import * as linearizability from '../support/linearizability/check.js'
import type { Operation } from '../support/linearizability/history.js'
import * as prefixes from '../support/prefixes/check.js'
import type { Commit, Read } from '../support/prefixes/history.js'
import { lastKey, type Shown } from './orders.js'
import { readLines, type Begun, type Claimed, type Ended, type ReadDone } from './record.js'
import { Tree, type Committed } from './tree.js'

export interface Left {
  directory: string
  members: readonly number[]
  /** Files. */
  records: readonly string[]
  shown: readonly Shown[]
  /** Whether the group has come to an end; what it has left means little otherwise. */
  settled: boolean
}

export interface Counts {
  writes: number
  reads: number
  /** Of the writes: acknowledged, refused, and those that nobody was told about. */
  acknowledged: number
  refused: number
  unknown: number
  /** Of those: found out later, by their tokens. */
  resolved: number
  /** Transactions in logs, and those of them that were rolled back. */
  commits: number
  rolledBack: number
  reigns: number
  /** Keys whose history was too long to judge. */
  undecided: number
}

export interface Judged {
  counts: Counts
  problems: string[]
}

interface Written extends Begun {
  ended: Ended | undefined
  claims: Claimed[]
  committed: Committed | undefined
}

const isList = (key: string) => key.startsWith('l') && key !== lastKey
const isRegister = (key: string) => key.startsWith('r')

/** When it was said to be there for good; undefined: nobody has said so. */
const lastingSince = ({ ended, lasting, claims }: Written): number | undefined => {
  if (ended?.outcome === 'ok' && lasting) return ended.at
  const times = claims.filter(({ fate }) => fate === 'committed').map(({ at }) => at)
  return times.length > 0 ? Math.min(...times) : undefined
}

class Judge {
  readonly problems: string[]
  readonly #tree: Tree
  readonly #writes = new Map<number, Written>()
  readonly #reads: ReadDone[] = []
  readonly #shown: readonly Shown[]
  #undecided = 0

  constructor({ directory, members, records, shown }: Left) {
    this.#tree = new Tree(directory, members)
    this.problems = [...this.#tree.problems]
    this.#shown = shown
    this.#take(records)
    for (const commit of this.#tree.commits) {
      const written = this.#writes.get(idOf(commit))
      if (written) written.committed = commit
    }
  }

  #take(records: readonly string[]): void {
    const lines = records.flatMap(readLines)
    for (const line of lines) {
      if (line.event === 'read') this.#reads.push(line)
      if (line.event !== 'begin') continue
      this.#writes.set(line.id, { ...line, ended: undefined, claims: [], committed: undefined })
    }
    for (const line of lines) {
      const written = 'id' in line ? this.#writes.get(line.id) : undefined
      if (line.event === 'end' && written) written.ended = line
      if (line.event === 'claim') written?.claims.push(line)
    }
  }

  run(): void {
    for (const written of this.#writes.values()) this.#judgeWrite(written)
    this.#judgeRows()
    this.#judgePrefixes()
    // Where that has found something, this would take long to say it again.
    if (this.problems.length === 0) this.#judgeOrder()
  }

  // What was said of one write.
  #judgeWrite(written: Written): void {
    const { id, ended, claims, committed } = written
    const say = (text: string) => {
      const at = committed ? ` (reign ${committed.at.term}, LSN ${committed.at.lsn})` : ''
      this.problems.push(`write ${id}${at} ${text}`)
    }
    if (ended?.outcome === 'failed' && committed) say('was refused, and is in a log')
    if (ended?.outcome === 'ok' && !committed) say('was acknowledged, and is in no log')
    const { place } = ended ?? {}
    if (place && committed && place.lsn !== committed.at.lsn) say(`has a receipt of ${place.lsn}`)
    if (place && committed && place.term !== committed.counter) {
      say(`has a receipt of term ${place.term}, not ${committed.counter}`)
    }
    if (lastingSince(written) !== undefined && !committed?.survives) {
      say('was said to last, and is lost')
    }
    if (claims.some(({ fate }) => fate === 'gone') && committed?.survives) {
      say('was said to be gone, and is there')
    }
  }

  #judgeRows(): void {
    const expected = new Map<string, unknown>()
    const surviving = this.#tree.commits.filter(({ survives }) => survives)
    surviving.sort((a, b) => a.at.lsn - b.at.lsn)
    for (const { writes } of surviving) {
      for (const [key, value] of writes) expected.set(key, value)
    }
    const wanted = JSON.stringify([...expected].sort(([a], [b]) => (a < b ? -1 : 1)))
    this.#shown.forEach(({ rows }, i) => {
      if (JSON.stringify(rows) !== wanted) this.problems.push(`member ${i + 1} has other rows`)
    })
  }

  #commitOf(commit: Committed): Commit {
    const id = idOf(commit)
    const written = this.#writes.get(id)
    const writes = Object.fromEntries(commit.writes)
    const { at } = commit
    if (!written) return { event: 'commit', id: `at ${at.term}:${at.lsn}`, at, start: 0, writes }
    const since = lastingSince(written)
    const isTold = written.ended?.outcome === 'ok'
    const end = since ?? (isTold ? written.ended?.at : undefined)
    const acknowledged = since === undefined ? 'local' : 'durable'
    const told = end === undefined ? {} : ({ end, acknowledged } as const)
    return { event: 'commit', id, at, start: written.at, writes, ...told }
  }

  #judgePrefixes(): void {
    const reads = this.#reads.flatMap((read, i): Read[] => {
      const { atLeast: id, ...others } = read
      // What is local may be taken back, and what was local may not be durable yet.
      const session = read.level === 'local' ? `${read.session} ${i}` : read.session
      const rest = { ...others, session }
      if (id === undefined) return [rest]
      const atLeast = this.#writes.get(id)?.committed?.at
      if (!atLeast) this.problems.push(`a read has seen write ${id}, which is in no log`)
      return atLeast ? [{ ...rest, atLeast }] : []
    })
    const commits = this.#tree.commits.map((commit) => this.#commitOf(commit))
    try {
      const verdict = prefixes.check({ reigns: this.#tree.reigns, commits, reads })
      if (!verdict.valid) this.problems.push(prefixes.report(verdict))
    } catch (error) {
      this.problems.push(`no history of a group: ${(error as Error).message}`)
    }
  }

  #judgeOrder(): void {
    const writes = [...this.#writes.values()].flatMap(operationsOfWrite)
    const reads = this.#reads.filter(({ level }) => level === 'linearizable')
    const verdict = linearizability.check([...writes, ...reads.flatMap(operationsOfRead)])
    this.#undecided = verdict.gaveUp.length
    if (verdict.failed > 0) this.problems.push(linearizability.report(verdict))
  }

  get counts(): Counts {
    const writes = [...this.#writes.values()]
    const outcomes = writes.map(({ ended }) => ended?.outcome ?? 'unknown')
    const count = (outcome: string) => outcomes.filter((one) => one === outcome).length
    const { commits, reigns } = this.#tree
    return {
      ...{ writes: writes.length, reads: this.#reads.length, acknowledged: count('ok') },
      ...{ refused: count('failed'), unknown: count('unknown') },
      resolved: writes.filter(({ ended, claims }) => ended?.outcome !== 'ok' && claims.length > 0)
        .length,
      commits: commits.length,
      rolledBack: commits.filter(({ survives }) => !survives).length,
      ...{ reigns: reigns.length - 1, undecided: this.#undecided },
    }
  }
}

// Of the client's write: what it has put, or appended.
const idOf = ({ writes }: Committed): number => {
  const value = writes[0]?.[1]
  return Number(Array.isArray(value) ? value.at(-1) : value)
}

const operationsOfWrite = (written: Written): Operation[] => {
  const { id, at, f, keys, ended, committed } = written
  const completed = lastingSince(written)
  // Nobody will ever see what the group has gone on without, and nobody has waited for the rest.
  const open = committed?.survives ? 'unknown' : 'failed'
  const outcome = completed === undefined ? open : 'ok'
  // Only what lasts has found what lasts.
  const found = outcome === 'ok' ? ended?.found : undefined
  const call = (): Operation['call'] => {
    if (f === 'append') return { f, value: id, ...(found ? { result: found } : {}) }
    if (f === 'put' || found === undefined) return { f: 'put', value: id }
    return { f, expected: found, value: id, result: true }
  }
  const times = { invoked: at, completed: outcome === 'failed' ? at : completed }
  return keys.map((key) => ({
    ...{ id: `${id} ${key}`, process: Math.floor(id / 1e6), key, call: call(), outcome },
    ...times,
  }))
}

const operationsOfRead = ({ session, start, end, values }: ReadDone): Operation[] =>
  Object.entries(values)
    .filter(([key]) => isList(key) || isRegister(key))
    .map(([key, value]) => {
      const call = isList(key)
        ? { f: 'read', result: (value ?? []) as number[] }
        : { f: 'get', result: value as number | null }
      return {
        ...{ id: `${session} ${start} ${key}`, process: session, key },
        ...{ call: call as Operation['call'], invoked: start, completed: end, outcome: 'ok' },
      }
    })

const nothing: Counts = {
  ...{ writes: 0, reads: 0, acknowledged: 0, refused: 0, unknown: 0, resolved: 0 },
  ...{ commits: 0, rolledBack: 0, reigns: 0, undecided: 0 },
}

export const judge = (left: Left): Judged => {
  if (!left.settled) return { counts: nothing, problems: [] }
  const judge = new Judge(left)
  judge.run()
  return { counts: judge.counts, problems: judge.problems }
}
