// The base API of replication: the application carries the messages and decides when to elect.
import { EventEmitter } from 'node:events'

import type { NativeGroupEvent, NativeReplication } from './binding.js'
import { checkNotNew, RingleaderError, type Fate } from './errors.js'
import { checkKey } from './options.js'
import { Arrivals } from './replication-arrivals.js'
import { Election, noQuorumError, type Elected } from './replication-election.js'
import {
  checkBytes,
  checkContact,
  checkElectOptions,
  checkLimit,
  checkMemberId,
  type CheckedReplicationOptions,
  type ElectOptions,
} from './replication-options.js'
import { broadcast, checkTransport, Sender, type Transport } from './replication-sender.js'
import type { ReplicationStat } from './replication-stat.js'
import type { BatchResult, ProcessResult, ReplicationEvents, Role } from './replication-types.js'

const roles = { primary: true, replica: true } as const

interface RoleWaiter {
  role: Role
  resolve: () => void
  reject: (error: RingleaderError) => void
  timer: NodeJS.Timeout
}

/**
 * A member of a group whose messages the application carries, over anything that loses, repeats and
 * reorders them as it likes. Made by `Environment.replication`.
 *
 * `setTransport`, `start`, and then every message that arrives to `processMessage`.
 * Acknowledgements are messages like any other. All calls are those of one object; other processes
 * and worker threads of the environment read, wait and, where this member leads, write.
 *
 * A transport may call anything here, of this and of other members, from inside its callbacks. What
 * it throws counts as not sent. Of promises that never settle it may have 1,024 for each
 * destination, or 64 MiB; beyond, messages for it are dropped and count as not sent. A transport
 * that is too slow to take 64 MiB for a destination loses messages, which the protocol sends again.
 *
 * From `start` to `close` the object is not collected, nor its environment; promises that have not
 * settled keep the event loop alive, the member alone does not. A listener that throws does so as
 * an uncaught exception of the process.
 *
 * Any method can fail, with fate `none`, with RL_NOT_STARTED before the first `start` has resolved,
 * RL_CLOSED after `close`, and RL_INVALID_ARGUMENT.
 */
export class Replication extends EventEmitter<ReplicationEvents> {
  /** `to` of what goes to all others. */
  static readonly broadcast: typeof broadcast = broadcast

  readonly memberId: number
  readonly #options: CheckedReplicationOptions
  readonly #make: () => NativeReplication
  readonly #arrivals = new Arrivals()
  readonly #roleWaiters = new Set<RoleWaiter>()
  #native: NativeReplication | undefined
  #sender: Sender | undefined
  #transport: Transport | undefined
  #starting: Promise<unknown> = Promise.resolve()
  #election: Election | undefined
  #priority: number
  #role: Role | undefined
  #primary: number | undefined
  #won = false // an election that nobody has led after yet
  #busy = false
  #failure: RingleaderError | undefined
  #closing: Promise<void> | undefined

  /** @internal */
  constructor(make: () => NativeReplication, options: CheckedReplicationOptions) {
    checkNotNew(options, 'Replication', 'Environment.replication')
    super()
    this.memberId = options.memberId
    this.#make = make
    this.#options = options
    this.#priority = options.priority
  }

  /** undefined before the first `start`. */
  get role(): Role | undefined {
    return this.#role
  }

  /** The member that leads, as far as this one knows. */
  get primary(): number | undefined {
    return this.#primary
  }

