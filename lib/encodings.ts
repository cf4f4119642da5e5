// Keys and values of a database as bytes, and back.
//
// A key codec writes a key where the caller has room for the largest one. A value may be of any
// size, so a value codec works in two steps: `prepare` turns the value into what can be written
// without another look at it (a string or bytes), `writeValue` writes that, or says that it does
// not fit; then the caller makes `valueRoom` bytes of room and writes again.
//
// Whatever cannot come back is refused when it is put: RL_INVALID_ARGUMENT for what the encoding
// does not take, RL_TOO_LARGE for too much of it. What comes back is what was put, except where
// ValueEncoding says more of `json` and `msgpack`. Stored bytes that are none of the encoding's are
// RL_CORRUPTION.
import { types } from 'node:util'
import { markAsUntransferable } from 'node:worker_threads'

import { invalidArgument, RingleaderError } from './errors.js'
import { beginKeyTurn, checkNoKeyTurn, endKeyTurn } from './key-turn.js'
import { keyTooLarge, maxKeyBytes, maxValueBytes, valueTooLarge } from './limits.js'
import { packMessage, unpackMessage } from './message-pack.js'
import { isTakenAway, refuse } from './options.js'
import { isWellFormed, largestUtf8, readText, writeText } from './text.js'
import { behindElements, readTuple, writeTuple, type TupleElement } from './tuple.js'

/**
 * How the keys of a database become bytes, and so what their order is.
 *
 * - `binary`: Uint8Array, in the order of unsigned bytes.
 * - `utf8`: strings, in the order of their UTF-8 bytes, which is that of code points. (`<` in
 *   JavaScript compares UTF-16 units: there, characters from U+10000 on come before U+E000.)
 * - `tuple`: null, booleans, numbers, bigints, dates, strings, bytes and arrays of these, ordered
 * by
 *   type (in this order) and value; an array comes before those that continue it.
 */
export type KeyEncoding = 'binary' | 'utf8' | 'tuple'

/**
 * How the values of a database become bytes.
 *
 * - `binary`: Uint8Array. One that is read belongs to the caller; like a small Buffer, it may be
 * part
 *   of a larger ArrayBuffer.
 * - `utf8`: strings.
 * - `json`: what JSON.stringify takes, except functions, symbols and undefined, in the form that it
 *   gives it: inside of objects and arrays these become nothing or null, as do NaN and infinities;
 *   a date becomes a string; of a Map, a Set or bytes nothing useful is left.
 * - `msgpack`: MessagePack. Besides what JSON has: undefined inside of objects, bytes, dates,
 *   bigints, NaN and infinities. A Map comes back as an object (its keys must be strings, numbers
 *   or booleans, of different names as strings), a Uint8Array as a Buffer, -0 as 0, a hole in an
 *   array as undefined, a lone surrogate as U+FFFD or in three of these, and a property named
 *   `__proto__` as `__proto_`. An object of another class comes back without it, with what its
 *   toJSON gives or its own properties. Refused are those whose properties are not what they hold:
 *   Set, RegExp, Error, Promise, boxed primitives, ArrayBuffer, DataView and typed arrays other
 *   than Uint8Array.
 * - `number`: numbers, in 8 bytes (float64, little-endian): the encoding that `add` works on.
 */
export type ValueEncoding = 'binary' | 'utf8' | 'json' | 'msgpack' | 'number'

export interface KeyTypes {
  binary: Uint8Array
  utf8: string
  tuple: TupleElement
}

export interface ValueTypes {
  binary: Uint8Array
  utf8: string
  json: unknown
  msgpack: unknown
  number: number
}

/** Keys from `gte` on and before `lt`; each is at most maxKeyBytes long. */
export interface KeyRange {
  /** Empty: from the first key on. */
  gte: Buffer
  /** undefined: to the last key. */
  lt: Buffer | undefined
}

