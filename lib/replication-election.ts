// One call of `elect`: goes on until somebody leads or the time is over.
import { RingleaderError } from './errors.js'

export interface Elected {
  /** This member has won: it leads once it calls `start('primary')`. */
  elected: boolean
  /** Who has won, or leads; undefined is never given. */
  primary: number | undefined
}

export interface Ballot {
  members: number
  votes: number
  priority: number
  timeoutMs: number
}

// A vote that has failed is repeated after so long, and up to twice that: two that ask for votes at
// the same time would disturb each other for ever.
const pauseMs = 20

/** What an election needs of its member. */
export interface Electing {
  /** Asks the others. */
  call: (remainingMs: number) => void
  /** Whether what was called last is still under way. */
  isUnderWay: () => boolean
  /** The time is over. */
  expired: () => void
}

export class Election {
  readonly result: Promise<Elected>
  readonly #member: Electing
  readonly #patienceMs: number
  readonly #deadline: number
  readonly #timer: NodeJS.Timeout
  #pause: NodeJS.Timeout | undefined
  #resolve!: (elected: Elected) => void
  #reject!: (error: RingleaderError) => void

  /** `patienceMs`: how long somebody who was left to lead may take, or does so no more. */
  constructor(timeoutMs: number, patienceMs: number, member: Electing) {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#member = member
    this.#patienceMs = patienceMs
    this.#deadline = performance.now() + timeoutMs
    this.#timer = setTimeout(member.expired, timeoutMs)
    this.#call()
  }

  won(self: number): void {
    this.#end()
    this.#resolve({ elected: true, primary: self })
  }

  lost(primary: number): void {
    this.#end()
    this.#resolve({ elected: false, primary })
  }

  /** Not enough votes this time. */
  failed(): void {
    this.#wait(pauseMs * (1 + Math.random()), () => {
      this.#call()
    })
  }

  #call(): void {
    const remaining = this.#deadline - performance.now()
    if (remaining <= 1) return
    this.#member.call(remaining)
    this.#lookAgain()
  }

  // A member with a better claim has been left to lead, or voted for. Nothing is heard of one that
  // never does.
  #lookAgain(): void {
    this.#wait(this.#patienceMs * (1 + Math.random() / 2), () => {
      if (this.#member.isUnderWay()) this.#lookAgain()
      else this.#call()
    })
  }

  #wait(ms: number, then: () => void): void {
    clearTimeout(this.#pause)
    this.#pause = setTimeout(then, ms)
  }

  reject(error: RingleaderError): void {
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#pause)
  }
}

export const noQuorumError = () =>
  new RingleaderError('RL_NO_QUORUM', 'elect: not enough votes within the time')
