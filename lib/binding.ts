// The addon: what it offers, and how it is loaded when it is first needed. The only file that does.
//
// What each call does is said in native/binding: log_handle.h, reader_handle.h, store_handle.h,
// store_reader.h, store_writer.h, bulk_loader.h, replication_handle.h; the arguments have been
// checked before they get here.
//
// Looked for in this order: the file that RINGLEADER_ADDON names (a debug or sanitizer build); what
// node-gyp-build finds in the package, a local build or a prebuilt file.
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { RingleaderError, type ErrorCode, type Fate } from './errors.js'
import type { CheckedEnvironmentOptions } from './environment-options.js'
import type { CheckedConsumer, CheckedLogOptions } from './options.js'
import type { CheckedReplicationOptions } from './replication-options.js'
import type { NativeReplicationStat } from './replication-stat.js'

/** Somebody who still needs the log from a position on. */
export interface Consumer {
  name: string
  position: number
  maxBytes: number
  maxAgeMs: number
  /** The log has given up on it: it holds nothing back any more. */
  broken: boolean
}

/** The state of a log. Counters count from when its shared memory was made. */
export interface LogStat {
  /** The log holds everything from here on. */
  start: number
  /** End of the last whole record. */
  appended: number
  /** End of the last whole transaction: what a reader sees. */
  visible: number
  /** The kernel has everything below. */
  written: number
  /** The disk has everything below. */
  durable: number
  /** Segments below exist at full size. */
  preparedEnd: number
  /** Of the last record; 0 where none has had one. */
  term: number
  /** Records, padding and the pieces of large transactions included. */
  records: number
  transactions: number
  payloadBytes: number
  /** Steps that handed bytes to the kernel. */
  writes: number
  /** Steps that flushed: `transactions / flushes` is the size of a group. */
  flushes: number
  flushedBytes: number
  lastFlushMs: number
  longestFlushMs: number
  /** How long the flush under way has taken; 0 where none is. A disk that hangs shows here. */
  flushAgeMs: number
  /** Writers that died inside the writer section. */
  writerRepairs: number
  /** Flushers that died at work. */
  flusherTakeovers: number
  /** Appends whose time in the writer section was measured: one in about 1,000. */
  holdSamples: number
  /** Their times together, in microseconds. */
  holdUs: number
  segmentsPrepared: number
  segmentsRecycled: number
  /** No room for the next segment when it was last tried. */
  diskFull: boolean
  /** Error number of the failure that ended this environment; 0 where none has. */
  failedErrno: number
  segmentBytes: number
  ringBytes: number
  /** Shared memory was too small; the ring lies in a file of the directory. */
  ringInFile: boolean
  /** What this opening had to recover; zeros where the environment was in use already. */
  recoveredRecords: number
  /** Taken over from the shared memory of processes that had died. */
  salvagedBytes: number
  /** The log ended in the middle of a record, as it does after power loss. */
  recoveredTornTail: boolean
  recoveryMs: number
  /** Background work of this process that failed, for example archiving. */
  housekeepingFailures: number
  lastHousekeepingFailure: string
}

/** The state of an environment. Counters count from when its shared memory was made. */
export interface EnvironmentStat {
  log: LogStat
  /** The base tree holds everything that has been committed below this position. */
  applied: number
  /** Rows in the base tree, over all databases. */
  baseRows: number
  /** Length of the base tree's file. */
  baseFileBytes: number
  /** Of it, in pages that are in use. */
  baseUsedBytes: number
  baseDepth: number
  /** Snapshots, ranges and transactions open now, and places kept for the next ones. */
  readers: number
  maxReaders: number
  /** Pieces of shared memory with commits that are not all in the base tree yet. */
  generations: number
  overlayBytes: number
  overlayUsedBytes: number
  /** Rows written, each counted as often as it was. */
  overlayVersions: number
  /** Shared memory was too small; the pieces lie in files of the directory. */
  overlayInFile: boolean
  folds: number
  foldedRows: number
  foldMs: number
  /** Of this process. */
  foldFailures: number
  lastFoldFailure: string
  commits: number
  /** Commits refused because something that had been read had changed. */
  conflicts: number
  /** Transactions that got the right to commit undisturbed after two conflicts. */
  reservations: number
  /** How often writers had to wait for the base tree. */
  heldUp: number
  rollBacks: number
  /** What this opening had to put into memory again; 0 where the environment was in use already. */
  replayedRecords: number
  replayMs: number
}

