// Histories of a group in memory that keeps what its reads promise, or breaks it in a known way:
// what the checker is tested with. Primaries commit, replicas lag, reigns end and what was not
// durable is rolled back, member by member; all by a seed.
import { randomNumbers } from '../history/simulator.js'
import type { Commit, History, Position, Read, Reign } from './history.js'

export type Fault =
  | 'stale' // linearizable reads are those of the member, however old
  | 'lags' // maxLag is ignored
  | 'forgets-tokens' // atLeast is ignored
  | 'undurable' // durable reads see all that is applied
  | 'half' // a commit is visible before all of it is
  | 'skips' // members sometimes do not apply a commit
  | 'early' // reads see what is asked for only later
  | 'loses' // new primaries begin below what is durable

export interface Simulation {
  seed: number
  /** Commits and reads and what happens between them. */
  steps: number
  fault?: Fault | undefined
}

interface Member {
  log: Commit[]
  applied: number
  durable: number
  skipped: Set<Commit>
}

interface Session {
  name: string
  token: Commit | undefined
}

const keys = ['a', 'b', 'c', 'd', 'e']
const memberCount = 3
const sessionCount = 5
const lag = 30

class Simulator {
  readonly history: History
  readonly #random: () => number
  readonly #fault: Fault | undefined
  readonly #members: Member[]
  readonly #sessions: Session[]
  #log: Commit[] = []
  #durable = 0
  #durableAt: number[] = [0] // by time
  #clock = 0
  #term = 1
  #lsn = 0
  #names = 0
  #values = 0

