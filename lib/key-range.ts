// The bounds of a walk as row keys: the rows in [low, high).
//
// Byte strings have successors: behind a key comes the key with a zero byte at its end. So every
// kind of bound can be said with "from" and "before".
import type { Table } from './catalogue.js'
import type { CheckedRangeOptions } from './environment-options.js'
import { maxKeyBytes } from './limits.js'

const prefixBytes = 4
const maxRowKeyBytes = prefixBytes + maxKeyBytes
const maxId = 0xffff_ffff

/** The first row key behind this one. */
export const rowKeyBehind = (rowKey: Uint8Array): Buffer => {
  const { length } = rowKey
  if (length < maxRowKeyBytes) return Buffer.concat([rowKey, new Uint8Array(1)])
  // Nothing continues the longest key; the one behind it is shorter.
  let end = length
  while (end > 0 && rowKey[end - 1] === 0xff) end -= 1
  const behind = Buffer.from(rowKey.subarray(0, end))
  behind[end - 1] = (behind[end - 1] ?? 0) + 1
  return behind
}

const rowKeyOf = (table: Table, id: number, key: unknown): Buffer => {
  const bytes = Buffer.allocUnsafe(maxRowKeyBytes)
  bytes.writeUInt32BE(id)
  return bytes.subarray(0, table.keys.write(key, bytes, prefixBytes))
}

const prefixOf = (id: number, ...rest: Uint8Array[]): Buffer => {
  const prefix = Buffer.alloc(prefixBytes)
  prefix.writeUInt32BE(Math.min(id, maxId))
  return Buffer.concat([prefix, ...rest])
}

export interface RowKeyRange {
  low: Buffer
  high: Buffer
}

export const rowKeyRange = (
  table: Table,
  id: number,
  { gt, gte, lt, lte, prefix }: CheckedRangeOptions,
): RowKeyRange => {
  const behindAll = prefixOf(id + 1)
  if (prefix !== undefined) {
    const range = table.keys.prefixRange(prefix)
    return {
      low: prefixOf(id, range.gte),
      high: range.lt ? prefixOf(id, range.lt) : behindAll,
    }
  }
  let low = prefixOf(id)
  if (gte !== undefined) low = rowKeyOf(table, id, gte)
  if (gt !== undefined) low = rowKeyBehind(rowKeyOf(table, id, gt))
  let high = behindAll
  if (lt !== undefined) high = rowKeyOf(table, id, lt)
  if (lte !== undefined) high = rowKeyBehind(rowKeyOf(table, id, lte))
  return { low, high }
}
