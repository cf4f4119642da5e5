// What replication tells the application.
import type { RingleaderError } from './errors.js'

export type Role = 'primary' | 'replica'

/**
 * What a message has come to.
 *
 * - `processed`: taken; nothing to do.
 * - `permanent`: all transactions in it are in the log up to `lsn`, applied, and as durable as
 *   `ackLevel` says.
 * - `notPermanent`: it ends at `lsn`, but what comes before it is missing here. That is asked for,
 *   and a later message that is `permanent` up to `lsn` or further covers this one.
 * - `ignored`: of a reign that is over, or for another member; or records that `delayedSync` holds
 *   off.
 * - `newMember`: `member` has joined, or asks who leads; `contact` is what it was started with.
 * - `holdElection`: `member` asks for votes. Call `elect`.
 * - `duplicatePrimary`: `member` leads too; this member has stepped down where the other one's term
 *   is the higher. Call `elect`.
 * - `joinFailure`: this member needs a snapshot, and `automaticSnapshot` is off.
 */
export type MessageKind =
  | 'processed'
  | 'permanent'
  | 'notPermanent'
  | 'ignored'
  | 'newMember'
  | 'holdElection'
  | 'duplicatePrimary'
  | 'joinFailure'

export interface ProcessResult {
  result: MessageKind
  lsn?: number
  member?: number
  contact?: Uint8Array
}

/** How many messages of a batch have come to what. */
export interface BatchResult {
  processed: number
  permanent: number
  notPermanent: number
  ignored: number
  /** Damaged, of another group, or of another member than `from`. */
  refused: number
  /** The highest position that is permanent; where none is, the highest end of what is not. */
  lsn: number
}

export interface ReplicationEvents {
  /** This member has won an election: call `start('primary')`. */
  elected: []
  /** It leads: writes are taken from now on. */
  primary: []
  /** It does not lead, or no more: writes are refused (RL_NOT_PRIMARY). */
  replica: []
  /** Another member leads. */
  newPrimary: [member: number]
  /** This replica has caught up with the log of the primary. */
  startupDone: []
  /** A snapshot is in place of what this member had. */
  snapshotDone: []
  /** Records up to `lsn` could not be sent; they are on this primary's own disk. */
  permanentFailed: [failed: { lsn: number }]
  newMember: [joined: { member: number; contact: Uint8Array }]
  /** Another member asks for votes: call `elect`. */
  holdElection: []
  /** `member` leads as well. */
  duplicatePrimary: [member: number]
  /** A snapshot is needed, and `automaticSnapshot` is off. */
  joinFailure: []
  /** An `elect` of this member has rejected with RL_NO_QUORUM. */
  electionFailed: []
  /** What this member had behind `lsn` is another history's, kept in a file, and gone. */
  rolledBack: [to: { lsn: number }]
  /** It would have to roll back what is committed. It does nothing until somebody has looked. */
  halted: [reason: string]
  /** It takes no part any more: the environment has to be opened again. */
  failed: [error: RingleaderError]
}
