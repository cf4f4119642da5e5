// Tuples as keys: values of several types, and arrays of them, as bytes whose order is theirs.
//
// Types are in this order, values of one type in their own:
//
//   null < false < true < numbers < bigints < dates < strings < bytes < arrays
//
// Strings are in order of code points (of their UTF-8; `<` in JavaScript compares UTF-16 units);
// arrays element by element, a shorter one before what continues it. What was put comes back: 5 and
// 5n are two keys, 'a' and ['a'] too. Only -0 is 0, as in Map and Set. Refused, because they have
// no place in the order or would not come back: undefined, NaN, invalid dates, strings with lone
// surrogates, all other objects.
//
// The bytes are those of docs/FORMATS.md#tuple-keys: a type byte, then the value. Inside of an
// array no value's bytes begin another one's, so what follows a value cannot disturb the order.
import { types } from 'node:util'

import { RingleaderError } from './errors.js'
import { beginKeyTurn, checkNoKeyTurn, endKeyTurn } from './key-turn.js'
import { keyTooLarge, maxKeyBytes } from './limits.js'
import { isTakenAway, refuse } from './options.js'
import { isWellFormed, largestUtf8, readText, writeText } from './text.js'

export type TupleElement =
  null | boolean | number | bigint | string | Date | Uint8Array | readonly TupleElement[]

// No type is 00 or ff: 00 ends arrays, strings and bytes; ff marks a 00 that does not, and is the
// first byte that nothing inside of an array begins with.
const end = 0x00
const notTheEnd = 0xff
const nullType = 0x08
const falseType = 0x10
const trueType = 0x11
const numberType = 0x20
const bigintType = 0x28
const dateType = 0x30
const stringType = 0x40
const bytesType = 0x48
const arrayType = 0x50

const doubleBytes = 8
const bigintHeadBytes = 2
const bigintZero = 0x8000 // plus the length of a positive one, minus that of a negative one

// Every machine that this package runs on is little-endian: the high word has sign and exponent.
const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const signBit = 0x80000000

const takes =
  'null, a boolean, a number except NaN, a bigint, a valid date, a string without lone surrogates' +
  ', bytes, or an array of these'

const needRoom = (bytes: number, at: number, limit: number): void => {
  if (at + bytes > limit) throw keyTooLarge()
}

// Big-endian with the sign turned, negative ones turned altogether: unsigned order is that of
// values.
const writeDouble = (type: number, value: number, into: Buffer, at: number, limit: number) => {
  needRoom(1 + doubleBytes, at, limit)
  into[at] = type
  double[0] = value + 0 // -0 + 0 is 0
  const [low = 0, high = 0] = words
  const turn = high & signBit ? 0xffffffff : 0
  storeWord(high ^ (turn | signBit), into, at + 1)
  storeWord(low ^ turn, into, at + 5)
  return at + 1 + doubleBytes
}

const storeWord = (word: number, into: Buffer, at: number): void => {
  into[at] = word >>> 24
  into[at + 1] = word >>> 16
  into[at + 2] = word >>> 8
  into[at + 3] = word
}

const writeBigint = (value: bigint, into: Buffer, at: number, limit: number): number => {
  const digits = value === 0n ? '' : (value < 0n ? -value : value).toString(16)
  const length = (digits.length + 1) >> 1
  needRoom(1 + bigintHeadBytes + length, at, limit)
  into[at] = bigintType
  const from = at + 1
  into.writeUInt16BE(bigintZero + length, from)
  const to = from + bigintHeadBytes + length
  into.write(digits.padStart(2 * length, '0'), from + bigintHeadBytes, 'hex')
  if (value < 0n) for (let i = from; i < to; i += 1) into[i] = ~(into[i] ?? 0)
  return to
}

const writeEscaped = (bytes: Uint8Array, into: Buffer, at: number, limit: number): number => {
  let to = at
  for (const byte of bytes) {
    needRoom(2, to, limit)
    into[to] = byte
    to += 1
    if (byte !== end) continue
    into[to] = notTheEnd
    to += 1
  }
  needRoom(1, to, limit)
  into[to] = end
  return to + 1
}

const writeString = (text: string, into: Buffer, at: number, limit: number): number => {
  if (!isWellFormed(text)) throw refuse('key', takes, text)
  needRoom(2 + text.length, at, limit)
  into[at] = stringType
  if (text.includes('\0')) return writeEscaped(Buffer.from(text), into, at + 1, limit)
  if (2 + text.length * largestUtf8 > limit - at) {
    needRoom(2 + Buffer.byteLength(text), at, limit)
  }
  const to = writeText(text, into, at + 1)
  into[to] = end
  return to + 1
}

const writeBytes = (bytes: Uint8Array, into: Buffer, at: number, limit: number): number => {
  needRoom(2 + bytes.length, at, limit)
  into[at] = bytesType
  return writeEscaped(bytes, into, at + 1, limit)
}

const writeType = (type: number, into: Buffer, at: number, limit: number): number => {
  needRoom(1, at, limit)
  into[at] = type
  return at + 1
}

const writeElements = (array: unknown[], into: Buffer, at: number, limit: number): number => {
  let to = writeType(arrayType, into, at, limit)
  for (const element of array) {
    to = Array.isArray(element)
      ? writeType(end, into, writeElements(element, into, to, limit), limit)
      : writeScalar(element, into, to, limit)
  }
  return to
}

