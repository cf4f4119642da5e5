// The log of an environment as it lies in its files (docs/FORMATS.md): segments, archived ones too,
// and what roll-backs have discarded. Without the library, of a directory that nobody has open.
//
// Each record names the one before it by the place where it ends and by its checksum, so records of
// all members together are a tree: one branch for each history that anybody has ever had.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { storedCrc } from './crc32c.js'

export interface LogRecord {
  lsn: number
  end: number
  /** The counter of the reign's ballot. */
  term: number
  type: 'transaction' | 'termStart' | 'other'
  payload: Buffer
  /** Unique among the records of a group, and the same in every member. */
  name: string
  /** The name of the record before it. */
  before: string
}

/** A put, as bytes without the id of its database; null: a removal. */
export type Write = readonly [key: string, value: string | null]

const pageBytes = 4096
const headBytes = 40
const checksumAt = 36
const discardedHeadBytes = 96
const types: Record<number, LogRecord['type']> = { 1: 'transaction', 3: 'termStart' }
const paddingType = 2
const pieceFlags = 3

// Where the next record is: not in the last bytes of a segment, nor in its page.
const settle = (at: number, segmentBytes: number): number => {
  const left = segmentBytes - (at % segmentBytes)
  const next = left < headBytes ? at + left : at
  return next % segmentBytes === 0 ? next + pageBytes : next
}

/**
 * The records of a run of the log's bytes, until the first place that has none. `chain`: the
 * checksum of the record before, where it is known.
 */
const recordsOf = (bytes: Buffer, from: number, segmentBytes: number, chain?: number) => {
  const records: LogRecord[] = []
  let known = chain
  for (let at = settle(from, segmentBytes); at - from + headBytes <= bytes.length;) {
    const head = bytes.subarray(at - from, at - from + headBytes)
    const checksum = head.readUInt32LE(checksumAt)
    const before = head.readUInt32LE(32)
    const isHere = Number(head.readBigUInt64LE(8)) === at
    if (!isHere || storedCrc(head.subarray(0, checksumAt)) !== checksum) break
    if (known !== undefined && before !== known) break
    const length = head.readUInt32LE(0)
    const end = at + Math.ceil((headBytes + length) / 8) * 8
    const next = settle(end, segmentBytes)
    const payload = bytes.subarray(at - from + headBytes, at - from + headBytes + length)
    const type = head[20] ?? 0
    if (type !== paddingType && storedCrc(payload) !== head.readUInt32LE(4)) break
    if (((head[21] ?? 0) & pieceFlags) !== 0) throw new Error(`at ${at}: larger than a record`)
    records.push({
      ...{ lsn: at, end, term: head.readUInt32LE(16), type: types[type] ?? 'other', payload },
      ...{ name: `${next}:${checksum}`, before: `${at}:${before}` },
    })
    known = checksum
    at = next
  }
  return records
}

const segmentRecords = (file: string): LogRecord[] => {
  const bytes = readFileSync(file)
  if (bytes.toString('latin1', 0, 8) !== 'RLOGSEG1') return []
  const start = Number(bytes.readBigUInt64LE(32))
  return recordsOf(bytes, start, Number(bytes.readBigUInt64LE(40)), bytes.readUInt32LE(56))
}

const discardedRecords = (file: string): LogRecord[] => {
  const bytes = readFileSync(file)
  const fork = Number(bytes.readBigUInt64LE(40))
  const records = bytes.subarray(discardedHeadBytes, -4)
  return recordsOf(records, fork, Number(bytes.readBigUInt64LE(32)))
}

const filesIn = (directory: string, ending: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory)
        .filter((name) => name.endsWith(ending))
        .sort()
        .map((name) => join(directory, name))
    : []

/** The log of an environment's directory, from where it begins now. */
export const readLogFiles = (directory: string): LogRecord[] => {
  const records: LogRecord[] = []
  for (const file of filesIn(join(directory, 'log'), '.seg')) {
    const found = segmentRecords(file)
    const last = records.at(-1)
    // A segment that is made ahead, or that a roll-back has left behind the end.
    if (last && found[0]?.before !== last.name) break
    records.push(...found)
  }
  return records
}

/** What a directory of archived segments has. */
export const readArchive = (directory: string): LogRecord[] =>
  filesIn(directory, '.seg').flatMap(segmentRecords)

/** What roll-backs have taken from an environment's log. */
export const readDiscarded = (directory: string): LogRecord[] =>
  filesIn(join(directory, 'discarded'), '.log').flatMap(discardedRecords)

/** The ballot that a reign began with. */
export const ballotOf = ({ payload }: LogRecord): { counter: number; incarnation: bigint } => ({
  counter: payload.readUInt32LE(0),
  incarnation: payload.readBigUInt64LE(8),
})

const operationHeadBytes = 8
const databaseIdBytes = 4
const putKind = 1

/** What a transaction has written, but for the catalogue of databases; keys and values as text. */
export const writesOf = ({ payload }: LogRecord): Write[] => {
  const writes: Write[] = []
  for (let at = 0; at < payload.length;) {
    const isPut = payload[at] === putKind
    const keyAt = at + operationHeadBytes
    const valueAt = keyAt + payload.readUInt16LE(at + 2)
    const end = valueAt + payload.readUInt32LE(at + 4)
    const key = payload.toString('utf8', keyAt + databaseIdBytes, valueAt)
    const isCatalogue = payload.readUInt32BE(keyAt) === 0
    if (!isCatalogue) writes.push([key, isPut ? payload.toString('utf8', valueAt, end) : null])
    at = end
  }
  return writes
}
