// Runs the workers until every city is acknowledged, and kills them on the way: one of them when it
// has done 20 to 50 % of its share; all of them and the observer at 55 to 85 % of everything, if
// that is asked for.
import type { Observed, Report, Task } from './messages.js'
import type { Progress } from '../progress.js'
import type { Share } from './share.js'
import { Watch } from './watch.js'

const randomBetween = (low: number, high: number) => low + (high - low) * Math.random()

export interface Loading {
  transactions: number
  flushes: number
  /** From the first acknowledgement to the last. */
  seconds: number
  kills: number
  /** Cities that a successor found there: committed, and the acknowledgement had not arrived. */
  takenOver: number
  observed: Observed
}

export interface LoadJobOptions {
  task: Omit<Task, 'batches'>
  killAll: boolean
  progress: Progress
}

export class LoadJob {
  readonly #shares: Share[]
  readonly #task: Omit<Task, 'batches'>
  readonly #progress: Progress
  readonly #total: number
  readonly #victim: Share
  readonly #victimAt: number
  readonly #allAt: number
  #watch: Watch | undefined
  #victimKilled = false
  #allKilled = false
  #kills = 0
  #takenOver = 0
  #flushesBefore = 0 // of earlier regions: the counter starts again when all processes are gone
  #flushes = 0
  #began = 0
  #ended = 0

  constructor(shares: Share[], { task, killAll, progress }: LoadJobOptions) {
    this.#shares = shares
    this.#task = task
    this.#progress = progress
    this.#total = shares.reduce((sum, { batches }) => sum + batches.length, 0)
    const victim = shares[Math.floor(Math.random() * shares.length)]
    if (!victim) throw new Error('no shares')
    this.#victim = victim
    this.#victimAt = victim.batches.length * randomBetween(0.2, 0.5)
    this.#allAt = killAll ? this.#total * randomBetween(0.55, 0.85) : Infinity
  }

  async run(): Promise<Loading> {
    let observed = await this.#runAll()
    if (observed === undefined) {
      this.#flushesBefore = this.#flushes
      this.#flushes = 0
      observed = await this.#runAll()
    }
    if (observed === undefined) throw new Error('the observer was killed twice')
    return {
      transactions: this.#count,
      flushes: this.#flushesBefore + this.#flushes,
      seconds: (this.#ended - this.#began) / 1000,
      kills: this.#kills,
      takenOver: this.#takenOver,
      observed,
    }
  }

  /** Kills whatever runs. */
  stop(): void {
    for (const share of this.#shares) share.kill()
    void this.#watch?.kill()
  }

  // undefined: everybody was killed on the way.
  async #runAll(): Promise<Observed | undefined> {
    const killedBefore = this.#allKilled
    const watch = new Watch(this.#task)
    this.#watch = watch
    await Promise.all(
      this.#shares.map(async (share) => {
        while (!share.done && this.#allKilled === killedBefore) {
          await share.run(this.#task, (report) => {
            this.#onReport(report)
          })
        }
      }),
    )
    if (this.#allKilled === killedBefore) return watch.stop()
    await watch.kill()
    return undefined
  }

  get #count(): number {
    return this.#shares.reduce((sum, { acknowledged }) => sum + acknowledged.size, 0)
  }

  #onReport({ flushes, foundThere }: Report): void {
    this.#ended = performance.now()
    if (this.#began === 0) this.#began = this.#ended
    this.#flushes = Math.max(this.#flushes, flushes)
    this.#takenOver += foundThere
    const count = this.#count
    const cities = Math.min(count * this.#task.batchSize, this.#task.records)
    this.#progress.update(cities, count)
    if (!this.#victimKilled && this.#victim.acknowledged.size >= this.#victimAt) this.#killVictim()
    if (!this.#allKilled && count >= this.#allAt && count < this.#total) this.#killAll(count)
  }

  #killVictim(): void {
    this.#victimKilled = true
    this.#kills += 1
    this.#victim.kill()
    const number = this.#shares.indexOf(this.#victim) + 1
    const share = Math.round((100 * this.#victim.acknowledged.size) / this.#victim.batches.length)
    this.#progress.say(`killed worker ${number} at ${share} % of its share; another one takes over`)
  }

  #killAll(count: number): void {
    this.#allKilled = true
    this.#kills += this.#shares.filter(({ done }) => !done).length + 1
    this.stop()
    const share = Math.round((100 * count) / this.#total)
    this.#progress.say(`killed all processes at ${share} % of all transactions`)
  }
}
