// The options of environments, databases, transactions and ranges, and their checks, as options.ts
// has it.
import { checkDurability, type Durability, type LevelTable } from './durability.js'
import {
  asOptions,
  checkBoolean,
  checkInteger,
  checkKey,
  checkLogOptions,
  checkNumber,
  refuse,
  type CheckedLogOptions,
  type LogOptions,
} from './options.js'

export interface EnvironmentOptions extends Omit<LogOptions, 'level'> {
  /**
   * Largest piece of the shared memory that holds what has been committed and is not yet in the
   * base tree, in bytes: 1 MiB to 4 GiB. About four of them may exist. Default: 128 MiB. Decided by
   * the first process that opens the environment, like the next two.
   */
  generationBytes?: number
  /** Full pieces that may wait for the base tree before writers are held up: 1 to 8. Default: 2. */
  maxFrozen?: number
  /**
   * A piece that is not full goes into the base tree when it is this old, in milliseconds: 1 to
   * 3,600,000. Default: 30,000.
   */
  foldIntervalMs?: number
  /**
   * Snapshots, ranges and transactions that may be open at once over all processes: 16 to 65,536.
   * Transactions that a thread begins while nobody commits count as one. Default: 4,096. Decided
   * when the environment is made.
   */
  maxReaders?: number
  /**
   * Memory that this process may use for a hash index over the rows of the base tree, in bytes: up
   * to 16 GiB. It grows with what is read, up to 16 bytes per row, and makes `get` more than twice
   * as fast where it takes all rows; it begins anew whenever rows have gone into the base tree.
   * 0: none. Default: 32 MiB.
   */
  hashIndexBytes?: number
  /** Of commits that do not say one. Default: `flushed`. */
  durability?: Durability
  /** What `Database.get` and other reads of databases see. Default: `local`. */
  readLevel?: ReadLevel
}

/**
 * What a read sees of an environment that belongs to a group:
 *
 * - `local`: everything that has been applied here. A new primary may take the newest of it back.
 * - `durable`: what the group has committed, as far as this member knows. Nothing takes that back.
 *
 * Without a group there is no difference.
 */
export type ReadLevel = 'local' | 'durable'

export interface SnapshotOptions {
  /** Default: the environment's `readLevel`. */
  level?: ReadLevel
}

export interface SnapshotAtOptions extends SnapshotOptions {
  /** A commit that has to be seen, by whomever it was made: a receipt, or a token. */
  atLeast?: { readonly end: number } | string
  /**
   * The data may be older than the primary's by so many milliseconds: 0 to 2^31 - 1. Default: by
   * any time.
   */
  maxLagMs?: number
  /**
   * Everything is seen that anybody had been told was committed before this call; one round through
   * the group. Only with level `durable`, which is the default then. Default: false.
   */
  linearizable?: boolean
  /** Give up after this many milliseconds: 0 to 2^31 - 1. Default: never. */
  timeoutMs?: number
}

export interface WriteOptions {
  /** When the promise resolves. Default: the environment's. */
  durability?: Durability
}

export interface CountOptions {
  /** Walk over the rows. Default: false, an estimate that is never too low. */
  exact?: boolean
}

/**
 * - `serializable`: as if transactions ran one after the other. Everything read is checked when the
 *   transaction commits, gaps in ranges included.
 * - `snapshot`: reads are not checked; what is written must not have been written by anybody else
 *   in the meantime. Allows write skew.
 */
export type Isolation = 'serializable' | 'snapshot'

export interface TransactionOptions extends WriteOptions {
  /** Default: `serializable`. */
  isolation?: Isolation
  /**
   * Whether the function runs again when somebody else has changed what it had read, or how many
   * times more at most. Default: true.
   */
  retry?: boolean | number
  /**
   * Give up after this many milliseconds, all attempts together: 0 to 2^31 - 1. Default: never.
   */
  timeoutMs?: number
}

/**
 * The rows of a walk. At most one of `gt` and `gte`, one of `lt` and `lte`; `prefix` without these.
 */