export interface KeyCodec<K> {
  /** Writes the key at `at`, where maxKeyBytes have to be free; the end of its bytes. */
  write(key: unknown, into: Buffer, at: number): number
  /** The key; nothing of it is shared with `bytes`. */
  read(bytes: Buffer, from: number, to: number): K
  /**
   * The range of keys that begin with a prefix: for `binary` and `utf8` with these bytes or this
   * string, for `tuple` with the elements of this array.
   */
  prefixRange(prefix: unknown): KeyRange
}

export interface ValueCodec<V> {
  /** What writeValue takes. Bytes are valid until the next value is prepared. */
  prepare(value: unknown): string | Uint8Array
  /** The value; nothing of it is shared with `bytes`. */
  read(bytes: Buffer, from: number, to: number): V
}

// Memory for bytes that are handed out, as Buffer has it for small buffers: an ArrayBuffer for
// every one of them costs several times the rest of a read. V8 keeps the smallest ones in its own
// heap.
const poolBytes = 8192
const leastPooledBytes = 65
const mostPooledBytes = poolBytes / 4
let pool = new Uint8Array(0)
let poolUsed = 0

const fromPool = (length: number): Uint8Array => {
  if (poolUsed + length > pool.length) {
    pool = new Uint8Array(poolBytes)
    // Or a transfer of one value to another thread would take its neighbours away.
    markAsUntransferable(pool.buffer)
    poolUsed = 0
  }
  const bytes = new Uint8Array(pool.buffer, poolUsed, length)
  poolUsed += (length + 7) & ~7
  return bytes
}

// Not a view: buffers that rows are read into are used again.
const copyOf = (bytes: Buffer, from: number, to: number): Uint8Array => {
  const length = to - from
  const pooled = length >= leastPooledBytes && length <= mostPooledBytes
  const copy = pooled ? fromPool(length) : new Uint8Array(length)
  copy.set(new Uint8Array(bytes.buffer, bytes.byteOffset + from, length))
  return copy
}

const scratch = Buffer.alloc(maxKeyBytes)

const writtenKey = (write: (into: Buffer, at: number) => number): Buffer =>
  Buffer.from(scratch.subarray(0, write(scratch, 0)))

// The least of the byte strings that are greater than all that begin with these.
const behindPrefix = (prefix: Buffer): Buffer | undefined => {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length -= 1
  if (length === 0) return undefined
  const behind = Buffer.from(prefix.subarray(0, length))
  behind[length - 1] = (behind[length - 1] ?? 0) + 1
  return behind
}

const writeBinaryKey = (key: unknown, into: Buffer, at: number): number => {
  beginKeyTurn()
  try {
    if (!types.isUint8Array(key) || isTakenAway(key)) throw refuse('key', 'a Uint8Array', key)
    const { length } = key
    if (length > maxKeyBytes) throw keyTooLarge()
    into.set(key, at)
    return at + length
  } finally {
    endKeyTurn()
  }
}

const writeUtf8Key = (key: unknown, into: Buffer, at: number): number => {
  checkNoKeyTurn()
  if (typeof key !== 'string') throw refuse('key', 'a string', key)
  if (!isWellFormed(key)) throw refuse('key', 'a string without lone surrogates', key)
  if (key.length * largestUtf8 > maxKeyBytes && Buffer.byteLength(key) > maxKeyBytes) {
    throw keyTooLarge()
  }
  return writeText(key, into, at)
}

type WriteKey = (key: unknown, into: Buffer, at: number) => number

// Of the encodings whose keys have no structure: every byte string but the empty one is a key.
const flatKeys = <K>(write: WriteKey, read: KeyCodec<K>['read']): KeyCodec<K> => ({
  write(key, into, at) {
    const to = write(key, into, at)
    if (to === at) throw invalidArgument('key: at least one byte, not empty')
    return to
  },
  read,
  prefixRange(prefix) {
    const gte = writtenKey((into, at) => write(prefix, into, at))
    return { gte, lt: behindPrefix(gte) }
  },
})

const tupleKeys: KeyCodec<TupleElement> = {
  write: writeTuple,
  read: readTuple,
  prefixRange(prefix) {
    if (!Array.isArray(prefix)) throw refuse('prefix', 'an array', prefix)
    const gte = writtenKey((into, at) => writeTuple(prefix, into, at))
    // Nothing continues the longest key, so that of those that begin with it there is only itself.
    if (gte.length === maxKeyBytes) return { gte, lt: behindPrefix(gte) }
    return { gte, lt: Buffer.from([...gte, behindElements]) }
  },
}

