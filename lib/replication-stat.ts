// What a member knows of itself and its group.

/** How far another member is known to have the log: of a primary. */
export interface CopyStat {
  member: number
  /** It votes, so its copies count. */
  voter: boolean
  /** Positions in the log up to which it has it in memory, in its kernel, on its disk, applied. */
  received: number
  written: number
  flushed: number
  applied: number
}

/** As the addon tells it. Counters count from `start`; positions are of the log, in bytes. */
export interface NativeReplicationStat {
  role: 'primary' | 'replica'
  /** An election that this member takes part in as a candidate is going on. */
  electing: boolean
  /** The member that leads, as far as it is known. */
  primary?: number
  /** Of the reign that is led or followed; 0 where none is. */
  term: number
  /** No vote and no acknowledgement below it is given any more. */
  promisedTerm: number
  /** Members that vote, votes that elect, flushed copies that commit; 0 where not decided yet. */
  members: number
  votes: number
  copies: number
  /** Members that have been heard of, this one included. */
  membersKnown: number
  /** What is committed is in the log of everybody who can be elected. */
  electionSafe: boolean
  /** This replica has caught up with the primary's log. */
  startupDone: boolean
  /** The log begins and ends here; the disk has it up to `flushed`. */
  start: number
  end: number
  flushed: number
  /** What lies below is committed in the group. */
  commit: number
  /** Up to here the log is certainly the primary's. */
  matched: number
  /**
   * Where the primary's log ended when it was last heard of; above `matched`: something is missing.
   */
  primaryEnd: number
  /** Sends of records up to here have failed, and the own log was flushed; 0 where none has. */
  permanentFailedLsn: number
  rollBacks: number
  /** Messages taken, and of them by their results; those not named here are `processed`. */
  messagesProcessed: number
  messagesPermanent: number
  messagesNotPermanent: number
  messagesIgnored: number
  newMembers: number
  duplicatePrimaries: number
  joinFailures: number
  /** Messages refused: damaged, foreign, of another sender, too large. */
  messagesRefused: number
  /** Messages refused because too many were waiting. */
  messagesRefusedBusy: number
  /** Messages for others, a broadcast counted once. */
  messagesSent: number
  /** Of them dropped, because the transport was too slow. */
  sendsDropped: number
  /** Messages and bytes that the transport has not been given yet. */
  sendsWaiting: number
  sendBytesWaiting: number
  /** Groups of messages for one destination that the transport has been given. */
  batchesSent: number
  /** Messages with records of the log, and the bytes of the records. */
  recordMessagesSent: number
  recordBytesSent: number
  recordMessagesReceived: number
  recordBytesReceived: number
  /** Messages with records that were all there already. */
  recordMessagesRepeated: number
  /** Requests for records that were missing; requests of others, and those refused of them. */
  requestsSent: number
  requestsReceived: number
  requestsRefused: number
  /** Pieces of snapshots; snapshots put in place; members told that they need one. */
  snapshotPiecesSent: number
  snapshotPiecesReceived: number
  snapshots: number
  outdated: number
  /** Elections called here, those won, and those that came to nothing. */
  elections: number
  electionsWon: number
  electionsFailed: number
  /** How often another primary was followed than before. */
  primaryChanges: number
  /** How often records could not be sent and the own log was flushed instead. */
  permanentFailures: number
  /** Of a primary: the other members. */
  others: CopyStat[]
}

export interface ReplicationStat extends NativeReplicationStat {
  memberId: number
  priority: number
  view: boolean
  /** Calls of the transport that failed, by giving false, throwing or rejecting. */
  sendFailures: number
  /** Messages that were not given to the transport, because too many of its promises are open. */
  sendsRefused: number
  /** Promises of the transport that have not settled. */
  sendsUnsettled: number
}