export interface RangeOptions<K> {
  /** After this key. */
  gt?: K
  /** From this key on. */
  gte?: K
  /** Before this key. */
  lt?: K
  /** Up to and including this key. */
  lte?: K
  /** Keys that begin with these bytes, this string, or the elements of this array. */
  prefix?: K extends readonly unknown[] ? readonly unknown[] : K
  /** From the last row to the first. Default: false. */
  reverse?: boolean
  /** Rows at most: 0 to 2^53 - 1. Default: no limit. */
  limit?: number
}

/** The options of an environment as the addon takes them. */
export interface CheckedEnvironmentOptions extends CheckedLogOptions {
  generationBytes: number
  maxFrozen: number
  foldIntervalMs: number
  maxReaders: number
  hashIndexBytes: number
}

export interface CheckedSnapshotAtOptions {
  level: ReadLevel
  atLeast: unknown
  maxLagMs: number | undefined
  linearizable: boolean
  timeoutMs: number | undefined
}

const MiB = 2 ** 20
const maxTimeoutMs = 2 ** 31 - 1

const environmentOptionNames = [
  'create',
  'segmentBytes',
  'ringBytes',
  'segmentsAhead',
  'groupId',
  'archive',
  'adoptCopy',
  'flushIntervalMs',
  'generationBytes',
  'maxFrozen',
  'foldIntervalMs',
  'maxReaders',
  'hashIndexBytes',
  'durability',
  'readLevel',
] as const satisfies readonly (keyof EnvironmentOptions)[]

const readLevels = { local: 0, durable: 1 } as const satisfies Record<ReadLevel, number>

const checkReadLevel = (value: unknown, name: string): ReadLevel =>
  checkKey(value, name, readLevels)

export interface CheckedEnvironment {
  native: CheckedEnvironmentOptions
  durability: unknown
  readLevel: ReadLevel
}

export const checkEnvironmentOptions = (options: unknown): CheckedEnvironment => {
  const given = asOptions(options, 'options', environmentOptionNames)
  const { generationBytes = 128 * MiB, maxFrozen = 2, foldIntervalMs = 30_000 } = given
  const { maxReaders = 4096, hashIndexBytes = 32 * MiB } = given
  const { durability = 'flushed', readLevel = 'local', ...log } = given
  checkDurability(durability)
  delete log.generationBytes
  delete log.maxFrozen
  delete log.foldIntervalMs
  delete log.maxReaders
  delete log.hashIndexBytes
  return {
    native: {
      ...checkLogOptions(log).native,
      generationBytes: checkInteger(generationBytes, 'generationBytes', MiB, 4096 * MiB),
      maxFrozen: checkInteger(maxFrozen, 'maxFrozen', 1, 8),
      foldIntervalMs: checkNumber(foldIntervalMs, 'foldIntervalMs', 1, 3_600_000),
      maxReaders: checkInteger(maxReaders, 'maxReaders', 16, 65_536),
      hashIndexBytes: checkInteger(hashIndexBytes, 'hashIndexBytes', 0, 16_384 * MiB),
    },
    durability,
    readLevel: checkReadLevel(readLevel, 'readLevel'),
  }
}

export const checkSnapshotOptions = (options: unknown, byDefault: ReadLevel): ReadLevel => {
  const { level } = asOptions(options, 'options', ['level'] satisfies (keyof SnapshotOptions)[])
  return level === undefined ? byDefault : checkReadLevel(level, 'level')
}

const snapshotAtOptionNames = [
  'level',
  'atLeast',
  'maxLagMs',
  'linearizable',
  'timeoutMs',
] as const satisfies readonly (keyof SnapshotAtOptions)[]

