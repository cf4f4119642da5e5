// The environment as an object: checks arguments, then hands on.
import { binding, type EnvironmentStat, type NativeStore, type Verified } from './binding.js'
import { BulkLoad, type BulkRows } from './bulk-load.js'
import type { DatabaseInfo, DatabaseOptions } from './catalogue.js'
import { CommitPipeline } from './commit-pipeline.js'
import { Database, rejected, tableWithin } from './database.js'
import type { Durability } from './durability.js'
import type { KeyEncoding, KeyTypes, ValueEncoding, ValueTypes } from './encodings.js'
import type { EnvironmentContext } from './environment-context.js'
import {
  checkEnvironmentOptions,
  checkSnapshotAtOptions,
  checkSnapshotOptions,
  checkTransactionOptions,
  checkWriteOptions,
  type CheckedEnvironment,
  type CheckedTransactionOptions,
  type EnvironmentOptions,
  type ReadLevel,
  type SnapshotAtOptions,
  type SnapshotOptions,
  type TransactionOptions,
  type WriteOptions,
} from './environment-options.js'
import { checkNotNew, RingleaderError } from './errors.js'
import { takeSnapshotAt, waitForCommit } from './group-waits.js'
import type { Appended } from './log-entry.js'
import { readOperations, type LoggedTransaction } from './log-operations.js'
import { LogIterator } from './log-reader.js'
import {
  checkPath,
  checkPosition,
  checkReadOptions,
  checkWaitOptions,
  refuse,
  type ReadOptions,
  type WaitOptions,
} from './options.js'
import type { Receipt } from './receipt.js'
import { Replication } from './replication.js'
import { checkReplicationOptions, type ReplicationOptions } from './replication-options.js'
import { Snapshot } from './snapshot.js'
import { StoreReads } from './store-reads.js'
import { TransactionRun, type Transaction } from './transaction.js'
import { WriteBatch } from './write-batch.js'

export type { EnvironmentStat, Verified }

/** What the objects of an environment share; for what works on all of it. */
export let contextOf: (environment: Environment) => EnvironmentContext

/**
 * An environment: one directory with any number of databases, used by any number of processes and
 * worker threads at once. Commits of all of them have one order.
 *
 * No call waits for a disk on the JavaScript thread, except for reads of what is not in memory and
 * for `database`, which may make one. Commits that have not settled keep the event loop alive; an
 * environment that is merely open does not. One that is never closed is closed when it is collected
 * or its thread ends; a process that dies loses nothing it had committed.
 *
 * Any method can fail with RL_CLOSED (fate `none`) once `close` has been called, and with
 * RL_INVALID_ARGUMENT (fate `none`) for an argument of the wrong kind or range.
 */
export class Environment {
  /** The absolute path. */
  readonly directory: string
  /** 32 hexadecimal digits: decided when the environment was made. */
  readonly environmentId: string
  /** 32 hexadecimal digits: the same for all members of a replication group. */
  readonly groupId: string

  readonly #context: EnvironmentContext
  readonly #transactionDefaults: CheckedTransactionOptions
  readonly #readLevel: ReadLevel
  readonly #databases = new Map<unknown, Database<unknown>>()
  readonly #loads = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  #replication: Replication | undefined

  private constructor(directory: string, native: NativeStore, options: CheckedEnvironment) {
    checkNotNew(native, 'Environment', 'Environment.open')
    this.directory = directory
    this.environmentId = native.environmentId
    this.groupId = native.groupId
    const { durability, readLevel } = options
    const pipeline = new CommitPipeline(native, durability)
    const { catalogue } = pipeline
    const reads = new StoreReads(native, catalogue, pipeline, readLevel)
    this.#context = { native, pipeline, catalogue, reads, unended: new Set() }
    this.#transactionDefaults = checkTransactionOptions(undefined, pipeline.levels)
    this.#readLevel = readLevel
  }

  static {
    contextOf = (environment) => environment.#context
  }

