// Atomic operations on one row as bytes for the addon (native/binding/store_writer.h).
import type { Table } from './catalogue.js'
import { valueRoom, writeValue } from './encodings.js'
import { maxKeyBytes } from './limits.js'

/** An atomic operation on a row. */
export type AtomicRequest =
  | { kind: 'putIfAbsent'; key: unknown; value: unknown }
  | { kind: 'putIfVersion'; key: unknown; value: unknown; version: number }
  | { kind: 'putIfValue'; key: unknown; value: unknown; expected: unknown }
  | { kind: 'take'; key: unknown }
  | { kind: 'removeIfVersion'; key: unknown; version: number }
  | { kind: 'add'; key: unknown; delta: number }

// AtomicKind of native/store/commit.h.
const kindNumbers = {
  putIfAbsent: 0,
  putIfVersion: 1,
  putIfValue: 2,
  take: 3,
  removeIfVersion: 4,
  add: 5,
} as const satisfies Record<AtomicRequest['kind'], number>

export const atomicHeaderBytes = 32
const prefixBytes = 4

const encodedValue = (table: Table, value: unknown): Buffer => {
  const prepared = table.values.prepare(value)
  const bytes = Buffer.allocUnsafe(valueRoom(prepared))
  return bytes.subarray(0, writeValue(prepared, bytes, 0))
}

const nothing = Buffer.alloc(0)

export const writeAtomic = (table: Table, id: number, request: AtomicRequest): Buffer => {
  const head = Buffer.alloc(atomicHeaderBytes + prefixBytes + maxKeyBytes)
  const keyAt = atomicHeaderBytes + prefixBytes
  head.writeUInt32BE(id, atomicHeaderBytes)
  const keyEnd = table.keys.write(request.key, head, keyAt)
  const value = 'value' in request ? encodedValue(table, request.value) : nothing
  const expected = 'expected' in request ? encodedValue(table, request.expected) : nothing
  head[0] = kindNumbers[request.kind]
  head.writeUInt16LE(keyEnd - atomicHeaderBytes, 2)
  head.writeUInt32LE(value.length, 4)
  head.writeUInt32LE(expected.length, 8)
  head.writeDoubleLE('version' in request ? request.version : 0, 16)
  head.writeDoubleLE('delta' in request ? request.delta : 0, 24)
  return Buffer.concat([head.subarray(0, keyEnd), value, expected])
}