/** What a check of everything has gone through. */
export interface Verified {
  rows: number
  records: number
  databases: number
}

export interface NativeBatch {
  bytes: ArrayBuffer
  entries: Float64Array
}

export interface NativeReader {
  next(batchBytes: number): Promise<NativeBatch>
}

export interface NativeLog {
  readonly environmentId: string
  readonly groupId: string
  readonly memory: {
    payload: ArrayBuffer
    entries: ArrayBuffer
    results: ArrayBuffer
    positions: ArrayBuffer
  }
  onProgress?: () => void
  submit(count: number): number
  submitOne(payload: Uint8Array, term: number, word: number): number
  collect(): number
  takeFailure(): RingleaderError
  request(end: number, level: number): void
  rolledBack(end: number, history: number): boolean
  setBusy(busy: boolean): void
  read(from: number): NativeReader
  verify(): Promise<number>
  stat(): LogStat
  consumers(): Consumer[]
  putConsumer(consumer: CheckedConsumer): Promise<void>
  advanceConsumer(name: string, position: number): void
  removeConsumer(name: string): Promise<void>
  close(): Promise<void>
}

/** Calls that take and give numbers, and bytes through the shared memory. */
export interface NativeReads {
  get(slot: number, keyBytes: number): number
  getLarge(slot: number, keyBytes: number): ArrayBuffer | undefined
  getInto(slot: number, keyBytes: number, into: Uint8Array): number
  has(slot: number, keyBytes: number): number
  getMany(slot: number, count: number): number
  range(slot: number, lowBytes: number, highBytes: number, flags: number, limit: number): number
  openView(level: number): number
  renew(): number
  begin(isolation: number): number
  release(slot: number): void
  guard(slot: number): unknown
  put(slot: number, keyBytes: number, valueBytes: number): void
  putLarge(slot: number, keyBytes: number, value: Uint8Array): void
  remove(slot: number, keyBytes: number): void
}

export interface NativeDatabase {
  name: string
  id: number
  metadata: ArrayBuffer
}

export interface NativeLoader {
  onProgress?: () => void
  push(rows: Uint8Array): number
  finish(): void
  abort(): void
  result(): number | undefined
}

/** Messages to one destination, one behind the other. */
export interface NativeBatchOfMessages {
  to: number
  bytes: ArrayBuffer
  count: number
  lsn: number
  flags: number
  /** Where asked for: sizes, lsn and flags of each, see replication-sender.ts. */
  frames?: ArrayBuffer
}

export interface NativeGroupEvent {
  kind: string
  role: 'primary' | 'replica' | 'candidate'
  member: number
  lsn: number
  reason: string
  ticket: number
  contact?: ArrayBuffer
  failure?: RingleaderError
}

export interface NativeReplication {
  readonly memory: { reports: ArrayBuffer }
  onProgress?: () => void
  open(contact: Uint8Array | undefined): Promise<void>
  lead(elected: boolean): void
  follow(contact: Uint8Array | undefined): void
  callElection(members: number, votes: number, priority: number, timeoutMs: number): void
  sync(): void
  setLimit(bytes: number): void
  receive(control: Uint8Array, record: Uint8Array, from: number, ticket: number): void
  receiveMany(bytes: Uint8Array, from: number, ticket: number): void
  takeReports(): number
  takeEvents(): NativeGroupEvent[]
  takeBatch(table: boolean): NativeBatchOfMessages | undefined
  sendFailed(lsn: number): void
  stat(): NativeReplicationStat
  setBusy(busy: boolean): void
  close(): Promise<void>
}

/** A copy of a commit. */
export interface Copy {
  /** Whose: a number of the application's. */
  member: number
  /** How far it has got there. */
  level: 'received' | 'written' | 'flushed'
  /** Who reads there sees it. */
  applied: boolean
  /** What names the machine and the disk; absent where nobody knows. */
  disk?: string
}

/** Faults after which a commit is still there, each by itself. */
export interface Survival {
  /** The death of any process, and of all of them. */
  process: boolean
  /** The loss of power of every machine at once. */
  power: boolean
  /** The loss of any one disk, for good. */
  anyOneDisk: boolean
  /** Any election of the group. */
  election: boolean
}

