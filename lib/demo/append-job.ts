// Runs the writers until every city is acknowledged, and kills them on the way: one of them when it
// has done 20 to 50 % of its share, all of them at 55 to 85 % of all records if that is asked for.
import type { Report } from './messages.js'
import type { Progress } from './progress.js'
import type { Writer } from './writer.js'

const randomBetween = (low: number, high: number) => low + (high - low) * Math.random()

export interface Appending {
  flushes: number
  /** From the first acknowledgement to the last. */
  seconds: number
}

export interface AppendJobOptions {
  directory: string
  outstanding: number
  killAll: boolean
  progress: Progress
}

export class AppendJob {
  readonly #writers: Writer[]
  readonly #task
  readonly #progress: Progress
  readonly #total: number
  readonly #victim: Writer
  readonly #victimAt: number
  readonly #allAt: number
  #victimKilled = false
  #allKilled = false
  #flushesBefore = 0 // of earlier regions: the counter starts again when all processes are gone
  #flushes = 0
  #began = 0
  #ended = 0

  constructor(writers: Writer[], { directory, outstanding, killAll, progress }: AppendJobOptions) {
    this.#writers = writers
    this.#progress = progress
    this.#total = writers.reduce((sum, { share }) => sum + share.length, 0)
    this.#task = { directory, records: this.#total, outstanding }
    const victim = writers[Math.floor(Math.random() * writers.length)]
    if (!victim) throw new Error('no writers')
    this.#victim = victim
    this.#victimAt = victim.share.length * randomBetween(0.2, 0.5)
    this.#allAt = killAll ? this.#total * randomBetween(0.55, 0.85) : Infinity
  }

  async run(): Promise<Appending> {
    await this.#runAll()
    if (this.#allKilled) {
      this.#flushesBefore = this.#flushes
      this.#flushes = 0
      await this.#runAll()
    }
    return {
      flushes: this.#flushesBefore + this.#flushes,
      seconds: (this.#ended - this.#began) / 1000,
    }
  }

  async #runAll(): Promise<void> {
    const killedBefore = this.#allKilled
    await Promise.all(
      this.#writers.map(async (writer) => {
        while (writer.count < writer.share.length && this.#allKilled === killedBefore) {
          await writer.run(this.#task, (report) => {
            this.#onReport(report)
          })
        }
      }),
    )
  }

  get #count(): number {
    return this.#writers.reduce((sum, { count }) => sum + count, 0)
  }

  #onReport({ flushes }: Report): void {
    this.#ended = performance.now()
    if (this.#began === 0) this.#began = this.#ended
    this.#flushes = Math.max(this.#flushes, flushes)
    const count = this.#count
    this.#progress.update(count, this.#flushesBefore + this.#flushes)
    if (!this.#victimKilled && this.#victim.count >= this.#victimAt) this.#killVictim()
    if (!this.#allKilled && count >= this.#allAt && count < this.#total) this.#killAll(count)
  }

  #killVictim(): void {
    this.#victimKilled = true
    this.#victim.kill()
    const number = this.#writers.indexOf(this.#victim) + 1
    const share = Math.round((100 * this.#victim.count) / this.#victim.share.length)
    this.#progress.say(`killed writer ${number} at ${share} % of its share`)
  }

  #killAll(count: number): void {
    this.#allKilled = true
    for (const writer of this.#writers) writer.kill()
    const share = Math.round((100 * count) / this.#total)
    this.#progress.say(`killed all writers at ${share} % of all records`)
  }
}
