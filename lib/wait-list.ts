// Promises of positions that the log has to reach, the lowest first.
import { RingleaderError } from './errors.js'

interface Waiter {
  end: number
  resolve: () => void
  reject: (error: RingleaderError) => void
  timer: NodeJS.Timeout | undefined
}

export class WaitList {
  readonly #waiters: Waiter[] = []
  readonly #onTimeout: () => void

  /** `onTimeout`: somebody has given up. */
  constructor(onTimeout: () => void) {
    this.#onTimeout = onTimeout
  }

  get size(): number {
    return this.#waiters.length
  }

  /** Resolves when the log has got to `end`; RL_TIMEOUT after `timeoutMs`. */
  add(end: number, timeoutMs: number | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { end, resolve, reject, timer: undefined }
      if (timeoutMs !== undefined) {
        waiter.timer = setTimeout(() => {
          this.#giveUp(waiter)
        }, timeoutMs)
      }
      const behind = this.#waiters.findLastIndex((other) => other.end <= end)
      this.#waiters.splice(behind + 1, 0, waiter)
    })
  }

  settle(reached: number): void {
    if (this.#waiters.length === 0) return
    const later = this.#waiters.findIndex((waiter) => waiter.end > reached)
    const count = later < 0 ? this.#waiters.length : later
    for (const waiter of this.#waiters.splice(0, count)) {
      clearTimeout(waiter.timer)
      waiter.resolve()
    }
  }

  rejectWhere(isGone: (end: number) => boolean, error: RingleaderError): void {
    const gone = this.#waiters.findIndex((waiter) => isGone(waiter.end))
    if (gone < 0) return
    for (const waiter of this.#waiters.splice(gone)) {
      clearTimeout(waiter.timer)
      waiter.reject(error)
    }
  }

  reject(error: RingleaderError): void {
    for (const waiter of this.#waiters.splice(0)) {
      clearTimeout(waiter.timer)
      waiter.reject(error)
    }
  }

  #giveUp(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter)
    if (index < 0) return
    this.#waiters.splice(index, 1)
    waiter.reject(
      new RingleaderError('RL_TIMEOUT', `the log has not got to ${waiter.end} yet`, {
        fate: 'unknown',
      }),
    )
    this.#onTimeout()
  }
}
