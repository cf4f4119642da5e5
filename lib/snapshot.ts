// A snapshot as an object.
import type { EnvironmentContext } from './environment-context.js'
import type { ReadLevel } from './environment-options.js'
import { checkNotNew, RingleaderError } from './errors.js'
import { ReadView } from './read-view.js'
import { SlotView } from './slot-view.js'

/**
 * All databases as of one moment, for as long as it is open. Made by `Environment.snapshot`
 * and `Environment.snapshotAt`.
 *
 * It keeps memory and disk pages from being used again: close it. One that is forgotten is closed
 * when it is collected. Any method throws RL_TRANSACTION_ENDED after `close`, RL_CLOSED after the
 * environment's, and RL_NOT_FOUND for a database that did not exist then, all with fate `none`.
 */
export class Snapshot extends ReadView {
  readonly #view: SlotView

  /** For Environment.snapshot. */
  constructor(context: EnvironmentContext, level: ReadLevel) {
    checkNotNew(context, 'Snapshot', 'Environment.snapshot')
    const durable = level === 'durable'
    const view = new SlotView(context, context.reads.openView(level), durable)
    super(context, view)
    this.#view = view
    view.releaseWhenCollected()
  }

  /** Lets go of what it holds. Closing again does nothing. */
  close(): void {
    if (this.#view.ended) return
    this.#view.end(() => new RingleaderError('RL_TRANSACTION_ENDED', 'the snapshot is closed'))
    this.#view.release()
  }

  /** `using snapshot = env.snapshot()` */
  [Symbol.dispose](): void {
    this.close()
  }
}