  constructor({ seed, fault }: Simulation) {
    this.#random = randomNumbers(seed)
    this.#fault = fault
    this.history = { reigns: [{ event: 'reign', term: 1 }], commits: [], reads: [] }
    this.#members = Array.from({ length: memberCount }, () => ({
      ...{ log: this.#log, applied: 0, durable: 0, skipped: new Set<Commit>() },
    }))
    this.#sessions = Array.from({ length: sessionCount }, () => this.#newSession())
  }

  run(steps: number): History {
    for (let step = 0; step < steps; step += 1) {
      this.#clock += 2
      const dice = this.#random()
      if (dice < 0.3) this.#commit()
      else if (dice < 0.45) this.#flush()
      else if (dice < 0.65) this.#apply(this.#members[this.#below(memberCount)])
      else if (dice < 0.665) this.#changePrimary()
      else this.#read()
      while (this.#durableAt.length <= this.#clock) this.#durableAt.push(this.#durable)
    }
    return this.history
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #newSession(): Session {
    this.#names += 1
    return { name: `s${this.#names}`, token: undefined }
  }

  #commit(): void {
    this.#lsn += 8 + this.#below(50)
    const writes: Record<string, unknown> = {}
    for (let i = 1 + this.#below(3); i > 0; i -= 1) {
      this.#values += 1
      writes[keys[this.#below(keys.length)] ?? ''] = this.#random() < 0.2 ? null : this.#values
    }
    const at = { term: this.#term, lsn: this.#lsn }
    const id = `t${this.history.commits.length + 1}`
    const commit: Commit = { event: 'commit', id, at, start: this.#clock - this.#below(8), writes }
    this.#log.push(commit)
    this.history.commits.push(commit)
    if (this.#random() < 0.2) this.#tell(commit, 'local')
  }

  #tell(commit: Commit, acknowledged: 'durable' | 'local'): void {
    commit.end = this.#clock
    commit.acknowledged = acknowledged
  }

  #flush(): void {
    const before = this.#durable
    this.#durable += this.#below(this.#log.length - before + 1)
    for (const commit of this.#log.slice(before, this.#durable)) {
      if (!commit.acknowledged && this.#random() < 0.9) this.#tell(commit, 'durable')
    }
  }

  // A member hears of the primary: of its log, some of it, and what is durable.
  #apply(member: Member | undefined): void {
    if (!member) return
    if (member.log !== this.#log) {
      const common = member.log.findIndex((commit, i) => commit !== this.#log[i])
      member.applied = Math.min(member.applied, common < 0 ? member.log.length : common)
      member.log = this.#log
    }
    const before = member.applied
    member.applied += this.#below(this.#log.length - before + 1)
    member.durable = Math.max(member.durable, Math.min(this.#durable, member.applied))
    if (this.#fault !== 'skips') return
    for (const commit of this.#log.slice(before, member.applied)) {
      if (this.#random() < 0.02) member.skipped.add(commit)
    }
  }

  #changePrimary(): void {
    const lost = this.#fault === 'loses' ? Math.min(this.#durable, 1 + this.#below(3)) : 0
    const fork = this.#durable - lost + this.#below(this.#log.length - this.#durable + 1)
    const last = this.#log[fork - 1]
    const from: Position = last ? last.at : { term: 1, lsn: 0 }
    this.#log = this.#log.slice(0, fork)
    this.#durable = Math.min(this.#durable, fork)
    this.#term += 1
    // Less than there is between commits.
    this.#lsn = from.lsn + this.#below(8)
    const reign: Reign = { event: 'reign', term: this.#term, from: { ...from, lsn: this.#lsn } }
    this.history.reigns.push(reign)
  }

  #read(): void {
    const session = this.#below(sessionCount)
    const { name, token } = this.#sessions[session] ?? this.#newSession()
    const at = this.#below(memberCount)
    const member = this.#members[at]
    if (!member) return
    const level = (['local', 'durable', 'linearizable'] as const)[this.#below(3)] ?? 'local'
    const asksLag = this.#random() < 0.2
    const asksToken = token !== undefined && this.#random() < 0.6
    const due = this.#due(level, asksLag, asksToken ? token : undefined)
    if (due === undefined) {
      // What the token stands for is gone: the read is refused, and the session begins anew.
      this.#sessions[session] = this.#newSession()
      return
    }
    // What it has of another log may not be what is due.
    const isBehind = () =>
      due > 0 &&
      (member.log !== this.#log || due > (level === 'local' ? member.applied : member.durable))
    while (isBehind()) this.#catchUp(member)
    const isLocal = level === 'local' || this.#fault === 'undurable'
    const count = isLocal ? member.applied : member.durable
    const last = member.log[count - 1]
    const read: Read = {
      ...{ event: 'read', session: name, member: at, level },
      ...{ start: this.#clock, end: this.#clock + 1, values: this.#valuesAt(member, count) },
      ...(asksLag ? { maxLag: lag } : {}),
      ...(asksToken ? { atLeast: token.at } : {}),
      ...(last && this.#random() < 0.4 ? { snapshot: this.#snapshotOf(last) } : {}),
    }
    if (this.#random() < 0.3) read.whole = Object.keys(read.values).length === keys.length
    this.history.reads.push(read)
    const known = this.#sessions[session]
    if (known && last && (asksToken || !token)) known.token = last
  }

  #snapshotOf({ at }: Commit) {
    return this.#random() < 0.8 ? at : { lsn: at.lsn }
  }

  #catchUp(member: Member): void {
    this.#apply(member)
    if (this.#random() < 0.1) this.#flush()
  }

  // How many commits have to be there; undefined: never.
  #due(level: Read['level'], asksLag: boolean, token: Commit | undefined): number | undefined {
    let due = 0
    if (level === 'linearizable' && this.#fault !== 'stale') due = this.#durable
    if (asksLag && this.#fault !== 'lags') {
      due = Math.max(due, this.#durableAt[Math.max(0, this.#clock - lag)] ?? 0)
      due = Math.min(due, this.#log.length)
    }
    if (!token || this.#fault === 'forgets-tokens') return due
    const index = this.#log.indexOf(token)
    return index < 0 ? undefined : Math.max(due, index + 1)
  }

  #valuesAt({ log, skipped }: Member, count: number): Record<string, unknown> {
    const state = new Map<string, unknown>(keys.map((key) => [key, null]))
    const visible = log.slice(0, count)
    for (const commit of visible.filter((one) => !skipped.has(one))) {
      for (const [key, value] of Object.entries(commit.writes)) state.set(key, value)
    }
    const next = Object.entries(log[count]?.writes ?? {})[0]
    if (this.#fault === 'half' && next && this.#random() < 0.3) state.set(...next)
    if (this.#fault === 'early' && this.#random() < 0.05) {
      // The next commit of this primary will have this value: nobody knows that yet.
      state.set(keys[0] ?? '', this.#values + 1)
    }
    const wanted = this.#random() < 0.5 ? keys : keys.slice(0, 1 + this.#below(keys.length))
    return Object.fromEntries(wanted.map((key) => [key, state.get(key)]))
  }
}

export const simulate = (simulation: Simulation): History =>
  new Simulator(simulation).run(simulation.steps)