  /**
   * Opens the environment of a directory, after recovering it where no process has it open. What
   * was durable is there again; what processes that have died had committed is there and durable.
   *
   * Rejects, always with fate `none`, with RL_NOT_FOUND (no environment, and `create` is false; or
   * the parent directory is missing), RL_NOT_A_DIRECTORY, RL_PERMISSION, RL_CORRUPTION,
   * RL_NEWER_FORMAT, RL_NO_SPACE, RL_IO, RL_FAILED (the processes that have it open must close it
   * first), RL_FOREIGN_HOST, RL_INVALID_ARGUMENT (also for the `groupId` of another group),
   * RL_PLATFORM, RL_ADDON.
   */
  static async open(directory: string, options?: EnvironmentOptions): Promise<Environment> {
    const path = checkPath(directory, 'directory')
    const checked = checkEnvironmentOptions(options)
    return new Environment(path, await binding().openStore(path, checked.native), checked)
  }

  /**
   * The database of a name of 1 to 255 bytes, made where there is none. The encodings are decided
   * then; later they may be left out. The same name gives the same object. A database that has just
   * been made is as durable as the first commit to it.
   *
   * Throws, with fate `none`, RL_NOT_FOUND (there is none, and `create` is false),
   * RL_INVALID_ARGUMENT (it has other encodings), RL_NEWER_FORMAT (it has encodings that this
   * version does not know), RL_NO_SPACE, RL_FAILED.
   */
  database<K extends KeyEncoding = 'utf8', V extends ValueEncoding = 'msgpack'>(
    name: string,
    options?: DatabaseOptions<K, V>,
  ): Database<KeyTypes[K], ValueTypes[V]>
  /** With types of the application's own: `env.database<string, User>('users')`. */
  database<K, V>(name: string, options?: DatabaseOptions): Database<K, V>
  database(name: string, options?: DatabaseOptions): Database<unknown> {
    const { pipeline, catalogue } = this.#context
    pipeline.checkOpen()
    const table = catalogue.open(name, options)
    const known = this.#databases.get(table)
    if (known) return known
    const database = new Database<unknown>(this.#context, table)
    this.#databases.set(table, database)
    return database
  }

  /** The databases that there are now, in the order of their names. */
  databases(): DatabaseInfo[] {
    const { pipeline, catalogue } = this.#context
    pipeline.checkOpen()
    return catalogue.list()
  }

  /**
   * Commits the puts and removes that a function makes, of any databases, all or none of them. The
   * function is called at once and reads nothing; what it throws is what this rejects with, and
   * nothing has happened then. Otherwise as the writes of `Database`.
   */
  batch(write: (batch: WriteBatch) => void, options?: WriteOptions): Promise<Receipt> {
    try {
      const { pipeline } = this.#context
      pipeline.checkOpen()
      if (typeof write !== 'function') throw refuse('write', 'a function', write)
      const level = checkWriteOptions(options, pipeline.levels)
      const batch = new WriteBatch(this.#context)
      const run: (batch: WriteBatch) => unknown = write
      const given = run(batch)
      if (given !== undefined) throw refuse('write', 'a function that gives nothing back', given)
      return batch.commit(level)
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * Runs a function with a transaction of its own and commits what it has written; resolves with
   * what the function gives, or what the promise that it gives resolves to, when the commit is as
   * durable as asked for. `transaction.committed` gives the receipt.
   *
   * Where somebody else has changed what the function had read, nothing has happened, and it runs
   * again with a new transaction; from the third attempt on while the commits of others wait. So it
   * must not have effects of its own that cannot be repeated. When it throws, nothing has happened,
   * and this rejects with the same.
   *
   * Nor must it wait for a commit of anybody else to what it reads: that would be a conflict in
   * every attempt, and from the third one on the commit waits for it in turn, for up to a second.
   *
   * Rejects with fate `none` with RL_CONFLICT (only with `retry`), RL_TIMEOUT, RL_TOO_LARGE (4 GiB
   * of writes), RL_DROPPED, RL_BUSY (too many readers), RL_NO_SPACE or RL_FAILED; with fate
   * `unknown` with RL_TIMEOUT or RL_FAILED where the commit was already on its way to the disk.
   */
  transaction<T>(
    work: (transaction: Transaction) => T | PromiseLike<T>,
    options?: TransactionOptions,
  ): Promise<T> {
    try {
      const { pipeline } = this.#context
      pipeline.checkOpen()
      if (typeof work !== 'function') throw refuse('work', 'a function', work)
      const checked =
        options === undefined
          ? this.#transactionDefaults
          : checkTransactionOptions(options, pipeline.levels)
      pipeline.levels.check(checked.level)
      return new TransactionRun(this.#context, work, checked).start()
    } catch (error) {
      return rejected(error)
    }
  }

  /**
   * All databases as of now, until it is closed: whatever is here, or, with level `durable`, what
   * the group has committed. Throws RL_BUSY (too many readers).
   */
  snapshot(options?: SnapshotOptions): Snapshot {
    this.#context.pipeline.checkOpen()
    return new Snapshot(this.#context, checkSnapshotOptions(options, this.#readLevel))
  }

  /**
   * A snapshot that is as fresh as asked for, as soon as there is one. What it waits for comes from
   * the group; it asks for a round only where the read is to be linearizable. Without a group every
   * snapshot is.
   *
   * Rejects, with fate `none`, with RL_TIMEOUT, RL_ROLLED_BACK (`atLeast` never will be here) or
   * RL_BUSY (too many readers); with fate `unknown` with RL_TRIMMED (`atLeast` is older than what
   * this member remembers).
   */
  async snapshotAt(options?: SnapshotAtOptions): Promise<Snapshot> {
    const checked = checkSnapshotAtOptions(options, this.#readLevel)
    return takeSnapshotAt(this.#context, checked)
  }

  /**
   * Resolves when a commit, by whomever it was made, has reached `level` (default `flushed`). It is
   * named by its receipt; by a token, which means the same to every member of the group; or by a
   * position, for everything up to there. Copies that only the primary hears of are proven
   * elsewhere by what the group has committed.
   *
   * Rejects with RL_ROLLED_BACK (fate `none`: the group has gone on without it, for good) and with
   * fate `unknown` with RL_TIMEOUT after `timeoutMs`, RL_TRIMMED (older than what this member
   * remembers) or RL_FAILED.
   */
  async waitFor(
    commit: Appended | string | number,
    level: Durability = 'flushed',
    options?: WaitOptions,
  ): Promise<void> {
    await waitForCommit(this.#context, commit, level, checkWaitOptions(options))
  }

  /**
   * Makes durable whatever any process has committed before this call, and resolves with the
   * durable position. Rejects with RL_FAILED, fate `unknown`.
   */
  flush(): Promise<number> {
    return this.#context.pipeline.flush()
  }

  /**
   * Moves everything that has been committed into the base tree, and resolves when it is there. It
   * gets there by itself; this is for tests, and before a copy of the files is made.
   */
  async fold(): Promise<void> {
    await this.#drained()
    await this.#context.native.fold()
  }

  /**
   * Makes the state at `lsn`, the `end` of a receipt, the newest one, for all processes: the
   * commits behind it are gone. Open snapshots keep what they see; open transactions conflict.
   *
   * Rejects with RL_TRIMMED (the base tree has gone past it) or RL_INVALID_ARGUMENT (no commit ends
   * there), both with fate `none`.
   */
  async rollBack(lsn: number): Promise<void> {
    const to = checkPosition(lsn, 'lsn')
    await this.#drained()
    await this.#context.native.rollBack(to)
  }

  /**
   * Fills an empty database with rows in strictly ascending order of their keys (as their encoding
   * orders them), faster than commits can; all or nothing, and durable when it resolves with their
   * number. Rejects with fate `none` with RL_EXISTS (it has rows), RL_INVALID_ARGUMENT (not in
   * order), RL_CONFLICT (rolled back meanwhile) or RL_NO_SPACE.
   */
  async bulkLoad<K, V>(database: Database<K, V>, rows: BulkRows<K, V>): Promise<number> {
    const table = tableWithin(database, this.#context)
    await this.#drained()
    const load = new BulkLoad<K, V>(this.#context.native.bulkLoad(table.name), table)
    const running = load.run(rows)
    this.#loads.add(running)
    try {
      return await running
    } finally {
      this.#loads.delete(running)
    }
  }

  /**
   * Writes a consistent copy of the whole state into a directory that is new or empty, while
   * commits go on; `Environment.open` takes it. Resolves with the position of the state that it
   * has.
   */
  async backup(directory: string): Promise<number> {
    const path = checkPath(directory, 'directory')
    await this.#drained()
    return this.#context.native.backup(path)
  }

  /**
   * Reads and checks every page, row and record. Rejects with RL_CORRUPTION or RL_IO.
   */
  async verify(): Promise<Verified> {
    this.#context.pipeline.checkOpen()
    return this.#context.native.verify()
  }

  /** The state of the environment, most of it read from shared memory. */
  stat(): EnvironmentStat {
    this.#context.pipeline.checkOpen()
    return this.#context.native.stat()
  }

  /**
   * Walks over the transactions of the log from `from` (default: the log's start) to the end that
   * is visible when the walk gets there, and decodes what they have done. The iterator rejects as
   * that of `Log.read`, and then is done.
   */
  readLog(options?: ReadOptions): AsyncIterableIterator<LoggedTransaction, void> {
    const { pipeline, native, catalogue } = this.#context
    pipeline.checkOpen()
    const { from, batchBytes } = checkReadOptions(options, () => native.stat().log.start)
    return readOperations(new LogIterator(native.readLog(from), batchBytes), catalogue)
  }

  /**
   * This environment's part in its group, which nothing has been started of yet. Once for each
   * object; one process of the environment has it at a time, and one object in it.
   *
   * Throws, with fate `none`, RL_EXISTS (there has been one) and RL_INVALID_ARGUMENT.
   */
  replication(options: ReplicationOptions): Replication {
    const { pipeline, native } = this.#context
    pipeline.checkOpen()
    const checked = checkReplicationOptions(options)
    if (this.#replication) {
      throw new RingleaderError('RL_EXISTS', 'replication: there is one for this object already')
    }
    const make = () => {
      pipeline.checkOpen()
      return native.replication(this.directory, checked)
    }
    this.#replication = new Replication(make, checked)
    return this.#replication
  }

  // What has been called before comes first.
  async #drained(): Promise<void> {
    this.#context.pipeline.checkOpen()
    await this.#context.pipeline.drained()
    this.#context.pipeline.checkOpen()
  }

  /**
   * Flushes everything and lets go of the directory. Commits made before are durable and resolved
   * when this resolves; calls under way end first; open snapshots, walks and transactions are
   * ended: those whose functions have not ended reject with RL_CLOSED (fate `none`) at once.
   * Closing again gives the same promise.
   *
   * Rejects with RL_FAILED, RL_IO or RL_NO_SPACE; the environment is closed all the same, and
   * pending commits are rejected with that code and fate `unknown`. Those that wait for copies of
   * other members are rejected with RL_CLOSED and fate `unknown`.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const { pipeline, native, unended } = this.#context
    const drained = pipeline.drained()
    pipeline.refuse()
    for (const reject of unended) reject(pipeline.closedError())
    unended.clear()
    await drained
    await Promise.allSettled(this.#loads)
    pipeline.abandonOthers()
    await this.#replication?.close()
    try {
      await native.close()
    } catch (error) {
      pipeline.finish(error as RingleaderError)
      throw error
    }
    pipeline.finish()
  }

  /** `await using env = await Environment.open(...)` */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
