// The write-ahead log as an object: checks arguments, then hands on.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import { binding, type Consumer, type LogStat, type NativeLog } from './binding.js'
import { checkNotNew, invalidArgument, type RingleaderError } from './errors.js'
import { LogAppender } from './log-appender.js'
import type { Appended, LogEntry } from './log-entry.js'
import { LogIterator } from './log-reader.js'
import {
  checkConsumer,
  checkConsumerName,
  checkLevel,
  checkLogOptions,
  checkPath,
  checkPosition,
  checkReadOptions,
  checkWaitOptions,
  type AppendOptions,
  type ConsumerOptions,
  type Level,
  type LogOptions,
  type ReadOptions,
  type WaitOptions,
} from './options.js'

export type { Consumer, LogStat }

/**
 * The write-ahead log of an environment: one directory, used by any number of processes and worker
 * threads at once. Records are appended in one order for everybody and read back in that order.
 *
 * No call waits for a disk on the JavaScript thread. Appends that have not settled keep the event
 * loop alive; a log that is merely open does not. A log that is never closed is closed when it is
 * collected or its thread ends; a process that dies loses nothing it had appended.
 *
 * Any method can fail with RL_CLOSED (fate `none`) once `close` has been called, and with
 * RL_INVALID_ARGUMENT (fate `none`) for an argument of the wrong kind or range.
 */
export class Log {
  /** The absolute path. */
  readonly directory: string
  /** 32 hexadecimal digits: decided when the environment was made. */
  readonly environmentId: string
  /** 32 hexadecimal digits: the same for all members of a replication group. */
  readonly groupId: string

  readonly #native: NativeLog
  readonly #appender: LogAppender
  #closing: Promise<void> | undefined

  private constructor(directory: string, native: NativeLog, level: Level) {
    checkNotNew(native, 'Log', 'Log.open')
    this.directory = directory
    this.environmentId = native.environmentId
    this.groupId = native.groupId
    this.#native = native
    this.#appender = new LogAppender(native, level)
  }

  /**
   * Opens the log of a directory, after recovering it where no process has it open. What was
   * durable is there again; what processes that have died had appended is there and durable.
   *
   * Rejects, always with fate `none`, with RL_NOT_FOUND (no environment, and `create` is false; or
   * the parent directory is missing), RL_NOT_A_DIRECTORY, RL_PERMISSION, RL_CORRUPTION,
   * RL_NEWER_FORMAT, RL_NO_SPACE, RL_IO, RL_FAILED (the processes that have it open must close it
   * first), RL_FOREIGN_HOST, RL_INVALID_ARGUMENT (also for the `groupId` of another group, and for
   * an environment with databases, which `Environment.open` takes), RL_PLATFORM, RL_ADDON.
   */
  static async open(directory: string, options?: LogOptions): Promise<Log> {
    const path = checkPath(directory, 'directory')
    const { native, level } = checkLogOptions(options)
    await refuseDatabases(path)
    return new Log(path, await binding().openLog(path, native), level)
  }

  /**
   * Appends one transaction: 0 bytes to 4 GiB, a string as UTF-8. The bytes are copied before this
   * returns. Appends of one log are in the order of the calls, and so are their resolutions per
   * level.
   *
   * Resolves when the append has reached `level` (default `flushed`: it survives power loss) with
   * its position. A loop that only awaits `memory` appends does not let the event loop turn as long
   * as there is room.
   *
   * Rejects with fate `none` with RL_TOO_LARGE, RL_NO_SPACE (no room for a segment; later appends
   * may succeed) or RL_FAILED (an earlier flush failed); with fate `unknown` with RL_FAILED where
   * the flush of this very append failed.
   */
  append(payload: Uint8Array | string, options?: AppendOptions): Promise<Appended> {
    return this.#appender.append(payload, options)
  }