export const keyCodecs: { readonly [E in KeyEncoding]: KeyCodec<KeyTypes[E]> } = {
  binary: flatKeys(writeBinaryKey, copyOf),
  utf8: flatKeys(writeUtf8Key, (bytes, from, to) => readText(bytes, from, to, 'key')),
  tuple: tupleKeys,
}

/** Bytes that are enough for a prepared value; RL_TOO_LARGE where it may not be stored. */
export const valueRoom = (prepared: string | Uint8Array): number => {
  const room = typeof prepared === 'string' ? prepared.length * largestUtf8 : prepared.length
  if (room <= maxValueBytes) return room
  const length = Buffer.byteLength(prepared)
  if (length > maxValueBytes) throw valueTooLarge()
  return length
}

/**
 * Writes a prepared value at `at`; the end of its bytes, or -1 where `into` may be too short: then
 * valueRoom(prepared) bytes are needed.
 */
export const writeValue = (prepared: string | Uint8Array, into: Buffer, at: number): number => {
  if (valueRoom(prepared) > into.length - at) return -1
  if (typeof prepared === 'string') return writeText(prepared, into, at)
  into.set(prepared, at)
  return at + prepared.length
}

// As it is: the library says that it always returns a string.
const stringify: (value: unknown) => string | undefined = JSON.stringify

const prepareJson = (value: unknown): string => {
  let text: string | undefined
  try {
    text = stringify(value)
  } catch (error) {
    throw notEncoded('json', error)
  }
  if (text === undefined) throw refuse('value', 'what JSON can hold', value)
  return text
}

const notEncoded = (encoding: string, error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error)
  return invalidArgument(`value: cannot be encoded as ${encoding}: ${reason}`)
}

const notDecoded = (encoding: string, error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error)
  return new RingleaderError('RL_CORRUPTION', `value: not ${encoding}: ${reason}`)
}

const readJson = (bytes: Buffer, from: number, to: number): unknown => {
  const text = readText(bytes, from, to, 'value')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw notDecoded('json', error)
  }
}

const prepareMsgpack = (value: unknown): Uint8Array => {
  checkNoKeyTurn() // its bytes lie where those of the value beside the key do
  if (value === undefined) throw refuse('value', 'what MessagePack can hold', value)
  try {
    return packMessage(value)
  } catch (error) {
    throw notEncoded('msgpack', error)
  }
}

const readMsgpack = (bytes: Buffer, from: number, to: number): unknown => {
  try {
    return unpackMessage(bytes, from, to)
  } catch (error) {
    throw notDecoded('msgpack', error)
  }
}

const numberBytes = Buffer.alloc(8)

const numberValues: ValueCodec<number> = {
  prepare(value) {
    if (typeof value !== 'number') throw refuse('value', 'a number', value)
    checkNoKeyTurn()
    numberBytes.writeDoubleLE(value)
    return numberBytes
  },
  read(bytes, from, to) {
    if (to - from === numberBytes.length) return bytes.readDoubleLE(from)
    throw new RingleaderError('RL_CORRUPTION', `value: not a number: it has ${to - from} bytes`)
  },
}

export const valueCodecs: { readonly [E in ValueEncoding]: ValueCodec<ValueTypes[E]> } = {
  binary: {
    prepare(value) {
      if (types.isUint8Array(value) && !isTakenAway(value)) return value
      throw refuse('value', 'a Uint8Array', value)
    },
    read: copyOf,
  },
  utf8: {
    prepare(value) {
      if (typeof value === 'string' && isWellFormed(value)) return value
      throw refuse('value', 'a string without lone surrogates', value)
    },
    read: (bytes, from, to) => readText(bytes, from, to, 'value'),
  },
  json: { prepare: prepareJson, read: readJson },
  msgpack: { prepare: prepareMsgpack, read: readMsgpack },
  number: numberValues,
}
