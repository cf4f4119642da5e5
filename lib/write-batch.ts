// Blind writes of several databases as one commit.
import { tableWithin, type Database } from './database.js'
import type { EnvironmentContext } from './environment-context.js'
import { checkNotNew, RingleaderError } from './errors.js'
import { OperationList } from './operation-bytes.js'
import type { Receipt } from './receipt.js'

/** Puts and removes that are committed together; see `Environment.batch`. */
export class WriteBatch {
  readonly #context: EnvironmentContext
  readonly #operations = new OperationList()
  #ended = false

  /** For Environment.batch. */
  constructor(context: EnvironmentContext) {
    checkNotNew(context, 'WriteBatch', 'Environment.batch')
    this.#context = context
  }

  /** Puts a row in the place of whatever is there. */
  put<K, V>(database: Database<K, V>, key: K, value: V): void {
    const table = tableWithin(database, this.#context)
    this.#checkOpen()
    this.#operations.put(table, key, value)
  }

  /** Removes a row; one that is not there is no error. */
  remove<K, V>(database: Database<K, V>, key: K): void {
    const table = tableWithin(database, this.#context)
    this.#checkOpen()
    this.#operations.remove(table, key)
  }

  #checkOpen(): void {
    this.#context.pipeline.checkOpen()
    if (this.#ended) throw new RingleaderError('RL_TRANSACTION_ENDED', 'the batch has ended')
  }

  /** For Environment.batch. */
  commit(level: number): Promise<Receipt> {
    this.#checkOpen()
    this.#ended = true
    return this.#context.pipeline.batch(this.#operations, level)
  }
}
