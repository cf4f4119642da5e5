// When this site calls an election, and what it does with its result. The library counts votes; to
// notice that nobody leads, and to try again, is the application's part.
import { setTimeout as pause } from 'node:timers/promises'

import type { Replication } from '../../index.js'

export interface ElectionRules {
  /** All sites of the group, those that are down as well. */
  members: number
  priority: number
  /** A primary of which nothing has been heard for this long is taken for dead. */
  silenceMs: number
  /** Between two attempts: half of it to all of it, at random, so that sites get out of step. */
  pauseMs: number
  /** Of one attempt. */
  timeoutMs: number
}

export const defaultRules = { silenceMs: 1500, pauseMs: 300, timeoutMs: 2000 }

export interface ElectionsOptions {
  rep: Replication
  rules: ElectionRules
  /** How long nothing has come from a site, in milliseconds. */
  silentMs: (member: number) => number
  say: (text: string) => void
}

const looksPerSilence = 4

export class Elections {
  readonly #options: ElectionsOptions
  readonly #timer: NodeJS.Timeout
  #quietSince = performance.now()
  #running = false
  #over = false

  constructor(options: ElectionsOptions) {
    this.#options = options
    const { rep, rules } = options
    rep.on('holdElection', () => {
      this.hold('another site asks for one')
    })
    rep.on('duplicatePrimary', () => {
      this.hold('two sites lead')
    })
    rep.on('elected', () => {
      void this.#lead()
    })
    this.#timer = setInterval(() => {
      this.#look()
    }, rules.silenceMs / looksPerSilence)
    this.#timer.unref()
  }

  /** Calls elections until somebody leads. */
  hold(reason: string): void {
    const { rep, say } = this.#options
    if (this.#over || this.#running || rep.role === 'primary') return
    say(`election: ${reason}`)
    void this.#holdAll()
  }

  /** The connection to a site is lost: nobody waits for a process that has ended. */
  lost(member: number): void {
    const { rep } = this.#options
    if (rep.role !== 'primary' && rep.primary === member) this.hold(`site ${member} is gone`)
  }

  close(): void {
    this.#over = true
    clearInterval(this.#timer)
  }

  // A primary that is alive is heard several times a second.
  #look(): void {
    const { rep, rules, silentMs } = this.#options
    const now = performance.now()
    const { role, primary } = rep
    const isQuiet =
      role !== 'primary' && (primary === undefined || silentMs(primary) > rules.silenceMs)
    if (!isQuiet) this.#quietSince = now
    else if (primary !== undefined) this.hold(`nothing is heard of site ${primary}`)
    else if (now - this.#quietSince > 2 * rules.silenceMs) this.hold('nobody leads')
  }

  async #holdAll(): Promise<void> {
    const { rep, rules, say } = this.#options
    const { members, priority, timeoutMs } = rules
    this.#running = true
    try {
      while (!this.#over) {
        try {
          const { elected, primary } = await rep.elect({ members, priority, timeoutMs })
          if (elected || primary !== undefined) return
        } catch (error) {
          if (this.#isLed()) return
          say(`no result: ${(error as Error).message}`)
        }
        await pause(rules.pauseMs * (0.5 + 0.5 * Math.random()), undefined, { ref: false })
        if (this.#isLed()) return
      }
    } finally {
      this.#running = false
      this.#quietSince = performance.now()
    }
  }

  // Or nobody has to lead any more.
  #isLed(): boolean {
    const { rep, rules, silentMs } = this.#options
    if (this.#over || rep.role === 'primary') return true
    return rep.primary !== undefined && silentMs(rep.primary) < rules.silenceMs
  }

  async #lead(): Promise<void> {
    const { rep, say } = this.#options
    try {
      await rep.start('primary')
    } catch (error) {
      if (!this.#over) say(`elected, but: ${(error as Error).message}`)
    }
  }
}
