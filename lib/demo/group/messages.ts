// What the main process and the members of the group tell each other.
import type { QueryCounts } from './queries.js'

/** To a member, first: what it is. */
export interface MemberTask {
  kind: 'begin'
  member: number
  members: number
  directory: string
  /** Begins the group as its primary. */
  found: boolean
  /** Others that can be called. */
  remotes: string[]
  /** How many cities there are in all. */
  records: number
}

/** To a primary: load these, in place of whatever it was loading. */
export interface LoadTask {
  kind: 'load'
  /** Cities of a transaction: batch `b` has those from `b * batchSize` on. */
  batchSize: number
  batches: Uint32Array
  /** Transactions under way at a time. */
  outstanding: number
}

export type Order =
  | MemberTask
  | LoadTask
  /** To a primary: say when both replicas have applied everything. */
  | { kind: 'settle' }
  /** Close everything and end. */
  | { kind: 'end' }

export type News =
  | { kind: 'listening'; address: string }
  | { kind: 'said'; text: string }
  | { kind: 'primary' }
  | { kind: 'caughtUp' }
  | { kind: 'rolledBack' }
  /** These transactions are on the disks of a majority. */
  | { kind: 'acknowledged'; batches: Uint32Array; foundThere: number }
  | { kind: 'settled' }
  | { kind: 'failed'; reason: string }
  /** Before it ends. */
  | { kind: 'ended'; queries: QueryCounts }
