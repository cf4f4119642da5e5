// The group at work: three members come up, the cities are loaded, the primary is killed on the
// way, the others elect, the dead one comes back; until every transaction is acknowledged and every
// member has applied it.
import type { Progress } from '../progress.js'
import { MemberProcess } from './member-process.js'
import type { News } from './messages.js'

/** When the primary is killed, and when it comes back: shares of all transactions. */
const killAt = 0.4
const comeBackAt = 0.6

export interface RunOptions {
  directories: string[]
  records: number
  batchSize: number
  outstanding: number
  progress: Progress
  /** Show what the members say. */
  verbose: boolean
}

export interface RunResult {
  /** Batches whose acknowledgement has arrived here. */
  acknowledged: Set<number>
  /** From the first acknowledgement to the last, all of it. */
  seconds: number
  /** From the kill to the election of another primary, and to its first acknowledgement. */
  electionMs: number
  failOverMs: number
  /** From the start of the dead member's process until it had caught up. */
  rejoinMs: number
  /** Members that have rolled back what no majority had. */
  rollBacks: number
  /** Cities that the second primary found there: committed, not acknowledged to anybody. */
  takenOver: number
  snapshots: number
  seenWhole: number
  seenTorn: number
}

interface Milestone {
  reached: () => boolean
  resolve: () => void
}

export class Run {
  readonly #options: RunOptions
  readonly #members: MemberProcess[]
  readonly #total: number
  readonly #failure = new AbortController()
  readonly #acknowledged = new Set<number>()
  #milestones: Milestone[] = []
  #primary: MemberProcess
  #victim: MemberProcess | undefined
  #successorCount = 0 // acknowledgements of others than the victim, since it was killed
  #rollBacks = 0
  #takenOver = 0
  #began = 0
  #ended = 0

  constructor(options: RunOptions) {
    this.#options = options
    this.#total = Math.ceil(options.records / options.batchSize)
    this.#members = options.directories.map((path, i) => new MemberProcess(i + 1, path))
    const [first] = this.#members
    if (!first) throw new Error('no members')
    this.#primary = first
    for (const member of this.#members) {
      member.on('news', (news) => {
        this.#onNews(member, news)
      })
      member.on('gone', (reason) => {
        this.fail(new Error(`member ${member.member} has ended: ${reason}`))
      })
    }
  }

  /** Rejects with what `fail` was given, too. */
  async run(): Promise<RunResult> {
    try {
      return await this.#run()
    } catch (error) {
      throw this.#failure.signal.aborted ? this.#failure.signal.reason : error
    }
  }

  fail(error: Error): void {
    this.#failure.abort(error)
    for (const { resolve } of this.#milestones) resolve()
  }

  /** Ends all processes; gives the members that were killed last. */
  async end(): Promise<MemberProcess[]> {
    await Promise.all(this.#members.map((member) => member.end()))
    return this.#members.filter(({ killed }) => killed)
  }

  async #run(): Promise<RunResult> {
    const { signal } = this.#failure
    await this.#begin()
    this.#load(this.#primary)
    await this.#until(() => this.#acknowledged.size >= killAt * this.#total)
    const { electionMs, failOverMs, victim } = await this.#failOver()
    await this.#until(() => this.#acknowledged.size >= comeBackAt * this.#total)
    const rejoinMs = await this.#rejoin(victim)
    await this.#until(() => this.#acknowledged.size === this.#total)
    this.#primary.tell({ kind: 'settle' })
    await this.#primary.until('settled', signal)
    await this.end()
    const queries = this.#members.map((member) => member.queries)
    return {
      acknowledged: this.#acknowledged,
      seconds: (this.#ended - this.#began) / 1000,
      electionMs,
      failOverMs,
      rejoinMs,
      rollBacks: this.#rollBacks,
      takenOver: this.#takenOver,
      snapshots: queries.reduce((sum, { snapshots }) => sum + snapshots, 0),
      seenWhole: queries.reduce((sum, { whole }) => sum + whole, 0),
      seenTorn: queries.reduce((sum, { torn }) => sum + torn, 0),
    }
  }

  // The first one begins the group, the others call it and learn the rest from it.
  async #begin(): Promise<void> {
    const { signal } = this.#failure
    const first = this.#primary
    this.#start(first, true)
    await first.until('primary', signal)
    const others = this.#members.filter((member) => member !== first)
    for (const other of others) this.#start(other, false)
    for (const other of others) await other.until('caughtUp', signal)
    this.#say(`member 1 leads, 2 and 3 follow and answer queries`)
  }

  async #failOver(): Promise<{ electionMs: number; failOverMs: number; victim: MemberProcess }> {
    const victim = this.#primary
    this.#victim = victim
    this.#say(`killed member ${victim.member}, the primary, at ${this.#percent} %`)
    const killedAt = performance.now()
    const dead = victim.kill()
    await this.#until(() => this.#primary !== victim)
    const electionMs = performance.now() - killedAt
    await this.#until(() => this.#successorCount > 0)
    const failOverMs = performance.now() - killedAt
    await dead
    const { member } = this.#primary
    this.#say(`member ${member} leads and commits, ${Math.round(failOverMs)} ms after that`)
    return { electionMs, failOverMs, victim }
  }

