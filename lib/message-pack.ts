// Values as MessagePack, by msgpackr: what it would write without a word as something else is
// refused.
//
// Most values are made of plain objects, arrays, strings, numbers and dates, and those come back.
// Going through every value once more would slow all of them down, so only those are gone
// through in which msgpackr has met something else. It tells by asking for options that concern
// nothing else.
import { types } from 'node:util'

import { Packr, RESET_BUFFER_MODE } from 'msgpackr'

let unusual = 0 // objects of other classes met, ever

class WatchedPackr extends Packr {
  // Asked for with every Map,
  get mapAsEmptyObject(): boolean {
    unusual += 1
    return false
  }

  // with every Set, RegExp, Error and all that holds bytes, except Buffer,
  get moreTypes(): boolean {
    unusual += 1
    return false
  }

  // and with everything that is of none of the classes that msgpackr knows.
  get useToJSON(): boolean {
    unusual += 1
    return true
  }
}

// Without records, whose structures would be shared between values: every value stands alone, and
// is plain MessagePack for everybody else.
const packr = new WatchedPackr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  useBigIntExtension: true,
  copyBuffers: true,
  writeFunction: () => {
    throw new TypeError('it has a function')
  },
})

/** Throws for what MessagePack cannot hold. The bytes are valid until the next call. */
export const packMessage = (value: unknown): Uint8Array => {
  const before = unusual
  const packed = packr.pack(value, RESET_BUFFER_MODE)
  if (unusual === before) return packed
  // An accessor in the value may encode another one.
  const bytes = Buffer.from(packed)
  checkValue(value)
  return bytes
}

export const unpackMessage = (bytes: Buffer, from: number, to: number): unknown =>
  packr.unpack(bytes, { start: from, end: to })

// Only of values that have been encoded: there are no cycles, functions or symbols.
const checkValue = (value: unknown): void => {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) value.forEach(checkValue)
  else if (types.isMap(value)) checkMap(value)
  else if (!isScalar(value)) checkObject(value)
}

const checkMap = (map: Map<unknown, unknown>): void => {
  if (map.constructor !== Map) throw new TypeError('it has a Map of another class')
  const names = new Set<string>()
  for (const [key, value] of map) {
    if (typeof key !== 'string' && typeof key !== 'number' && typeof key !== 'boolean') {
      throw new TypeError('it has a Map with a key that is no string, number or boolean')
    }
    names.add(String(key))
    checkValue(value)
  }
  if (names.size < map.size) throw new TypeError('it has a Map with keys of one name')
}

// Dates and bytes of another realm are none for msgpackr.
const isScalar = (value: object): boolean =>
  (types.isDate(value) && value instanceof Date) ||
  (types.isUint8Array(value) && value instanceof Uint8Array)

const checkObject = (value: object): void => {
  if (keepsMoreThanProperties(value)) {
    throw new TypeError(`it has a ${Object.prototype.toString.call(value).slice(8, -1)}`)
  }
  const { toJSON } = value as { toJSON?: unknown }
  const json: unknown = typeof toJSON === 'function' ? toJSON.call(value) : value
  if (json === value) Object.values(value).forEach(checkValue)
  else checkValue(json)
}

// Of which the properties are nothing, or only a part.
const keepsMoreThanProperties = (value: object): boolean =>
  ArrayBuffer.isView(value) ||
  types.isAnyArrayBuffer(value) ||
  types.isBoxedPrimitive(value) ||
  types.isDate(value) ||
  types.isNativeError(value) ||
  types.isPromise(value) ||
  types.isRegExp(value) ||
  types.isSet(value) ||
  types.isWeakMap(value) ||
  types.isWeakSet(value)
