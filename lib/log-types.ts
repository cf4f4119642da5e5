// The shapes that go into and come out of a Log.

/**
 * How far an append has got on this machine. Each level includes the ones before it.
 *
 * - `memory`: in memory shared by all processes of the environment. Survives the death of any
 *   process, at any instruction; not of the machine.
 * - `written`: the kernel has it.
 * - `flushed`: the disk has it (`fdatasync`). Survives power loss.
 */
export type Level = 'memory' | 'written' | 'flushed'

/** What a record is for. An application's own are `transaction`. */
export type EntryType =
  'transaction' | 'termStart' | 'checkpoint' | 'catalogue' | 'configuration' | 'bulkLoad'

export interface LogOptions {
  /** Make the environment where the directory is new or empty. Default: true. */
  create?: boolean
  /**
   * Size of a segment file in bytes: a power of two from 64 KiB to 1 GiB. Default: 64 MiB. Decided
   * when the environment is made; without effect later.
   */
  segmentBytes?: number
  /**
   * Size of the shared ring in bytes: a power of two from 64 KiB to 4 GiB. Default: 32 MiB. Decided
   * by the first process that opens the environment.
   */
  ringBytes?: number
  /** Segments kept ready in front of the writers: 1 to 64. Default: 2. */
  segmentsAhead?: number
  /**
   * Identity of the replication group: 32 hexadecimal digits or 16 bytes. Default: random when the
   * environment is made; whatever it is when it exists.
   */
  groupId?: string | Uint8Array
  /**
   * Directory into which this process copies closed segments. Default: none. The archive then is a
   * consumer of the name `archive`: segments stay until some process has copied them.
   */
  archive?: string
  /**
   * Appends that nobody waits for are flushed this late, in milliseconds: 1 to 60,000.
   * Default: 100.
   */
  flushIntervalMs?: number
  /** Level of appends that do not say one. Default: `flushed`. */
  level?: Level
}

export interface AppendOptions {
  /** When the promise resolves. Default: the log's, which is `flushed` unless opened otherwise. */
  level?: Level
  /** Default: `transaction`. */
  type?: EntryType
  /** Term to append in: 0 to 2^32 - 1, not below the log's last one. Default: 0, the last one. */
  term?: number
  /** Number of operations inside, for statistics: 0 to 65,535. Default: 0. */
  operations?: number
}

/** Where an append stands in the log. */
export interface Appended {
  /** Position of its first byte. */
  lsn: number
  /** Position behind its last byte: the append is durable once the durable position is here. */
  end: number
}

export interface WaitOptions {
  /** Give up after this many milliseconds: 0 to 2^31 - 1. Default: never. */
  timeoutMs?: number
}

export interface ReadOptions {
  /**
   * Where to begin: an LSN or end that an append has returned, or the log's start. Default: the
   * log's start.
   */
  from?: number
  /** Bytes read at a time: 1 to 64 MiB. Default: 256 KiB. A larger transaction comes whole. */
  batchBytes?: number
}

/** One transaction of the log. */
export interface LogEntry extends Appended {
  term: number
  type: EntryType
  operations: number
  /** Wall clock of the writer in microseconds since 1970; never smaller than the one before. */
  commitTimeUs: number
  /** Part of a buffer that is shared with neighbouring entries and never used again. */
  payload: Uint8Array
}

/** Limits after which the log gives up on a consumer. */
export interface ConsumerOptions {
  /** Everything below is not needed any more. Default: the log's start. */
  position?: number
  /** Give up when it lags further behind, in bytes. Default: 0, never. */
  maxBytes?: number
  /** Give up when what it needs is older, in milliseconds. Default: 0, never. */
  maxAgeMs?: number
}

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
