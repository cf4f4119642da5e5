// A view that somebody holds: a slot of the addon, and the ids that databases have in it.
import { currentId, type Table } from './catalogue.js'
import type { EnvironmentContext } from './environment-context.js'
import { RingleaderError } from './errors.js'
import type { ReadSource } from './store-reads.js'

export class SlotView implements ReadSource {
  readonly #context: EnvironmentContext
  readonly #slot: number
  readonly #state: number
  readonly lsn: number
  #ids: Map<Table, number> | undefined // where the catalogue has changed since
  #ended: (() => RingleaderError) | undefined
  #guard: unknown // releases the slot when nobody knows this object any more

  /**
   * Of the slot that has just been opened. `asThen`: it may be of a time before the latest change
   * of the catalogue that is known.
   */
  constructor(context: EnvironmentContext, slot: number, asThen = false) {
    this.#context = context
    this.#slot = slot
    this.lsn = context.reads.openedLsn
    this.#state = asThen ? -1 : context.catalogue.state
  }

  get slot(): number {
    this.checkOpen()
    return this.#slot
  }

  /** Throws where it has ended, or the environment is closed. */
  checkOpen(): void {
    this.#context.pipeline.checkOpen()
    if (this.#ended) throw this.#ended()
  }

  get ended(): boolean {
    return this.#ended !== undefined
  }

  /**
   * Every use throws what `error` makes from now on; an error costs more than a transaction, so
   * none is made before. What becomes of the slot is the caller's.
   */
  end(error: () => RingleaderError): void {
    this.#ended ??= error
  }

  release(): void {
    this.#context.reads.release(this.#slot)
    this.#guard = undefined
  }

  /** The slot is to be released when this object is collected. */
  releaseWhenCollected(): void {
    if (this.#guard === undefined) this.#guard = this.#context.reads.guard(this.#slot)
  }

  /** The same from the end of this turn on, where it has not ended by then. */
  releaseWhenCollectedLater(): void {
    this.#context.reads.guardLater(this)
  }

  idOf(table: Table): number {
    if (this.#context.catalogue.state === this.#state) return currentId(table)
    const known = this.#ids?.get(table)
    if (known !== undefined) return known
    const id = this.#context.native.findDatabase(this.slot, table.name)
    if (id === 0) {
      throw new RingleaderError('RL_NOT_FOUND', `there was no database ${table.name} then`)
    }
    this.#ids ??= new Map()
    this.#ids.set(table, id)
    return id
  }
}
