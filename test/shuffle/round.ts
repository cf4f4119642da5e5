// One round: a new group works for some time while its messages are shuffled and its members are
// killed, paused and called to elections. Then all is healed, and has to come to one state.
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { randomNumbers } from '../support/history/simulator.js'
import { judge, type Judged } from './judge.js'
import type { Settings, Shown } from './orders.js'
import { Processes, type Events } from './processes.js'
import { Shuffler, type Carried } from './shuffler.js'

export interface RoundOptions {
  /** Exists and is empty. */
  directory: string
  seed: number
  seconds: number
  members: number
}

export interface RoundResult {
  settings: Settings
  carried: Carried
  events: Events
  counts: Judged['counts']
  /** None where everything is as it has to be. */
  problems: string[]
}

const healedWithinMs = 60_000

const settingsFor = (members: number, random: () => number): Settings => ({
  members,
  segmentBytes: random() < 0.5 ? 65_536 : 262_144,
  oneByOne: random() < 0.5,
  writers: 3 + Math.floor(random() * 4),
  readers: 2,
  pauseMs: 4 + Math.floor(random() * 16),
})

class Round {
  readonly #options: RoundOptions
  readonly #settings: Settings
  readonly #random: () => number
  readonly #processes: Processes
  readonly #shuffler: Shuffler
  readonly #ids: number[]
  readonly #returns = new Set<Promise<void>>()
  #isOver = false

  constructor(options: RoundOptions) {
    const { seed, members, directory } = options
    this.#options = options
    this.#random = randomNumbers(seed)
    this.#settings = settingsFor(members, this.#random)
    this.#ids = Array.from({ length: members }, (_, i) => i + 1)
    this.#processes = new Processes(directory, this.#settings, this.#random)
    this.#shuffler = new Shuffler(this.#ids, this.#random, (to, message) => {
      message.deliver(to)
    })
    this.#processes.shuffler = this.#shuffler
  }

  async run(): Promise<RoundResult> {
    const { problems } = this.#processes
    let shown: Shown[] = []
    try {
      await this.#begin()
      await this.#disturb()
      shown = await this.#settle()
    } catch (error) {
      problems.push((error as Error).message)
    } finally {
      this.#isOver = true
      await Promise.allSettled(this.#returns)
      await this.#processes.endAll()
      this.#shuffler.stop()
    }
    const { directory } = this.#options
    const settled = problems.length === 0
    const { records, events } = this.#processes
    const judged = judge({ directory, members: this.#ids, records, shown, settled })
    for (const { stat } of shown) events.snapshots = Math.max(events.snapshots, stat.snapshots)
    return {
      ...{ settings: this.#settings, carried: this.#shuffler.carried, events },
      ...{ counts: judged.counts, problems: [...problems, ...judged.problems] },
    }
  }

  async #begin(): Promise<void> {
    await Promise.all(this.#ids.map((id) => this.#processes.add(id)))
    for (const id of this.#ids) {
      await this.#processes.ask(id, { what: 'start', role: id === 1 ? 'primary' : 'replica' })
    }
    for (const id of this.#ids) this.#processes.order(id, { kind: 'work', on: true })
    await pause(300)
  }

  async #disturb(): Promise<void> {
    const end = performance.now() + 1_000 * this.#options.seconds
    while (performance.now() < end && this.#processes.problems.length === 0) {
      if (this.#random() < 0.6) this.#shuffler.change()
      if (this.#random() < 0.6) this.#strike()
      await pause(200 + 1_500 * this.#random())
    }
  }

  #someone(): number {
    return this.#ids[Math.floor(this.#random() * this.#ids.length)] ?? 1
  }

  #strike(): void {
    const { primary } = this.#processes
    const member = primary !== undefined && this.#random() < 0.4 ? primary : this.#someone()
    const dice = this.#random()
    if (dice < 0.35) this.#killForAWhile([member])
    else if (dice < 0.39) this.#killForAWhile(this.#ids)
    else if (dice < 0.6) this.#pauseForAWhile(member)
    else if (dice < 0.85) this.#processes.order(member, { kind: 'elect' })
    else this.#processes.order(primary ?? member, { kind: 'stepDown' })
  }

  #after(delayMs: number, then: () => Promise<void> | void): void {
    const returned = pause(delayMs).then(then)
    this.#returns.add(returned)
    const forget = () => this.#returns.delete(returned)
    returned.then(forget, (error: unknown) => {
      forget()
      this.#processes.problems.push((error as Error).message)
    })
  }

  #killForAWhile(members: readonly number[]): void {
    for (const member of members) {
      const { alive } = this.#processes
      if (!alive.includes(member)) continue
      // Now and then longer than the others keep their logs for it.
      const absenceMs = (this.#random() < 0.2 ? 8_000 : 2_500) * this.#random()
      const killed = this.#processes.kill(member)
      this.#after(absenceMs, async () => {
        await killed
        await this.#bring(member)
      })
    }
  }

  async #bring(member: number): Promise<void> {
    if (this.#isOver) return
    await this.#processes.add(member)
    const asked = this.#processes.ask(member, { what: 'start', role: 'replica' })
    // It may be killed again meanwhile.
    await asked.catch((error: unknown) => {
      if (this.#processes.alive.includes(member)) throw error
    })
    this.#processes.order(member, { kind: 'work', on: true })
  }

  #pauseForAWhile(member: number): void {
    this.#processes.pause(member)
    this.#after(2_000 * this.#random(), () => {
      this.#processes.resume(member)
    })
  }

  // Everybody is there and can be heard: the group has to become one again.
  async #settle(): Promise<Shown[]> {
    this.#shuffler.heal()
    while (this.#returns.size > 0) await Promise.all(this.#returns)
    this.#failed()
    await Promise.all(this.#ids.map((id) => this.#processes.idle(id)))
    this.#failed()
    const token = await this.#finish()
    const show = (id: number) => this.#processes.ask(id, { what: 'show', atLeast: token })
    const shown = (await Promise.all(this.#ids.map(show))) as Shown[]
    for (const id of this.#ids) await this.#processes.end(id)
    return shown
  }

  #failed(): void {
    if (this.#processes.problems.length > 0) throw new Error('not gone on with')
  }

  async #finish(): Promise<string> {
    const deadline = performance.now() + healedWithinMs
    let reason = 'nobody leads'
    while (performance.now() < deadline) {
      const { primary } = this.#processes
      const asked =
        primary === undefined
          ? Promise.reject(new Error(reason))
          : this.#processes.ask(primary, { what: 'finish' })
      try {
        return (await asked) as string
      } catch (error) {
        reason = (error as Error).message
        await pause(100)
      }
      this.#failed()
    }
    throw new Error(`healed, and does not get on: ${reason}`)
  }
}

export const runRound = (options: RoundOptions): Promise<RoundResult> => new Round(options).run()

/** Where a round keeps its files. */
export const roundDirectory = (directory: string, round: number) => join(directory, `${round}`)
