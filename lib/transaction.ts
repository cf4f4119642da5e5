// Transactions: the object that the function of a transaction is given, and the runner that begins,
// commits and repeats.
import { tableWithin, type Database } from './database.js'
import type { EnvironmentContext } from './environment-context.js'
import type { CheckedTransactionOptions } from './environment-options.js'
import { checkNotNew, RingleaderError } from './errors.js'
import type { Reject, Settler } from './pending-ring.js'
import { ReadView } from './read-view.js'
import type { Receipt } from './receipt.js'
import { SlotView } from './slot-view.js'

// Attempts that take their chances before one reserves the right to commit.
const optimisticAttempts = 2

/** What becomes of an attempt; for the runner. */
let makeTransaction: (context: EnvironmentContext, isolation: number, ticket: number) => Transaction
let guardOf: (transaction: Transaction) => void
let commitOf: (transaction: Transaction, level: number, settler: Settler) => void
let settleOf: (transaction: Transaction, lsn: number, end: number, term: number) => void
let failOf: (transaction: Transaction, error: Error) => void
let abortOf: (transaction: Transaction, error: RingleaderError) => void

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
  #receipt: Receipt | undefined // once it has been committed
  #failure: Error | undefined
  #committed: Promise<Receipt> | undefined
  #settle: { resolve: (receipt: Receipt) => void; reject: Reject } | undefined

  private constructor(context: EnvironmentContext, view: SlotView) {
    checkNotNew(context, 'Transaction', 'Environment.transaction')
    super(context, view)
    this.#context = context
    this.#view = view
  }

  static {
    makeTransaction = (context, isolation, ticket) =>
      new Transaction(context, new SlotView(context, context.reads.begin(isolation, ticket)))
    guardOf = (transaction) => {
      transaction.#view.releaseWhenCollectedLater()
    }
    commitOf = (transaction, level, settler) => {
      transaction.#commit(level, settler)
    }
    settleOf = (transaction, lsn, end, term) => {
      transaction.#receipt = transaction.#context.pipeline.receipt(lsn, end, term)
      if (transaction.#settle) transaction.#settleCommitted()
    }
    failOf = (transaction, error) => {
      transaction.#failure = error
      if (transaction.#settle) transaction.#settleCommitted()
    }
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
      if (this.#view.ended) this.#settleCommitted()
      else this.#mayNeverEnd()
    }
    return this.#committed
  }

  // Its function has not ended: the environment may be closed before.
  #mayNeverEnd(): void {
    const { pipeline, unended } = this.#context
    if (!this.#settle) return
    if (pipeline.closed) this.#settle.reject(pipeline.closedError())
    else unended.add(this.#settle.reject)
  }

  #end(): void {
    this.#view.end(endedError)
    if (this.#settle) this.#context.unended.delete(this.#settle.reject)
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

  #commit(level: number, settler: Settler): void {
    const { slot, lsn } = this.#view
    this.#end()
    if (this.#writes > 0) {
      this.#context.pipeline.transaction(slot, level, settler)
      return
    }
    this.#view.release()
    settler.settled(lsn, lsn, 0)
  }

  #abort(error: RingleaderError): void {
    if (this.#view.ended) return
    this.#end()
    this.#view.release()
    failOf(this, error)
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

const isPromiseLike = <T>(value: T | PromiseLike<T>): value is PromiseLike<T> =>
  typeof value === 'object' && value !== null && 'then' in value

/**
 * Runs `work` in transactions until one commits; see Environment.transaction.
 *
 * An attempt that nothing disturbs makes no promise but the one that is given out: the run itself
 * is what the pipeline tells of the commit.
 */
export class TransactionRun<T> implements Settler {
  readonly #context: EnvironmentContext
  readonly #work: (transaction: Transaction) => T | PromiseLike<T>
  readonly #options: CheckedTransactionOptions
  #resolve!: (result: T) => void
  #reject!: (error: unknown) => void
  #attempts = 0
  #ticket = 0 // of a reservation
  #current: Transaction | undefined
  #committing = false
  #result: T | undefined
  #timer: NodeJS.Timeout | undefined
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

  /** Once. */
  start(): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (this.#options.timeoutMs !== undefined) this.#startTimer(this.#options.timeoutMs)
    this.#attempt()
    return promise
  }

  #startTimer(timeoutMs: number): void {
    this.#deadline = performance.now() + timeoutMs
    const timer = setTimeout(() => {
      this.#timedOut = true
      const error = timeoutError(this.#committing)
      if (this.#current) abortOf(this.#current, error)
      this.#context.unended.delete(this.#reject)
      this.#reject(error)
    }, timeoutMs)
    const reject = this.#reject
    this.#reject = (error) => {
      clearTimeout(timer)
      reject(error)
    }
    this.#timer = timer
  }

  #checkTime(): void {
    if (this.#timedOut) throw timeoutError(false)
  }

  // Never throws, like everything that follows it.
  #attempt(): void {
    this.#attempts += 1
    this.#committing = false
    let result: T
    try {
      this.#checkTime()
      this.#context.pipeline.checkOpen()
      const transaction = makeTransaction(this.#context, this.#options.isolation, this.#ticket)
      this.#current = transaction
      const working = this.#work(transaction)
      if (isPromiseLike(working)) {
        guardOf(transaction) // it may never end
        this.#context.unended.add(this.#reject)
        void this.#commitAfter(working)
        return
      }
      result = working
    } catch (error) {
      this.#abandon(error)
      return
    }
    this.#commit(result)
  }

  async #commitAfter(working: PromiseLike<T>): Promise<void> {
    let result: T
    try {
      result = await working
      this.#checkTime()
    } catch (error) {
      this.#abandon(error)
      return
    } finally {
      this.#context.unended.delete(this.#reject)
    }
    this.#commit(result)
  }

  #abandon(error: unknown): void {
    if (this.#current) abortOf(this.#current, endedError())
    this.#fail(error)
  }

  #commit(result: T): void {
    this.#result = result
    this.#committing = true
    try {
      if (this.#current) commitOf(this.#current, this.#options.level, this)
    } catch (error) {
      this.rejected(error as Error)
    }
  }

  /** For the pipeline: the attempt has been committed. */
  settled(lsn: number, end: number, term: number): void {
    if (this.#current) settleOf(this.#current, lsn, end, term)
    this.#end()
    this.#resolve(this.#result as T)
  }

  /** For the pipeline: the attempt has not been committed, or nobody knows. */
  rejected(error: Error): void {
    if (this.#current) failOf(this.#current, error)
    if (isConflict(error) && this.#attempts <= this.#options.retries) void this.#again()
    else this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#end()
    this.#reject(error)
  }

  #end(): void {
    this.#giveBack()
    clearTimeout(this.#timer)
  }

  #giveBack(): void {
    if (this.#ticket === 0) return
    this.#context.native.giveBack(this.#ticket)
    this.#ticket = 0
  }

  // Not at once: the pipeline is still telling others of their commits.
  async #again(): Promise<void> {
    try {
      this.#giveBack()
      this.#ticket = await (this.#attempts < optimisticAttempts ? 0 : this.#reserve())
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#attempt()
  }

  #reserve(): Promise<number> {
    this.#context.pipeline.checkOpen()
    if (this.#deadline === Infinity) return this.#context.native.reserve(undefined)
    return this.#context.native.reserve(Math.max(this.#deadline - performance.now(), 0))
  }
}
