// The options of replication, and their checks, as options.ts has it.
import { types } from 'node:util'

import { asOptions, checkBoolean, checkInteger, checkKey, checkNumber, refuse } from './options.js'

/** How far a member has to have what a message brought before it is called permanent. */
export type AckLevel = 'received' | 'written' | 'flushed' | 'applied'

export interface ReplicationOptions {
  /**
   * The name of this member in its group: an integer from 0 to 2^32 - 2 that no other member has,
   * the same for as long as the environment exists.
   */
  memberId: number
  /**
   * Which of equally fresh members leads: 0 to 2^32 - 2, the higher the rather. 0: votes, but never
   * leads. Default: 100.
   */
  priority?: number
  /** A replica for good: gets the log, never votes, never leads, never counts. Default: false. */
  view?: boolean
  /**
   * How many members vote, this one included: 1 to 15. Commits wait for as many copies as make sure
   * that no majority elects without them. Default: decided by the first `elect`; until then what
   * this member has flushed is committed.
   */
  members?: number
  /** Ask a new primary for nothing before `sync` is called. Default: false. */
  delayedSync?: boolean
  /**
   * Fetch a snapshot where the log that is missing is nobody's any more. Without: the event
   * `joinFailure`. Default: true.
   */
  automaticSnapshot?: boolean
  /**
   * Bytes of snapshots that this member sends to others, all together, in a second: 1 to 2^53 - 1.
   * Default: as fast as they are taken.
   */
  snapshotBytesPerSecond?: number
  /** Ask other replicas, too, for what is missing, and not the primary alone. Default: true. */
  peerToPeer?: boolean
  /** How long an election may take, in milliseconds: 10 to 86,400,000. Default: 2,000. */
  electionTimeoutMs?: number
  /**
   * How long the first election of a group that never had a primary waits for members beyond those
   * that suffice, in milliseconds: 0 to 86,400,000. Default: 0, as any other.
   */
  fullElectionTimeoutMs?: number
  /**
   * How often a primary tells that it is there, in milliseconds: 1 to a third of
   * `electionTimeoutMs`. Default: 150, or a third of `electionTimeoutMs` where that is less.
   */
  heartbeatIntervalMs?: number
  /**
   * How long a gap is waited for before it is asked for, in milliseconds: 1 to 86,400,000; doubles
   * with each request. Default: 40.
   */
  requestWaitMinMs?: number
  /** Up to here it doubles, in milliseconds: `requestWaitMinMs` to 86,400,000. Default: 1,280. */
  requestWaitMaxMs?: number
  /** Bytes sent in answer to one request; see `Replication.setLimit`. Default: 10 MiB. */
  limitBytes?: number
  /**
   * The name of the disk under the environment, for those who count copies on distinct disks: 1 to
   * 255 characters; the same name is the same disk. Default: found out, as far as it can be.
   */
  disk?: string
  /** When a received message is called permanent. Default: `flushed`. */
  ackLevel?: AckLevel
}

export interface ElectOptions {
  /** How many members vote: 1 to 15. Default: as before, or all that have been heard of. */
  members?: number
  /** Votes that elect: 1 to `members`. Default: a majority of `members`. */
  votes?: number
  /** From now on, see `ReplicationOptions.priority`. Default: as before. */
  priority?: number
  /** Give up after this many milliseconds: 1 to 86,400,000. Default: `electionTimeoutMs`. */
  timeoutMs?: number
}

/** As the addon numbers them. */
const ackLevels = { received: 1, written: 2, flushed: 4, applied: 8 } as const

const dayMs = 86_400_000
const maxVoters = 15
const maxContactBytes = 1024
const maxDiskName = 255
const MiB = 2 ** 20
/** Member ids are below: the addon's number for nobody. */
export const nobody = 2 ** 32 - 1

export const checkMemberId = (value: unknown, name: string): number =>
  checkInteger(value, name, 0, nobody - 1)

/** The options of replication as the addon takes them. */
export interface CheckedReplicationOptions {
  memberId: number
  priority: number
  view: boolean
  members: number
  delayedSync: boolean
  automaticSnapshot: boolean
  /** 0: any. */
  snapshotBytesPerSecond: number
  peerToPeer: boolean
  electionTimeoutMs: number
  fullElectionTimeoutMs: number
  heartbeatIntervalMs: number
  requestWaitMinMs: number
  requestWaitMaxMs: number
  limitBytes: number
  /** '': to be found out. */
  disk: string
  ackLevel: number
}

