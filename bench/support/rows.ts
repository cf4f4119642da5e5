// The rows that every peer gets: keys of 16 bytes, scattered; values of 100 bytes that say which
// row and which write they are of, so that a wrong one is noticed wherever it is read.

const keyBytes = 16
export const valueBytes = 100

/** A number below 2^32 for each number below 2^32, without order (the finalizer of MurmurHash3). */
const scattered = (number: number): number => {
  let mixed = number ^ (number >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

const writeKey = (key: Buffer, number: number): Buffer => {
  key.writeUInt32BE(scattered(number))
  return key.fill('k', 4)
}

const keyOf = (number: number): Buffer => writeKey(Buffer.alloc(keyBytes), number)

const valueOf = (number: number, write: number): Buffer => {
  const value = Buffer.alloc(valueBytes, 'v')
  value.writeUInt32LE(number, 0)
  value.writeUInt32LE(write, 4)
  return value
}

const wrong = (number: number): never => {
  throw new Error(`row ${number}: not the value that was put`)
}

const u32At = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) |
    ((bytes[at + 1] ?? 0) << 8) |
    ((bytes[at + 2] ?? 0) << 16) |
    ((bytes[at + 3] ?? 0) << 24)) >>>
  0

/** What a peer has read must be the value of this row. */
export const checkValue = (value: Uint8Array | undefined, number: number): void => {
  if (value?.length !== valueBytes || u32At(value, 0) !== number) wrong(number)
}

/** A row that a walk has met: the key must be the one of the value. */
export const checkRow = (key: Uint8Array, value: Uint8Array): void => {
  const number = u32At(value, 0)
  const start = scattered(number)
  const fits =
    key.length === keyBytes &&
    value.length === valueBytes &&
    key[0] === start >>> 24 &&
    key[3] === (start & 0xff)
  if (!fits) wrong(number)
}

/** Some rows, in no order, each once. */
export interface SomeRows {
  numbers: Uint32Array
  keys: Buffer[]
  values: Buffer[]
}

/** `count` of the `rows` rows, from number `first` on; `write` goes into their values. */
export const someRows = (count: number, rows: number, first: number, write: number): SomeRows => {
  const length = Math.min(count, rows)
  const numbers = Uint32Array.from({ length }, (_, i) => (first + i) % rows)
  const memory = Buffer.alloc(length * keyBytes)
  const keys = Array.from(numbers, (number, i) =>
    writeKey(memory.subarray(i * keyBytes, (i + 1) * keyBytes), number),
  )
  return { numbers, keys, values: Array.from(numbers, (number) => valueOf(number, write)) }
}

const numberBits = 21

export const mostRows = 2 ** numberBits

/** All rows, in the order of their keys. */
export function* rowsInOrder(rows: number): Generator<readonly [Buffer, Buffer]> {
  // The beginning of the key, and the number below it: together below 2^53.
  const places = Float64Array.from({ length: rows }, (_, i) => scattered(i) * mostRows + i).sort()
  for (const place of places) {
    const number = place % mostRows
    yield [keyOf(number), valueOf(number, 0)]
  }
}
