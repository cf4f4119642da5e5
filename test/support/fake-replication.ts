// The addon's half of a member, told by the test what to say.
import type { NativeBatchOfMessages, NativeGroupEvent, NativeReplication } from '#lib/binding'
import { Replication } from '#lib/replication'
import { checkReplicationOptions } from '#lib/replication-options'
import type { NativeReplicationStat } from '#lib/replication-stat'
import type { ExecutionContext } from 'ava'

const quiet: NativeGroupEvent = {
  kind: '',
  role: 'replica',
  member: 0,
  lsn: 0,
  reason: '',
  ticket: 0,
}

export class FakeReplication implements NativeReplication {
  readonly memory = { reports: new ArrayBuffer(512 * 9 * 8) }
  onProgress?: () => void
  /** Calls that have been made, in their order. */
  readonly calls: string[] = []
  electing = false
  readonly batches: NativeBatchOfMessages[] = []
  readonly #events: NativeGroupEvent[] = []

  /** Says that something has come to pass. */
  tell(...events: (Partial<NativeGroupEvent> & { kind: string })[]): void {
    this.#events.push(...events.map((event) => ({ ...quiet, ...event })))
    this.onProgress?.()
  }

  open(): Promise<void> {
    return Promise.resolve()
  }
  lead(elected: boolean): void {
    this.calls.push(elected ? 'lead elected' : 'lead')
  }
  follow(): void {
    this.calls.push('follow')
  }
  callElection(): void {
    this.calls.push('elect')
  }
  sync(): void {
    this.calls.push('sync')
  }
  setLimit(): void {
    this.calls.push('limit')
  }
  receive(): void {
    this.calls.push('receive')
  }
  receiveMany(): void {
    this.calls.push('receiveMany')
  }
  takeReports(): number {
    return 0
  }
  takeEvents(): NativeGroupEvent[] {
    return this.#events.splice(0)
  }
  takeBatch(): NativeBatchOfMessages | undefined {
    return this.batches.shift()
  }
  sendFailed(): void {
    this.calls.push('sendFailed')
  }
  stat(): NativeReplicationStat {
    return { electing: this.electing } as NativeReplicationStat
  }
  setBusy(): void {
    // Nothing keeps an event loop alive here.
  }
  close(): Promise<void> {
    this.calls.push('close')
    return Promise.resolve()
  }
}

/** A member over a fake, started as a replica; closed behind the test. */
export const fakeMember = async (t: ExecutionContext, electionTimeoutMs = 1_000) => {
  const native = new FakeReplication()
  const options = checkReplicationOptions({ memberId: 1, electionTimeoutMs })
  const rep = new Replication(() => native, options)
  t.teardown(() => rep.close())
  rep.setTransport(() => true)
  await rep.start('replica')
  return { native, rep }
}