const writeScalar = (value: unknown, into: Buffer, at: number, limit: number): number => {
  switch (typeof value) {
    case 'string':
      return writeString(value, into, at, limit)
    case 'number':
      if (Number.isNaN(value)) break
      return writeDouble(numberType, value, into, at, limit)
    case 'boolean':
      return writeType(value ? trueType : falseType, into, at, limit)
    case 'bigint':
      return writeBigint(value, into, at, limit)
    default:
      if (value === null) return writeType(nullType, into, at, limit)
      if (types.isUint8Array(value)) {
        if (isTakenAway(value)) break
        return writeBytes(value, into, at, limit)
      }
      if (!types.isDate(value) || Number.isNaN(value.getTime())) break
      return writeDouble(dateType, value.getTime(), into, at, limit)
  }
  throw refuse('key', takes, value)
}

/** Writes the key at `at`, where maxKeyBytes have to be free; the end of its bytes. */
export const writeTuple = (key: unknown, into: Buffer, at: number): number => {
  const limit = at + maxKeyBytes
  if (typeof key !== 'object') {
    checkNoKeyTurn()
    return writeScalar(key, into, at, limit)
  }
  beginKeyTurn()
  try {
    if (!Array.isArray(key)) return writeScalar(key, into, at, limit)
    // An array that is the key needs no end: its bytes begin those of every array that continues
    // it.
    return writeElements(key, into, at, limit)
  } finally {
    endKeyTurn()
  }
}

/** Greater than every byte that can follow those of an array that is a key. */
export const behindElements = notTheEnd

const damaged = () =>
  new RingleaderError('RL_CORRUPTION', 'key: not a tuple; is it of another encoding?')

// Reads one key, of bytes that nothing is known about.
class TupleReader {
  #at = 0
  #to = 0
  #bytes: Buffer = Buffer.alloc(0)

  read(bytes: Buffer, from: number, to: number): TupleElement {
    this.#bytes = bytes
    this.#at = from
    this.#to = to
    const isArray = from < to && bytes[from] === arrayType
    const key = isArray ? this.#elements() : this.#element()
    if (this.#at !== to) throw damaged()
    return key
  }

  // Of the outermost array, which ends where the key does.
  #elements(): TupleElement[] {
    this.#at += 1
    const array: TupleElement[] = []
    while (this.#at < this.#to) array.push(this.#element())
    return array
  }

  #nested(): TupleElement[] {
    const array: TupleElement[] = []
    while (this.#peek() !== end) array.push(this.#element())
    this.#at += 1
    return array
  }

  #peek(): number {
    if (this.#at >= this.#to) throw damaged()
    return this.#bytes[this.#at] ?? 0
  }

  #element(): TupleElement {
    const type = this.#peek()
    this.#at += 1
    switch (type) {
      case nullType:
        return null
      case falseType:
        return false
      case trueType:
        return true
      case numberType:
        return this.#double()
      case bigintType:
        return this.#bigint()
      case dateType:
        return this.#date()
      case stringType:
        return this.#string()
      case bytesType:
        return this.#unescaped()
      case arrayType:
        return this.#nested()
      default:
        throw damaged()
    }
  }

  // Where the next `length` bytes begin.
  #take(length: number): number {
    const from = this.#at
    if (this.#to - from < length) throw damaged()
    this.#at = from + length
    return from
  }

  #double(): number {
    const from = this.#take(doubleBytes)
    const high = this.#bytes.readUInt32BE(from)
    const turn = high & signBit ? 0 : 0xffffffff
    words[1] = high ^ (turn | signBit)
    words[0] = this.#bytes.readUInt32BE(from + 4) ^ turn
    const value = double[0] ?? 0
    if (Number.isNaN(value)) throw damaged()
    return value
  }

  #date(): Date {
    const date = new Date(this.#double())
    if (Number.isNaN(date.getTime())) throw damaged()
    return date
  }

  #bigint(): bigint {
    const head = this.#bytes.readUInt16BE(this.#take(bigintHeadBytes))
    const negative = head < bigintZero
    const length = negative ? bigintZero - 1 - head : head - bigintZero
    const from = this.#take(length)
    const bytes = Uint8Array.prototype.slice.call(this.#bytes, from, from + length)
    if (negative) for (let i = 0; i < length; i += 1) bytes[i] = ~(bytes[i] ?? 0)
    const magnitude = BigInt(`0x0${Buffer.from(bytes.buffer).toString('hex')}`)
    return negative ? -magnitude : magnitude
  }

  #string(): string {
    const from = this.#at
    const zero = this.#findZero()
    if (zero + 1 === this.#to || this.#bytes[zero + 1] !== notTheEnd) {
      this.#at = zero + 1
      return readText(this.#bytes, from, zero, 'key')
    }
    const bytes = this.#unescaped()
    return readText(Buffer.from(bytes.buffer, 0, bytes.length), 0, bytes.length, 'key')
  }

  #findZero(): number {
    for (let i = this.#at; i < this.#to; i += 1) if (this.#bytes[i] === 0) return i
    throw damaged()
  }

  // A copy of its own, without the marks behind zero bytes.
  #unescaped(): Uint8Array {
    const from = this.#at
    let marks = 0
    for (;;) {
      this.#at = this.#findZero() + 1
      if (this.#at >= this.#to || this.#bytes[this.#at] !== notTheEnd) break
      this.#at += 1
      marks += 1
    }
    const bytes = new Uint8Array(this.#at - 1 - from - marks)
    for (let i = 0, at = from; i < bytes.length; i += 1, at += 1) {
      const byte = this.#bytes[at] ?? 0
      bytes[i] = byte
      if (byte === end) at += 1
    }
    return bytes
  }
}

const reader = new TupleReader()

/** The key that writeTuple has written; bytes in it are copies. */
export const readTuple = (bytes: Buffer, from: number, to: number): TupleElement =>
  reader.read(bytes, from, to)
