// Operations of a transaction as bytes (docs/FORMATS.md#operations), which are what the log stores:
//
//   kind u8 | 0 u8 | row key bytes u16 | value bytes u32 | row key | value
//
// A row key is the id of a database, four bytes big-endian, and the key.
import { currentId, type Table } from './catalogue.js'
import { valueRoom, writeValue } from './encodings.js'
import { checkNoKeyTurn } from './key-turn.js'
import { maxKeyBytes } from './limits.js'

export const operationHeaderBytes = 8
const prefixBytes = 4
const kindPut = 1
const kindRemove = 2

/** Most bytes of an operation beside its value. */
export const operationOverhead = operationHeaderBytes + prefixBytes + maxKeyBytes

/** Writes a put of a prepared value where there is room for it; the end of its bytes. */
export const writePut = (
  into: Buffer,
  at: number,
  table: Table,
  id: number,
  key: unknown,
  prepared: string | Uint8Array,
): number => {
  const keyEnd = writeRowKey(into, at, table, id, key)
  const end = writeValue(prepared, into, keyEnd)
  writeHeader(into, at, kindPut, keyEnd, end)
  return end
}

/** Writes a removal; the end of its bytes. */
export const writeRemove = (
  into: Buffer,
  at: number,
  table: Table,
  id: number,
  key: unknown,
): number => {
  const keyEnd = writeRowKey(into, at, table, id, key)
  writeHeader(into, at, kindRemove, keyEnd, keyEnd)
  return keyEnd
}

const writeRowKey = (into: Buffer, at: number, table: Table, id: number, key: unknown): number => {
  const keyAt = at + operationHeaderBytes + prefixBytes
  const keyEnd = table.keys.write(key, into, keyAt)
  // By hand: a call per number costs more than all of these.
  into[keyAt - 4] = id >>> 24
  into[keyAt - 3] = id >>> 16
  into[keyAt - 2] = id >>> 8
  into[keyAt - 1] = id
  return keyEnd
}

const writeHeader = (into: Buffer, at: number, kind: number, keyEnd: number, end: number) => {
  const keyBytes = keyEnd - at - operationHeaderBytes
  const valueBytes = end - keyEnd
  into[at] = kind
  into[at + 1] = 0
  into[at + 2] = keyBytes
  into[at + 3] = keyBytes >>> 8
  into[at + 4] = valueBytes
  into[at + 5] = valueBytes >>> 8
  into[at + 6] = valueBytes >>> 16
  into[at + 7] = valueBytes >>> 24
}

/** Where the parts of an operation lie. */
export interface OperationBytes {
  removes: boolean
  /** Of the row key. */
  keyAt: number
  valueAt: number
  end: number
}

/** Walks over whole operations in [from, to). */
export const eachOperation = function* (
  bytes: Buffer,
  from: number,
  to: number,
): Generator<OperationBytes, void> {
  for (let at = from; at < to;) {
    const keyAt = at + operationHeaderBytes
    const valueAt = keyAt + bytes.readUInt16LE(at + 2)
    const end = valueAt + bytes.readUInt32LE(at + 4)
    yield { removes: bytes[at] === kindRemove, keyAt, valueAt, end }
    at = end
  }
}

/** A list of operations that grows as long as there is memory. */
export class OperationList {
  /** The tables of the ids in it. */
  readonly tables = new Map<number, Table>()
  #bytes = Buffer.allocUnsafeSlow(4096)
  #used = 0
  #lastId = 0

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used)
  }

  put(table: Table, key: unknown, value: unknown): void {
    checkNoKeyTurn()
    const id = this.#idOf(table)
    const prepared = table.values.prepare(value)
    this.#makeRoom(operationOverhead + valueRoom(prepared))
    this.#used = writePut(this.#bytes, this.#used, table, id, key, prepared)
  }

  remove(table: Table, key: unknown): void {
    checkNoKeyTurn()
    const id = this.#idOf(table)
    this.#makeRoom(operationOverhead)
    this.#used = writeRemove(this.#bytes, this.#used, table, id, key)
  }

  #idOf(table: Table): number {
    const id = currentId(table)
    if (id !== this.#lastId) {
      this.tables.set(id, table)
      this.#lastId = id
    }
    return id
  }

  #makeRoom(bytes: number): void {
    const needed = this.#used + bytes
    if (needed <= this.#bytes.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length))
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }
}