  /**
   * Resolves when the log has reached `level` (default `flushed`) up to `end`, a position that an
   * append has returned, in whichever process. Does not wait for the end of this turn's appends.
   *
   * Rejects with RL_TIMEOUT after `timeoutMs` and with RL_FAILED, both with fate `unknown`: what
   * lies below `end` may or may not survive.
   */
  async waitFor(end: number, level: Level = 'flushed', options?: WaitOptions): Promise<void> {
    const timeoutMs = checkWaitOptions(options)
    await this.#appender.waitFor(checkPosition(end, 'end'), checkLevel(level), timeoutMs)
  }

  /**
   * Makes durable whatever any process has appended before this call, and resolves with the durable
   * position. Rejects with RL_FAILED, fate `unknown`.
   */
  flush(): Promise<number> {
    return this.#appender.flush()
  }

  /**
   * Walks over the transactions from `from` (default: the log's start) to the end that is visible
   * when the walk gets there, in batches read off the JavaScript thread. Sees what any process has
   * appended at whatever level. Leaving the loop early costs nothing.
   *
   * The iterator rejects with RL_TRIMMED (the log no longer holds the position), RL_CORRUPTION or
   * RL_INVALID_ARGUMENT (no transaction begins at `from`); then it is done.
   */
  read(options?: ReadOptions): AsyncIterableIterator<LogEntry, undefined> {
    const { from, batchBytes } = checkReadOptions(options, () => this.#native.stat().start)
    return new LogIterator(this.#native.read(from), batchBytes)
  }

  /**
   * Reads and checks every transaction that the log holds; resolves with their number. Rejects with
   * RL_CORRUPTION or RL_IO.
   */
  async verify(): Promise<number> {
    return this.#native.verify()
  }

  /** The state of the log, read from shared memory. */
  stat(): LogStat {
    return this.#native.stat()
  }

  /** Who holds the log back, at most 32 of them. */
  consumers(): Consumer[] {
    return this.#native.consumers()
  }

  /**
   * Adds a consumer, or changes the caps of one that exists; its position stays unless it was
   * broken. As soon as there is one, segments that no consumer needs are used again. The name has 1
   * to 47 bytes. Durable when it resolves.
   *
   * Rejects with RL_TOO_LARGE (there are 32) or RL_TRIMMED (the position is below the log's start).
   */
  async putConsumer(name: string, options?: ConsumerOptions): Promise<void> {
    await this.#native.putConsumer(checkConsumer(name, options, () => this.#native.stat().start))
  }

  /**
   * Moves a consumer's position forward; a lower one changes nothing. After power loss the position
   * may be an older one. Throws RL_NOT_FOUND, RL_TRIMMED (the log has given up on this consumer) or
   * RL_INVALID_ARGUMENT (beyond the end of the log).
   */
  advanceConsumer(name: string, position: number): void {
    this.#native.advanceConsumer(checkConsumerName(name), checkPosition(position, 'position'))
  }

  /** Durable when it resolves. Rejects with RL_NOT_FOUND. */
  async removeConsumer(name: string): Promise<void> {
    await this.#native.removeConsumer(checkConsumerName(name))
  }

  /**
   * Flushes everything and lets go of the directory. Appends made before are durable and resolved
   * when this resolves; reads and other calls under way end first. Closing again gives the same
   * promise.
   *
   * Rejects with RL_FAILED, RL_IO or RL_NO_SPACE; the log is closed all the same, and pending
   * appends are rejected with that code and fate `unknown`.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const drained = this.#appender.drained()
    this.#appender.refuse()
    await drained
    try {
      await this.#native.close()
    } catch (error) {
      this.#appender.finish(error as RingleaderError)
      throw error
    }
    this.#appender.finish()
  }

  /** `await using log = await Log.open(...)` */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

// An append that is no transaction of the databases would be the end of them.
const refuseDatabases = async (directory: string): Promise<void> => {
  const databases = await stat(join(directory, 'base')).catch(() => undefined)
  if (databases) {
    throw invalidArgument(`directory: ${directory} holds databases; use Environment.open`)
  }
}