  /**
   * Says who carries messages, from now on. May be called at any time; before `start` it has to be.
   */
  setTransport(transport: Transport): void {
    this.#checkNotClosed()
    this.#transport = checkTransport(transport)
    if (this.#sender) this.#sender.transport = this.#transport
  }

  /**
   * Takes part in the group. As `primary`: leads, after an election that this member has won, or
   * appointed by the application, which then has to know that nobody else leads. As `replica`:
   * follows, and tells the others that it is there, with `contact` (at most 1,024 bytes, for
   * `newMember`). The first call makes the environment a member where it is none yet; later ones
   * change the role. Resolves when the member has the role.
   *
   * Rejects with RL_BUSY, fate `none` (another process or object of the environment has its part in
   * the group), RL_NOT_PRIMARY, fate `none` (this member may not lead: it is a view, its priority
   * is 0, it is rolling back or fetching a snapshot, it has halted, or somebody else has been
   * elected since), RL_TIMEOUT, fate `unknown`, RL_FAILED (see the event `failed`; fate `unknown`
   * where that came meanwhile), and as `Environment.open`.
   */
  start(role: Role, contact?: Uint8Array): Promise<void> {
    const started = this.#starting.then(() => this.#start(role, contact))
    this.#starting = started.catch(() => undefined)
    return started
  }

  async #start(role: Role, contact: Uint8Array | undefined): Promise<void> {
    this.#checkNotClosed()
    if (this.#failure) throw failedError('none', this.#failure)
    const wanted = checkKey(role, 'role', roles)
    const told = contact === undefined ? undefined : checkContact(contact).slice()
    const native = this.#native ?? (await this.#open(told))
    this.#checkNotClosed()
    if (wanted === 'replica') {
      const steppingDown = this.#role === 'primary' ? this.#becomes('replica') : undefined
      native.follow(told)
      if (this.#role === undefined) this.#changeRole('replica')
      await steppingDown
      return
    }
    if (this.#role === 'primary') return
    this.#role ??= 'replica'
    const leading = this.#becomes('primary')
    native.lead(this.#won)
    this.#won = false
    await leading
  }

  async #open(contact: Uint8Array | undefined): Promise<NativeReplication> {
    if (this.#transport === undefined) {
      throw new RingleaderError('RL_INVALID_ARGUMENT', 'start: there is no transport yet')
    }
    const native = this.#make()
    const sender = new Sender(native, this.#transport)
    this.#arrivals.reports = new Float64Array(native.memory.reports)
    native.onProgress = () => {
      this.#progress()
    }
    await native.open(contact)
    this.#native = native
    this.#sender = sender
    return native
  }

  // Settled by the event, by its refusal, or by the time.
  #becomes(role: Role): Promise<void> {
    const timeoutMs = 2 * this.#options.electionTimeoutMs + 1_000
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#roleWaiters.delete(waiter)
        const message = `start: not ${role} within ${timeoutMs} ms`
        reject(new RingleaderError('RL_TIMEOUT', message, { fate: 'unknown' }))
      }, timeoutMs)
      const waiter: RoleWaiter = { role, resolve, reject, timer }
      this.#roleWaiters.add(waiter)
    })
  }

  /**
   * Asks the other members for their votes. Resolves when this member has won (then it calls
   * `start('primary')`, and until then nobody leads), or when another one leads. One that leads
   * only says so again. Every member that can reach others should call it when nobody leads, or
   * when `holdElection` says that somebody asks. One with the freshest log wins, of those the one
   * with the highest priority.
   *
   * Within its time it asks again: after votes that did not suffice, and where nobody leads, within
   * `electionTimeoutMs` and a half, after it has left that to a member with a better claim.
   *
   * Rejects, with fate `none`, with RL_NO_QUORUM when the time is over, RL_BUSY while another call
   * is under way, and RL_FAILED (see the event `failed`).
   */
  async elect(options?: ElectOptions): Promise<Elected> {
    const native = this.#started()
    if (this.#failure) throw failedError('none', this.#failure)
    const ballot = checkElectOptions(options, this.#options.electionTimeoutMs)
    if (ballot.priority >= 0) this.#priority = ballot.priority
    const { members, votes, priority, timeoutMs } = ballot
    if (this.#role === 'primary') {
      native.callElection(members, votes, priority, timeoutMs)
      return { elected: false, primary: this.memberId }
    }
    if (this.#election) throw new RingleaderError('RL_BUSY', 'elect: an election is under way')
    this.#election = new Election(timeoutMs, this.#options.electionTimeoutMs, {
      call: (remainingMs) => {
        native.callElection(members, votes, priority, remainingMs)
      },
      isUnderWay: () => native.stat().electing,
      expired: () => {
        this.#takeElection()?.reject(noQuorumError())
        this.#emit('electionFailed')
      },
    })
    return this.#election.result
  }

  /**
   * A message that another member's transport was given. `from` is that member's id. The bytes are
   * copied.
   *
   * Rejects, with fate `none` and nothing changed, with RL_CORRUPTION (damaged), RL_NEWER_FORMAT
   * and RL_UNSUPPORTED (of a version that is not read here), RL_INVALID_ARGUMENT (of another group,
   * of another member than `from`, longer than any message), RL_BUSY (64 MiB of messages are
   * waiting; the protocol repeats it). Each is counted in `stat`.
   */
  processMessage(control: Uint8Array, record: Uint8Array, from: number): Promise<ProcessResult> {
    return new Promise((resolve, reject) => {
      const native = this.#started()
      checkBytes(control, 'control')
      checkBytes(record, 'record')
      checkMemberId(from, 'from')
      const ticket = this.#arrivals.nextTicket()
      native.receive(control, record, from, ticket)
      this.#arrivals.expect(ticket, { resolve, reject })
      this.#updateBusy()
    })
  }

  /**
   * Any number of messages one behind the other, as `sendBatch` is given them; at most 64 MiB.
   * Fails as `processMessage` does, as a whole and with nothing taken, where it cannot be told
   * where a message ends, at a message of a version that is not read here, and with RL_BUSY; any
   * other message that is refused by itself is counted in the result.
   */
  processMessages(bytes: Uint8Array, from: number): Promise<BatchResult> {
    return new Promise((resolve, reject) => {
      const native = this.#started()
      checkBytes(bytes, 'bytes')
      checkMemberId(from, 'from')
      const ticket = this.#arrivals.nextTicket()
      native.receiveMany(bytes, from, ticket)
      this.#arrivals.expectBatch(ticket, { resolve, reject })
      this.#updateBusy()
    })
  }

  /**
   * At most so many bytes of records, and of a snapshot, are sent in answer to one message of a
   * replica (one record at least); 0: as many as it lacks. It bounds what one message costs, not a
   * rate: the replica asks again for what is left, or acknowledges what came from the primary, and
   * gets more. A primary has no more than that on its way to each member.
   */
  setLimit(bytes: number): void {
    this.#started().setLimit(checkLimit(bytes, 'bytes'))
  }

  /** With `delayedSync`: asks the primary of now for what is missing. Otherwise without effect. */
  sync(): void {
    this.#started().sync()
  }

  stat(): ReplicationStat {
    const native = this.#started().stat()
    const { failures = 0, refused = 0, unsettled = 0 } = this.#sender ?? {}
    return {
      ...native,
      memberId: this.memberId,
      priority: this.#priority,
      view: this.#options.view,
      sendFailures: failures,
      sendsRefused: refused,
      sendsUnsettled: unsettled,
    }
  }

  /**
   * Takes no part any more. Writes are refused; what is pending here rejects with RL_CLOSED, for
   * messages and roles with fate `unknown`. Closing again gives the same promise; closing the
   * environment does this first.
   */
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    const error = closedError('unknown')
    this.#takeElection()?.reject(closedError('none'))
    this.#rejectRoles(error)
    this.#sender?.stop()
    // A start that is opening the member ends first.
    await this.#starting
    this.#arrivals.reject(error)
    this.#updateBusy()
    await this.#native?.close()
  }

  #checkNotClosed(): void {
    if (this.#closing) throw closedError('none')
  }

  #started(): NativeReplication {
    this.#checkNotClosed()
    if (this.#native && this.#role) return this.#native
    throw new RingleaderError('RL_NOT_STARTED', 'replication: start has not been called')
  }

  // --- what the addon tells --------------------------------------------------------------------

  #progress(): void {
    const native = this.#native
    if (native === undefined || this.#closing) return
    this.#arrivals.settle(native)
    for (const event of native.takeEvents()) {
      this.#hear(event)
      if (this.#isClosing()) return
    }
    this.#updateBusy()
    this.#sender?.run()
  }

  #hear(event: NativeGroupEvent): void {
    const { kind, member, lsn, reason } = event
    switch (kind) {
      case 'arrival':
        this.#arrivals.newMember(event.ticket, member, bytesOf(event.contact))
        break
      case 'role':
        this.#changeRole(event.role === 'primary' ? 'primary' : 'replica')
        break
      case 'elected':
        this.#won = true
        this.#takeElection()?.won(this.memberId)
        this.#emit('elected')
        break
      case 'newPrimary':
        this.#won = false
        this.#primary = member
        this.#takeElection()?.lost(member)
        this.#emit('newPrimary', member)
        break
      case 'electionFailed':
        this.#election?.failed()
        break
      case 'refused':
        this.#rejectRoles(new RingleaderError('RL_NOT_PRIMARY', `start: ${reason}`))
        break
      case 'newMember':
        this.#emit('newMember', { member, contact: bytesOf(event.contact) })
        break
      case 'duplicatePrimary':
        this.#emit('duplicatePrimary', member)
        break
      case 'permanentFailed':
      case 'rolledBack':
        this.#emit(kind, { lsn })
        break
      case 'halted':
        this.#emit('halted', reason)
        break
      case 'failed':
        if (event.failure) this.#fail(event.failure)
        break
      case 'startupDone':
      case 'snapshotDone':
      case 'holdElection':
      case 'joinFailure':
        this.#emit(kind)
    }
  }

  #changeRole(role: Role): void {
    if (role === 'primary') {
      this.#primary = this.memberId
    } else if (this.#primary === this.memberId) {
      this.#primary = undefined
    }
    const before = this.#role
    this.#role = role
    for (const waiter of this.#roleWaiters) {
      if (waiter.role !== role) continue
      clearTimeout(waiter.timer)
      this.#roleWaiters.delete(waiter)
      waiter.resolve()
    }
    if (before !== role) this.#emit(role)
  }

  #rejectRoles(error: RingleaderError): void {
    for (const { timer, reject } of this.#roleWaiters) {
      clearTimeout(timer)
      reject(error)
    }
    this.#roleWaiters.clear()
  }

  #fail(failure: RingleaderError): void {
    this.#failure = failure
    this.#takeElection()?.reject(failedError('none', failure))
    this.#rejectRoles(failedError('unknown', failure))
    this.#emit('failed', failure)
  }

  #takeElection(): Election | undefined {
    const election = this.#election
    this.#election = undefined
    return election
  }

  // Whoever waits has been told before. A listener that throws keeps no other one from hearing.
  #emit<K extends keyof ReplicationEvents>(name: K, ...args: ReplicationEvents[K]): void {
    try {
      ;(this as EventEmitter).emit(name, ...args)
    } catch (error) {
      queueMicrotask(() => {
        throw error
      })
    }
  }

  // A listener may have closed it.
  #isClosing(): boolean {
    return this.#closing !== undefined
  }

  #updateBusy(): void {
    const busy = this.#arrivals.size > 0
    if (busy === this.#busy) return
    this.#busy = busy
    this.#native?.setBusy(busy)
  }

  /** `await using` */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

const bytesOf = (buffer: ArrayBuffer | undefined) => new Uint8Array(buffer ?? new ArrayBuffer(0))

const failedError = (fate: Fate, { message }: RingleaderError) =>
  new RingleaderError('RL_FAILED', `replication has failed: ${message}`, { fate })

const closedError = (fate: Fate) =>
  new RingleaderError('RL_CLOSED', 'replication is closed', { fate })
