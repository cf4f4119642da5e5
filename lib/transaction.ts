// Transactions: the object that the function of a transaction is given, and the runner that begins,
// commits and repeats.
import { tableWithin, type Database, type Receipt } from './database.js'
import type { EnvironmentContext } from './environment-context.js'
import type { CheckedTransactionOptions } from './environment-options.js'
import { RingleaderError } from './errors.js'
import { ReadView } from './read-view.js'
import { SlotView } from './slot-view.js'

// Attempts that take their chances before one reserves the right to commit.
const optimisticAttempts = 2

/** Ends an attempt from outside; for the runner. */
let commitOf: (transaction: Transaction, level: number) => Promise<Receipt>
let abortOf: (transaction: Transaction, error: RingleaderError) => void
let makeTransaction: (context: EnvironmentContext, isolation: number, ticket: number) => Transaction

/**
 * Reads of one moment, and writes that all happen or do not. Made by `Environment.transaction`,
 * once for every attempt, and ended when its function has.
 *
 * Reads see the transaction's own writes. What a walk finds of rows that are written while it is
 * under way is not defined. Any method throws RL_TRANSACTION_ENDED after the end, and
 * RL_INVALID_ARGUMENT for a database of another environment, both with fate `none`.
 */
export class Transaction extends ReadView {
  readonly #context: EnvironmentContext
  readonly #view: SlotView
  #writes = 0
  #committed: Promise<Receipt> | undefined
  #receipt: Receipt | undefined
  #failure: Error | undefined
  #settle: { resolve: (receipt: Receipt) => void; reject: (error: Error) => void } | undefined

  private constructor(context: EnvironmentContext, view: SlotView) {
    super(context, view)
    this.#context = context
    this.#view = view
    view.releaseWhenCollectedLater()
  }

  static {
    makeTransaction = (context, isolation, ticket) =>
      new Transaction(context, new SlotView(context, context.reads.begin(isolation, ticket)))
    commitOf = (transaction, level) => transaction.#commit(level)
    abortOf = (transaction, error) => {
      transaction.#abort(error)
    }
  }

  /**
   * Resolves with the receipt when this attempt has been committed and is as durable as asked for;
   * rejects where it is not. Of a transaction that has written nothing, both positions are those of
   * what it has read.
   */
  get committed(): Promise<Receipt> {
    if (!this.#committed) {
      this.#committed = new Promise((resolve, reject) => {
        this.#settle = { resolve, reject }
      })
      // Whoever asks may do so without waiting for it.
      this.#committed.catch(() => undefined)
      this.#settleCommitted()
    }
    return this.#committed
  }

  // Most transactions are never asked: a promise is made only for those that are.
  #settleCommitted(): void {
    if (this.#receipt) this.#settle?.resolve(this.#receipt)
    if (this.#failure) this.#settle?.reject(this.#failure)
  }

  /** Puts a row in the place of whatever is there, when the transaction commits. */
  put<K, V>(database: Database<K, V>, key: K, value: V): void {
    this.#context.reads.put(this.#view, tableWithin(database, this.#context), key, value)
    this.#writes += 1
  }

  /** Removes a row, when the transaction commits; one that is not there is no error. */
  remove<K, V>(database: Database<K, V>, key: K): void {
    this.#context.reads.remove(this.#view, tableWithin(database, this.#context), key)
    this.#writes += 1
  }

  async #commit(level: number): Promise<Receipt> {
    const { slot, lsn } = this.#view
    const { pipeline } = this.#context
    this.#view.end(endedError)
    try {
      let receipt = { lsn, end: lsn }
      if (this.#writes === 0) this.#view.release()
      else receipt = await pipeline.transaction(slot, level)
      this.#receipt = receipt
      return receipt
    } catch (error) {
      this.#failure = error as Error
      throw error
    } finally {
      this.#settleCommitted()
    }
  }

  #abort(error: RingleaderError): void {
    if (this.#view.ended) return
    this.#view.end(endedError)
    this.#view.release()
    this.#failure = error
    this.#settleCommitted()
  }
}

const endedError = () => new RingleaderError('RL_TRANSACTION_ENDED', 'the transaction has ended')

const timeoutError = (committing: boolean) =>
  new RingleaderError('RL_TIMEOUT', 'the transaction has taken too long', {
    fate: committing ? 'unknown' : 'none',
  })

// Nothing of the transaction has happened, and it may be tried again. A database that has been
// cleared meanwhile has another id in the next attempt.
const isConflict = (error: unknown): boolean =>
  error instanceof RingleaderError &&
  (error.code === 'RL_CONFLICT' || error.code === 'RL_DROPPED') &&
  error.fate === 'none'

/** Runs `work` in transactions until one commits; see Environment.transaction. */
export class TransactionRunner<T> {
  readonly #context: EnvironmentContext
  readonly #work: (transaction: Transaction) => T | PromiseLike<T>
  readonly #options: CheckedTransactionOptions
  #current: Transaction | undefined
  #committing = false
  #timedOut = false
  #deadline = Infinity

  constructor(
    context: EnvironmentContext,
    work: (transaction: Transaction) => T | PromiseLike<T>,
    options: CheckedTransactionOptions,
  ) {
    this.#context = context
    this.#work = work
    this.#options = options
  }

  run(): Promise<T> {
    const { timeoutMs } = this.#options
    if (timeoutMs === undefined) return this.#runAttempts()
    this.#deadline = performance.now() + timeoutMs
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#timedOut = true
        const error = timeoutError(this.#committing)
        if (this.#current) abortOf(this.#current, error)
        reject(error)
      }, timeoutMs)
      this.#runAttempts()
        .then(resolve, reject)
        .finally(() => {
          clearTimeout(timer)
        })
    })
  }

  async #runAttempts(): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const ticket = attempt > optimisticAttempts ? await this.#reserve() : 0
      try {
        return await this.#attempt(ticket)
      } catch (error) {
        if (!this.#committing || !isConflict(error) || attempt > this.#options.retries) throw error
      } finally {
        this.#committing = false
        if (ticket !== 0) this.#context.native.giveBack(ticket)
      }
    }
  }

  async #reserve(): Promise<number> {
    this.#context.pipeline.checkOpen()
    if (this.#deadline === Infinity) return this.#context.native.reserve(undefined)
    return this.#context.native.reserve(Math.max(this.#deadline - performance.now(), 0))
  }

  #checkTime(): void {
    if (this.#timedOut) throw timeoutError(false)
  }

  async #attempt(ticket: number): Promise<T> {
    this.#checkTime()
    this.#context.pipeline.checkOpen()
    const transaction = makeTransaction(this.#context, this.#options.isolation, ticket)
    this.#current = transaction
    let result: T
    try {
      const working = this.#work(transaction)
      result = isPromiseLike(working) ? await working : working
      this.#checkTime()
    } catch (error) {
      abortOf(transaction, endedError())
      throw error
    }
    this.#committing = true
    await commitOf(transaction, this.#options.level)
    return result
  }
}

const isPromiseLike = <T>(value: T | PromiseLike<T>): value is PromiseLike<T> =>
  typeof value === 'object' && value !== null && 'then' in value