  async #rejoin(victim: MemberProcess): Promise<number> {
    const began = performance.now()
    this.#start(victim, false)
    await victim.until('caughtUp', this.#failure.signal)
    const rejoinMs = performance.now() - began
    const ms = Math.round(rejoinMs)
    this.#say(`member ${victim.member} is back as a replica; caught up after ${ms} ms`)
    return rejoinMs
  }

  #start(member: MemberProcess, found: boolean): void {
    const { records } = this.#options
    const others = this.#members.filter((other) => other !== member && !other.killed)
    const remotes = others.map(({ address }) => address).filter((address) => address !== '')
    member.start({ found, remotes, records, members: this.#members.length })
  }

  // Whatever is not acknowledged yet.
  #load(member: MemberProcess): void {
    const { batchSize, outstanding } = this.#options
    const all = Uint32Array.from({ length: this.#total }, (_, batch) => batch)
    const batches = all.filter((batch) => !this.#acknowledged.has(batch))
    member.tell({ kind: 'load', batches, batchSize, outstanding })
  }

  #onNews(member: MemberProcess, news: News): void {
    if (news.kind === 'said' && this.#options.verbose) this.#say(`${member.member}: ${news.text}`)
    else if (news.kind === 'rolledBack') this.#rollBacks += 1
    else if (news.kind === 'primary') this.#onPrimary(member)
    else if (news.kind === 'acknowledged') this.#onAcknowledged(member, news)
    this.#milestones = this.#milestones.filter(({ reached, resolve }) => {
      if (!reached()) return true
      resolve()
      return false
    })
  }

  // Also when nobody was killed: a primary may lose its group for a while, on a busy machine.
  #onPrimary(member: MemberProcess): void {
    this.#primary = member
    if (this.#began !== 0) this.#load(member)
  }

  #onAcknowledged(
    member: MemberProcess,
    { batches, foundThere }: Extract<News, { kind: 'acknowledged' }>,
  ): void {
    const { batchSize, records, progress } = this.#options
    this.#ended = performance.now()
    if (this.#began === 0) this.#began = this.#ended
    for (const batch of batches) this.#acknowledged.add(batch)
    this.#takenOver += foundThere
    if (this.#victim && member !== this.#victim) this.#successorCount += batches.length
    const count = this.#acknowledged.size
    progress.update(Math.min(count * batchSize, records), count)
  }

  async #until(reached: () => boolean): Promise<void> {
    if (!reached()) {
      await new Promise<void>((resolve) => this.#milestones.push({ reached, resolve }))
    }
    this.#failure.signal.throwIfAborted()
  }

  get #percent(): number {
    return Math.round((100 * this.#acknowledged.size) / this.#total)
  }

  #say(text: string): void {
    this.#options.progress.say(text)
  }
}
