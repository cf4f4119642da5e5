// The options of every call, and their checks: RL_INVALID_ARGUMENT names the option and says what
// it takes.
//
// An option that is undefined counts as absent. Unknown options are refused: they are mistakes in
// writing.
import { resolve } from 'node:path'
import { inspect, types } from 'node:util'

import { invalidArgument } from './errors.js'

/**
 * How far an append has got on this machine. Each level includes the ones before it.
 *
 * - `memory`: in memory shared by all processes of the environment. Survives the death of any
 *   process, at any instruction; not of the machine.
 * - `written`: the kernel has it.
 * - `flushed`: the disk has it (`fdatasync`). Survives power loss.
 */
export type Level = 'memory' | 'written' | 'flushed'

/** What a record is for. An application's own are `transaction`. */
export type EntryType =
  'transaction' | 'termStart' | 'checkpoint' | 'catalogue' | 'configuration' | 'bulkLoad'

export interface LogOptions {
  /** Make the environment where the directory is new or empty. Default: true. */
  create?: boolean
  /**
   * Size of a segment file in bytes: a power of two from 64 KiB to 1 GiB. Default: 64 MiB. Decided
   * when the environment is made; without effect later.
   */
  segmentBytes?: number
  /**
   * Size of the shared ring in bytes: a power of two from 64 KiB to 4 GiB, at least half a segment
   * up to 4 MiB. Default: 32 MiB. Decided by the first process that opens the environment.
   */
  ringBytes?: number
  /** Segments kept ready in front of the writers: 1 to 64. Default: 2. */
  segmentsAhead?: number
  /**
   * Identity of the replication group: 32 hexadecimal digits or 16 bytes. Default: random when the
   * environment is made; whatever it is when it exists.
   */
  groupId?: string | Uint8Array
  /**
   * Directory into which this process copies closed segments. Default: none. The archive then is a
   * consumer of the name `archive`: segments stay until some process has copied them.
   */
  archive?: string
  /**
   * Open a directory that looks as if it had been copied while it was in use (`RL_CORRUPTION`
   * otherwise), the way it is done after a crash: for one that was copied to another disk after a
   * crash, with nobody writing. Default: false.
   */
  adoptCopy?: boolean
  /**
   * Appends that nobody waits for are flushed this late, in milliseconds: 1 to 60,000.
   * Default: 100.
   */
  flushIntervalMs?: number
  /** Level of appends that do not say one. Default: `flushed`. */
  level?: Level
}

export interface AppendOptions {
  /** When the promise resolves. Default: the log's, which is `flushed` unless opened otherwise. */
  level?: Level
  /** Default: `transaction`. */
  type?: EntryType
  /** Term to append in: 0 to 2^32 - 1, not below the log's last one. Default: 0, the last one. */
  term?: number
  /** Number of operations inside, for statistics: 0 to 65,535. Default: 0. */
  operations?: number
}

export interface WaitOptions {
  /** Give up after this many milliseconds: 0 to 2^31 - 1. Default: never. */
  timeoutMs?: number
}

export interface ReadOptions {
  /**
   * Where to begin: an LSN or end that an append has returned, or the log's start. Default: the
   * log's start.
   */
  from?: number
  /** Bytes read at a time: 1 to 64 MiB. Default: 256 KiB. A larger transaction comes whole. */
  batchBytes?: number
}

/** Limits after which the log gives up on a consumer. */
export interface ConsumerOptions {
  /** Everything below is not needed any more. Default: the log's start. */
  position?: number
  /** Give up when it lags further behind, in bytes. Default: 0, never. */
  maxBytes?: number
  /** Give up when what it needs is older, in milliseconds. Default: 0, never. */
  maxAgeMs?: number
}

/** Levels as the addon numbers them. */
export const levelNumbers = { memory: 0, written: 1, flushed: 2 } as const

/** Their names. */
export const levelNames: readonly (Level | undefined)[] = ['memory', 'written', 'flushed']

/** Record types as they stand in the log; 2 is padding, which nobody appends or reads. */
export const typeNumbers = {
  transaction: 1,
  termStart: 3,
  checkpoint: 4,
  catalogue: 5,
  configuration: 6,
  bulkLoad: 7,
} as const

/** The options of a log as the addon takes them. */
export interface CheckedLogOptions {
  create: boolean
  segmentBytes: number
  ringBytes: number
  segmentsAhead: number
  groupId: Uint8Array | undefined
  archive: string
  adoptCopy: boolean
  flushIntervalMs: number
}