export const checkSnapshotAtOptions = (
  options: unknown,
  byDefault: ReadLevel,
): CheckedSnapshotAtOptions => {
  const given = asOptions(options, 'options', snapshotAtOptionNames)
  const { level, atLeast, maxLagMs, linearizable = false, timeoutMs } = given
  const must = checkBoolean(linearizable, 'linearizable')
  const checked =
    level === undefined ? (must ? 'durable' : byDefault) : checkReadLevel(level, 'level')
  if (must && checked === 'local') {
    throw refuse('level', 'durable where the read is linearizable', level)
  }
  return {
    level: checked,
    atLeast,
    maxLagMs:
      maxLagMs === undefined ? undefined : checkNumber(maxLagMs, 'maxLagMs', 0, maxTimeoutMs),
    linearizable: must,
    timeoutMs:
      timeoutMs === undefined ? undefined : checkNumber(timeoutMs, 'timeoutMs', 0, maxTimeoutMs),
  }
}

const writeOptionNames = ['durability'] as const satisfies readonly (keyof WriteOptions)[]

/** The level of a write. */
export const checkWriteOptions = (options: unknown, levels: LevelTable): number => {
  if (options === undefined) return levels.byDefault
  const { durability } = asOptions(options, 'options', writeOptionNames)
  return durability === undefined ? levels.byDefault : levels.levelOf(durability)
}

export const checkCountOptions = (options: unknown): boolean => {
  const { exact = false } = asOptions(options, 'options', ['exact'])
  return checkBoolean(exact, 'exact')
}

const isolations = { serializable: 0, snapshot: 1 } as const satisfies Record<Isolation, number>

const transactionOptionNames = [
  'durability',
  'isolation',
  'retry',
  'timeoutMs',
] as const satisfies readonly (keyof TransactionOptions)[]

/** The options of a transaction, in the form in which they are used. */
export interface CheckedTransactionOptions {
  isolation: number
  level: number
  /** Attempts after the first one. */
  retries: number
  timeoutMs: number | undefined
}

const defaultsOf = (level: number): CheckedTransactionOptions => ({
  isolation: isolations.serializable,
  level,
  retries: Infinity,
  timeoutMs: undefined,
})

export const checkTransactionOptions = (
  options: unknown,
  levels: LevelTable,
): CheckedTransactionOptions => {
  if (options === undefined) return defaultsOf(levels.byDefault)
  const given = asOptions(options, 'options', transactionOptionNames)
  const { durability, isolation = 'serializable', retry = true, timeoutMs } = given
  let retries = retry === true ? Infinity : 0
  if (typeof retry !== 'boolean') {
    retries = checkInteger(retry, 'retry', 0, Number.MAX_SAFE_INTEGER)
  }
  return {
    isolation: isolations[checkKey(isolation, 'isolation', isolations)],
    level: durability === undefined ? levels.byDefault : levels.levelOf(durability),
    retries,
    timeoutMs:
      timeoutMs === undefined ? undefined : checkNumber(timeoutMs, 'timeoutMs', 0, maxTimeoutMs),
  }
}

const rangeOptionNames = [
  'gt',
  'gte',
  'lt',
  'lte',
  'prefix',
  'reverse',
  'limit',
] as const satisfies readonly (keyof RangeOptions<unknown>)[]

/** The options of a range; keys are not looked at. */
export interface CheckedRangeOptions {
  gt: unknown
  gte: unknown
  lt: unknown
  lte: unknown
  prefix: unknown
  reverse: boolean
  limit: number
}

export const checkRangeOptions = (options: unknown): CheckedRangeOptions => {
  const given = asOptions(options, 'options', rangeOptionNames)
  const { gt, gte, lt, lte, prefix, reverse = false, limit } = given
  if (gt !== undefined && gte !== undefined) throw refuse('gt', 'nothing beside gte', gt)
  if (lt !== undefined && lte !== undefined) throw refuse('lt', 'nothing beside lte', lt)
  const bounded = [gt, gte, lt, lte].some((bound) => bound !== undefined)
  if (prefix !== undefined && bounded) {
    throw refuse('prefix', 'nothing beside gt, gte, lt and lte', prefix)
  }
  return {
    gt,
    gte,
    lt,
    lte,
    prefix,
    reverse: checkBoolean(reverse, 'reverse'),
    limit:
      limit === undefined ? Infinity : checkInteger(limit, 'limit', 0, Number.MAX_SAFE_INTEGER),
  }
}