/** What is known of a commit. */
export interface Facts {
  copies: Copy[]
  survives: Survival
  permanentFailed: boolean
}

/** What a store says of the group that its environment belongs to. */
export interface NativeGroup {
  readonly groupId: string
  inGroup(): boolean
  defineLevel(kind: number, count: number, level: number, distinctDisks: boolean): number
  watchGroup(watch: boolean): void
  tokenOf(end: number, term: number): ArrayBuffer | undefined
  judge(token: Uint8Array): number
  factsOf(token: Uint8Array): Facts
  lagMs(): number
  askRead(): number
  readAnswer(ticket: number): number
}

export interface NativeStore extends NativeGroup {
  readonly environmentId: string
  readonly memory: {
    keys: ArrayBuffer
    values: ArrayBuffer
    words: ArrayBuffer
    numbers: ArrayBuffer
    payload: ArrayBuffer
    entries: ArrayBuffer
    results: ArrayBuffer
    positions: ArrayBuffer
  }
  readonly reads: NativeReads
  onProgress?: () => void
  submit(count: number): number
  submitOne(bytes: Uint8Array, word: number, promises: number): number
  collect(): number
  takeFailure(): RingleaderError
  takeBefore(): ArrayBuffer | undefined
  request(end: number, level: number): void
  rolledBack(end: number, history: number): boolean
  setBusy(busy: boolean): void
  readLog(from: number): NativeReader
  databases(): { state: number; list: NativeDatabase[] }
  openDatabase(name: string, metadata: Uint8Array, create: boolean): void
  dropDatabase(name: string): Promise<void>
  clearDatabase(name: string): Promise<void>
  findDatabase(slot: number, name: string): number
  countEstimate(id: number): Promise<number>
  countRows(low: Uint8Array, high: Uint8Array): Promise<number>
  reserve(timeoutMs: number | undefined): Promise<number>
  giveBack(ticket: number): void
  fold(): Promise<void>
  rollBack(lsn: number): Promise<void>
  backup(directory: string): Promise<number>
  verify(): Promise<Verified>
  bulkLoad(name: string): NativeLoader
  replication(directory: string, options: CheckedReplicationOptions): NativeReplication
  stat(): EnvironmentStat
  close(): Promise<void>
}

/** The newest transaction of a restored environment. */
export interface Restored {
  /** Where it ends. */
  lsn: number
  /** When it was committed, in microseconds since 1970 UTC; 0 where there is none. */
  commitTimeUs: number
}

export interface NativeBinding {
  setErrorFactory(
    factory: (code: string, fate: string, errno: number, message: string) => RingleaderError,
  ): void
  openLog(directory: string, options: CheckedLogOptions): Promise<NativeLog>
  openStore(directory: string, options: CheckedEnvironmentOptions): Promise<NativeStore>
  restore(
    backup: string,
    archive: string,
    target: string,
    lsn: number | undefined,
    timeUs: number | undefined,
  ): Promise<Restored>
}

const packageRoot = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

const checkPlatform = () => {
  if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')) return
  throw new RingleaderError(
    'RL_PLATFORM',
    `ringleader runs on Linux on x64 and arm64 only, not on ${process.platform} on ${process.arch}`,
  )
}

const requireAddon = (): NativeBinding => {
  const named = process.env.RINGLEADER_ADDON
  if (named) return require(resolve(named)) as NativeBinding
  const load = require('node-gyp-build') as (directory: string) => NativeBinding
  return load(packageRoot)
}

const load = (): NativeBinding => {
  checkPlatform()
  let binding
  try {
    binding = requireAddon()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new RingleaderError(
      'RL_ADDON',
      `the addon of ringleader cannot be loaded: ${reason}\n` +
        'Install the package again, or build it with: npm rebuild ringleader',
    )
  }
  binding.setErrorFactory(
    (code, fate, errno, message) =>
      new RingleaderError(code as ErrorCode, message, { fate: fate as Fate, errno }),
  )
  return binding
}

let loaded: NativeBinding | undefined

/** The addon; RL_PLATFORM or RL_ADDON where there is none. */
export const binding = (): NativeBinding => (loaded ??= load())