/** A consumer as the addon takes it. */
export interface CheckedConsumer {
  name: string
  position: number
  maxBytes: number
  maxAgeMs: number
}

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

const maxTimeoutMs = 2 ** 31 - 1
const maxConsumerNameBytes = 47
const groupIdBytes = 16

/** The refusal of one argument or option: it names it and says what it takes. */
export const refuse = (name: string, takes: string, value: unknown) => {
  const shown = inspect(value, { depth: 0, breakLength: Infinity })
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown
  return invalidArgument(`${name}: ${takes}, not ${short}`)
}

/** A row as it is given to be put. */
export const checkRow = <K, V>(row: readonly [K, V]): readonly [K, V] => {
  if (Array.isArray(row)) return row
  throw refuse('rows', 'arrays of a key and a value', row)
}

/** Something to loop over, with or without waiting. */
export const checkStream = <T extends object>(items: T, name: string): T => {
  const given: unknown = items
  if (typeof given === 'object' && given !== null) {
    if (Symbol.asyncIterator in given || Symbol.iterator in given) return items
  }
  throw refuse(name, 'an iterable', items)
}

/** Whether bytes are no longer there: transferred, or cut off by a resizing of their buffer. */
export const isTakenAway = (bytes: Uint8Array): boolean => {
  if (bytes.length > 0) return false
  try {
    bytes.at(0)
    return false
  } catch {
    return true
  }
}

/** Options by their names, not yet checked. */
export type Values = Record<string, unknown>

/** An options object, whose properties all have names in `known`. */
export const asOptions = (value: unknown, what: string, known: readonly string[]): Values => {
  if (value === undefined) return {}
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw refuse(what, 'an object', value)
  }
  for (const key in value) {
    if (!known.includes(key)) {
      throw invalidArgument(`${what} has no "${key}"; it has: ${known.join(', ')}`)
    }
  }
  return value as Values
}

/** An integer from `min` to `max`. */
export const checkInteger = (value: unknown, name: string, min: number, max: number): number => {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number
  }
  throw refuse(name, `an integer from ${min} to ${max}`, value)
}

export const checkNumber = (value: unknown, name: string, min: number, max: number): number => {
  // Written so that NaN fails.
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw refuse(name, `a number from ${min} to ${max}`, value)
}

const checkPowerOfTwo = (value: unknown, name: string, max: number, words: string): number => {
  const fits = Number.isInteger(value) && (value as number) >= 64 * KiB && (value as number) <= max
  if (fits && Number.isInteger(Math.log2(value as number))) return value as number
  throw refuse(name, `a power of two from 64 KiB to ${words}`, value)
}

export const checkBoolean = (value: unknown, name: string): boolean => {
  if (typeof value === 'boolean') return value
  throw refuse(name, 'true or false', value)
}

export const checkKey = <T extends object>(value: unknown, name: string, table: T): keyof T => {
  if (typeof value === 'string' && Object.hasOwn(table, value)) return value as keyof T
  throw refuse(name, `one of ${Object.keys(table).join(', ')}`, value)
}

/** A position in the log. */
export const checkPosition = (value: unknown, name: string): number =>
  checkInteger(value, name, 0, Number.MAX_SAFE_INTEGER)

export const checkLevel = (value: unknown, name = 'level'): Level =>
  checkKey(value, name, levelNumbers)

/** The absolute path: the process may change its working directory while the log is open. */
export const checkPath = (value: unknown, name: string): string => {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw refuse(name, 'a path', value)
  }
  return resolve(value)
}

export const checkConsumerName = (value: unknown): string => {
  if (typeof value === 'string') {
    const bytes = Buffer.byteLength(value)
    if (bytes >= 1 && bytes <= maxConsumerNameBytes && !value.includes('\0')) return value
  }
  throw refuse('name', `a string of 1 to ${maxConsumerNameBytes} bytes without a zero byte`, value)
}

const checkGroupId = (value: unknown): Uint8Array => {
  if (types.isUint8Array(value) && value.byteLength === groupIdBytes) return value.slice()
  if (typeof value === 'string' && /^[0-9a-f]{32}$/i.test(value)) return Buffer.from(value, 'hex')
  throw refuse('groupId', '32 hexadecimal digits or 16 bytes', value)
}

