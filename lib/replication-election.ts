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

export class Election {
  readonly result: Promise<Elected>
  readonly #call: (remainingMs: number) => void
  readonly #deadline: number
  readonly #timer: NodeJS.Timeout
  #pause: NodeJS.Timeout | undefined
  #resolve!: (elected: Elected) => void
  #reject!: (error: RingleaderError) => void

  /** `call` asks the members; `expired`: the time is over. */
  constructor(timeoutMs: number, call: (remainingMs: number) => void, expired: () => void) {
    this.result = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#call = call
    this.#deadline = performance.now() + timeoutMs
    this.#timer = setTimeout(expired, timeoutMs)
    call(timeoutMs)
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
    clearTimeout(this.#pause)
    this.#pause = setTimeout(
      () => {
        const remaining = this.#deadline - performance.now()
        if (remaining > 1) this.#call(remaining)
      },
      pauseMs * (1 + Math.random()),
    )
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
