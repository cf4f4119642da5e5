// What goes into a log, as it comes back.
import type { EntryType } from './options.js'

/** Where an append stands in the log. */
export interface Appended {
  /** Position of its first byte. */
  lsn: number
  /** Position behind its last byte: the append is durable once the durable position is here. */
  end: number
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
