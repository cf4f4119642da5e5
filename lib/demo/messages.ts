// What the demonstration's main process and its writers tell each other.

/** To a writer: what it is to append. */
export interface Task {
  directory: string
  /** How many cities there are in all. */
  records: number
  /** The cities to append, by index. */
  indices: Uint32Array
  attempt: number
  /** Appends under way at a time. */
  outstanding: number
}

/** From a writer: these appends have resolved since the last report. */
export interface Report {
  acknowledged: Uint32Array
  /** Flushes of the whole environment until now, by whichever process. */
  flushes: number
}