const optionNames = [
  'memberId',
  'priority',
  'view',
  'members',
  'delayedSync',
  'automaticSnapshot',
  'snapshotBytesPerSecond',
  'peerToPeer',
  'electionTimeoutMs',
  'fullElectionTimeoutMs',
  'heartbeatIntervalMs',
  'requestWaitMinMs',
  'requestWaitMaxMs',
  'limitBytes',
  'disk',
  'ackLevel',
] as const satisfies readonly (keyof ReplicationOptions)[]

const checkTimes = (given: Partial<Record<keyof ReplicationOptions, unknown>>) => {
  const { electionTimeoutMs = 2_000, fullElectionTimeoutMs = 0 } = given
  const electionMs = checkNumber(electionTimeoutMs, 'electionTimeoutMs', 10, dayMs)
  const longestMs = Math.floor(electionMs / 3)
  const { heartbeatIntervalMs = Math.min(150, longestMs) } = given
  const { requestWaitMinMs = 40 } = given
  const waitMinMs = checkNumber(requestWaitMinMs, 'requestWaitMinMs', 1, dayMs)
  const { requestWaitMaxMs = Math.max(1_280, waitMinMs) } = given
  return {
    electionTimeoutMs: electionMs,
    fullElectionTimeoutMs: checkNumber(fullElectionTimeoutMs, 'fullElectionTimeoutMs', 0, dayMs),
    heartbeatIntervalMs: checkNumber(heartbeatIntervalMs, 'heartbeatIntervalMs', 1, longestMs),
    requestWaitMinMs: waitMinMs,
    requestWaitMaxMs: checkNumber(requestWaitMaxMs, 'requestWaitMaxMs', waitMinMs, dayMs),
  }
}

export const checkLimit = (value: unknown, name: string): number =>
  checkInteger(value, name, 0, Number.MAX_SAFE_INTEGER)

const checkDisk = (value: unknown): string => {
  if (typeof value === 'string' && value.length >= 1 && value.length <= maxDiskName) return value
  throw refuse('disk', `a string of 1 to ${maxDiskName} characters`, value)
}

export const checkReplicationOptions = (options: unknown): CheckedReplicationOptions => {
  const given = asOptions(options, 'options', optionNames)
  const { memberId, priority = 100, view = false, members } = given
  const { delayedSync = false, automaticSnapshot = true, peerToPeer = true } = given
  const { snapshotBytesPerSecond: snapshotRate } = given
  const { limitBytes = 10 * MiB, disk, ackLevel = 'flushed' } = given
  return {
    memberId: checkMemberId(memberId, 'memberId'),
    priority: checkInteger(priority, 'priority', 0, nobody - 1),
    view: checkBoolean(view, 'view'),
    members: members === undefined ? 0 : checkInteger(members, 'members', 1, maxVoters),
    delayedSync: checkBoolean(delayedSync, 'delayedSync'),
    automaticSnapshot: checkBoolean(automaticSnapshot, 'automaticSnapshot'),
    snapshotBytesPerSecond:
      snapshotRate === undefined
        ? 0
        : checkInteger(snapshotRate, 'snapshotBytesPerSecond', 1, Number.MAX_SAFE_INTEGER),
    peerToPeer: checkBoolean(peerToPeer, 'peerToPeer'),
    ...checkTimes(given),
    limitBytes: checkLimit(limitBytes, 'limitBytes'),
    disk: disk === undefined ? '' : checkDisk(disk),
    ackLevel: ackLevels[checkKey(ackLevel, 'ackLevel', ackLevels)],
  }
}

const electOptionNames = [
  'members',
  'votes',
  'priority',
  'timeoutMs',
] as const satisfies readonly (keyof ElectOptions)[]

/** 0, and -1 for the priority: as known. */
export const checkElectOptions = (options: unknown, electionTimeoutMs: number) => {
  const given = asOptions(options, 'options', electOptionNames)
  const { members, votes, priority, timeoutMs = electionTimeoutMs } = given
  const count = members === undefined ? 0 : checkInteger(members, 'members', 1, maxVoters)
  return {
    members: count,
    votes: votes === undefined ? 0 : checkInteger(votes, 'votes', 1, count || maxVoters),
    priority: priority === undefined ? -1 : checkInteger(priority, 'priority', 0, nobody - 1),
    timeoutMs: checkNumber(timeoutMs, 'timeoutMs', 1, dayMs),
  }
}

export const checkBytes = (value: unknown, name: string): Uint8Array => {
  if (types.isUint8Array(value)) return value
  throw refuse(name, 'a Uint8Array', value)
}

export const checkContact = (value: unknown): Uint8Array => {
  const contact = checkBytes(value, 'contact')
  if (contact.byteLength <= maxContactBytes) return contact
  throw refuse('contact', `at most ${maxContactBytes} bytes`, contact.byteLength)
}