const logOptionNames = [
  'create',
  'segmentBytes',
  'ringBytes',
  'segmentsAhead',
  'groupId',
  'archive',
  'adoptCopy',
  'flushIntervalMs',
  'level',
] as const satisfies readonly (keyof LogOptions)[]

export const checkLogOptions = (options: unknown): { native: CheckedLogOptions; level: Level } => {
  const given = asOptions(options, 'options', logOptionNames)
  const { create = true, segmentBytes = 64 * MiB, ringBytes = 32 * MiB } = given
  const { segmentsAhead = 2, groupId, archive, flushIntervalMs = 100, level = 'flushed' } = given
  const { adoptCopy = false } = given
  return {
    native: {
      create: checkBoolean(create, 'create'),
      segmentBytes: checkPowerOfTwo(segmentBytes, 'segmentBytes', GiB, '1 GiB'),
      ringBytes: checkPowerOfTwo(ringBytes, 'ringBytes', 4 * GiB, '4 GiB'),
      segmentsAhead: checkInteger(segmentsAhead, 'segmentsAhead', 1, 64),
      groupId: groupId === undefined ? undefined : checkGroupId(groupId),
      archive: archive === undefined ? '' : checkPath(archive, 'archive'),
      adoptCopy: checkBoolean(adoptCopy, 'adoptCopy'),
      flushIntervalMs: checkNumber(flushIntervalMs, 'flushIntervalMs', 1, 60_000),
    },
    level: checkLevel(level),
  }
}

/** The options of one append, in the form in which the addon takes them. */
export interface AppendWords {
  level: number
  term: number
  /** type | level << 8 | operations << 16 */
  word: number
}

const plainWords = (level: Level): AppendWords => ({
  level: levelNumbers[level],
  term: 0,
  word: typeNumbers.transaction | (levelNumbers[level] << 8),
})

const appendDefaults = {
  memory: plainWords('memory'),
  written: plainWords('written'),
  flushed: plainWords('flushed'),
}

const appendOptionNames = [
  'level',
  'type',
  'term',
  'operations',
] as const satisfies readonly (keyof AppendOptions)[]

export const checkAppendOptions = (options: unknown, defaultLevel: Level): AppendWords => {
  if (options === undefined) return appendDefaults[defaultLevel]
  const given = asOptions(options, 'options', appendOptionNames)
  const { level = defaultLevel, type = 'transaction', term = 0, operations = 0 } = given
  const levelNumber = levelNumbers[checkLevel(level)]
  const typeNumber = typeNumbers[checkKey(type, 'type', typeNumbers) satisfies EntryType]
  const count = checkInteger(operations, 'operations', 0, 0xffff)
  return {
    level: levelNumber,
    term: checkInteger(term, 'term', 0, 2 ** 32 - 1),
    // Unsigned: operations may reach the sign bit.
    word: (typeNumber | (levelNumber << 8) | (count << 16)) >>> 0,
  }
}

export const checkWaitOptions = (options: unknown): number | undefined => {
  const { timeoutMs } = asOptions(options, 'options', ['timeoutMs'] satisfies (keyof WaitOptions)[])
  return timeoutMs === undefined ? undefined : checkNumber(timeoutMs, 'timeoutMs', 0, maxTimeoutMs)
}

const readOptionNames = ['from', 'batchBytes'] as const satisfies readonly (keyof ReadOptions)[]

export const checkReadOptions = (options: unknown, start: () => number) => {
  const { from, batchBytes = 256 * KiB } = asOptions(options, 'options', readOptionNames)
  return {
    from: from === undefined ? start() : checkPosition(from, 'from'),
    batchBytes: checkInteger(batchBytes, 'batchBytes', 1, 64 * MiB),
  }
}

const consumerOptionNames = [
  'position',
  'maxBytes',
  'maxAgeMs',
] as const satisfies readonly (keyof ConsumerOptions)[]

export const checkConsumer = (
  name: unknown,
  options: unknown,
  start: () => number,
): CheckedConsumer => {
  const {
    position,
    maxBytes = 0,
    maxAgeMs = 0,
  } = asOptions(options, 'options', consumerOptionNames)
  return {
    name: checkConsumerName(name),
    position: position === undefined ? start() : checkPosition(position, 'position'),
    maxBytes: checkPosition(maxBytes, 'maxBytes'),
    // In microseconds it has to be a safe integer too.
    maxAgeMs: checkNumber(maxAgeMs, 'maxAgeMs', 0, Number.MAX_SAFE_INTEGER / 1000),
  }
}
