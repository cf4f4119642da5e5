// What the process of a campaign and those of its members tell each other.

/** How the members of a round are set up. */
export interface Settings {
  members: number
  segmentBytes: number
  /** Messages go out one by one, or as the library has put them together. */
  oneByOne: boolean
  /** Of each member. */
  writers: number
  readers: number
  /** On average, between two operations of a writer or reader. */
  pauseMs: number
}

export type Order =
  | { kind: 'batch'; from: number; bytes: Uint8Array }
  | { kind: 'message'; from: number; control: Uint8Array; record: Uint8Array }
  /** A commit that readers may ask for. */
  | { kind: 'token'; id: number; token: string }
  | { kind: 'work'; on: boolean }
  | { kind: 'elect' }
  | { kind: 'stepDown' }
  | { kind: 'ask'; number: number; question: Question }

export type Question =
  | { what: 'start'; role: 'primary' | 'replica' }
  /** Writes the last row, so that every member has it on its disk. */
  | { what: 'finish' }
  /** All rows and what replication has counted, once the last row is there. */
  | { what: 'show'; atLeast: string }
  | { what: 'close' }

export interface Shown {
  rows: [key: string, value: unknown][]
  stat: { rollBacks: number; snapshots: number }
}

export type Told =
  | { kind: 'up' }
  | { kind: 'batch'; to: number; bytes: Uint8Array }
  | { kind: 'message'; to: number; control: Uint8Array; record: Uint8Array }
  | { kind: 'token'; id: number; token: string }
  | { kind: 'event'; name: string; detail?: string }
  | { kind: 'answer'; number: number; result?: unknown; failed?: string }

export const databaseName = 'rows'
/** The row that is written last. */
export const lastKey = 'last'
