// Checks what callers pass: RL_INVALID_ARGUMENT names the option and says what it takes.
//
// An option that is undefined counts as absent. Unknown options are refused: they are mistakes in
// writing.
import { resolve } from 'node:path'
import { inspect, types } from 'node:util'

import { invalidArgument } from './errors.js'
import type {
  AppendOptions,
  ConsumerOptions,
  EntryType,
  Level,
  LogOptions,
  ReadOptions,
  WaitOptions,
} from './log-types.js'
import { levelNumbers, typeNumbers, type NativeConsumer, type NativeLogOptions } from './native.js'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

const maxTimeoutMs = 2 ** 31 - 1
const maxConsumerNameBytes = 47
const groupIdBytes = 16

const refuse = (name: string, takes: string, value: unknown) => {
  const shown = inspect(value, { depth: 0, breakLength: Infinity })
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown
  return invalidArgument(`${name}: ${takes}, not ${short}`)
}

type Values = Record<string, unknown>

// An options object, whose properties all have names in `known`.
const asOptions = (value: unknown, what: string, known: readonly string[]): Values => {
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

const checkNumber = (value: unknown, name: string, min: number, max: number): number => {
  // Written so that NaN fails.
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw refuse(name, `a number from ${min} to ${max}`, value)
}

const checkPowerOfTwo = (value: unknown, name: string, max: number, words: string): number => {
  const fits = Number.isInteger(value) && (value as number) >= 64 * KiB && (value as number) <= max
  if (fits && Number.isInteger(Math.log2(value as number))) return value as number
  throw refuse(name, `a power of two from 64 KiB to ${words}`, value)
}

const checkBoolean = (value: unknown, name: string): boolean => {
  if (typeof value === 'boolean') return value
  throw refuse(name, 'true or false', value)
}

const checkKey = <T extends object>(value: unknown, name: string, table: T): keyof T => {
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
  'flushIntervalMs',
  'level',
] as const satisfies readonly (keyof LogOptions)[]

export const checkLogOptions = (options: unknown): { native: NativeLogOptions; level: Level } => {
  const given = asOptions(options, 'options', logOptionNames)
  const { create = true, segmentBytes = 64 * MiB, ringBytes = 32 * MiB } = given
  const { segmentsAhead = 2, groupId, archive, flushIntervalMs = 100, level = 'flushed' } = given
  return {
    native: {
      create: checkBoolean(create, 'create'),
      segmentBytes: checkPowerOfTwo(segmentBytes, 'segmentBytes', GiB, '1 GiB'),
      ringBytes: checkPowerOfTwo(ringBytes, 'ringBytes', 4 * GiB, '4 GiB'),
      segmentsAhead: checkInteger(segmentsAhead, 'segmentsAhead', 1, 64),
      groupId: groupId === undefined ? undefined : checkGroupId(groupId),
      archive: archive === undefined ? '' : checkPath(archive, 'archive'),
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
): NativeConsumer => {
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
