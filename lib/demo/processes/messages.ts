// What the demonstration's main process and its workers and its observer tell each other.

/** To a worker: what it is to load. */
export interface Task {
  directory: string
  /** How many cities there are in all. */
  records: number
  /** Cities of a transaction: batch `b` has those from `b * batchSize` on. */
  batchSize: number
  /** The batches to load. */
  batches: Uint32Array
  /** Transactions under way at a time. */
  outstanding: number
}

/** From a worker: these transactions have resolved since the last report. */
export interface Report {
  batches: Uint32Array
  /** Cities that were there already: a predecessor had committed them and was killed. */
  foundThere: number
  /** Flushes of the whole environment until now, by whichever process. */
  flushes: number
}

/** To the observer: what it is to look at until the next message. */
export type ObserverTask = Pick<Task, 'directory' | 'records'>

/** From the observer, when it was told to stop. */
export interface Observed {
  snapshots: number
  /** Cities that were there, with all their rows. */
  whole: number
  /** Cities of which some rows were there and some were not: never. */
  torn: number
}
