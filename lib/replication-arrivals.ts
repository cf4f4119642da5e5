// Messages that have been handed over, until the addon says what they have come to.
import type { NativeReplication } from './binding.js'
import type { RingleaderError } from './errors.js'
import type { BatchResult, MessageKind, ProcessResult } from './replication-types.js'

const kinds = [
  'processed',
  'permanent',
  'notPermanent',
  'ignored',
  'newMember',
  'holdElection',
  'duplicatePrimary',
  'joinFailure',
] as const satisfies readonly MessageKind[]

// Of a report: ticket, result, lsn, member, processed, permanent, notPermanent, ignored, refused.
const reportWords = 9
const reportRows = 512

interface Waiter<T> {
  resolve: (value: T) => void
  reject: (error: RingleaderError) => void
}

export class Arrivals {
  /** The addon's memory. */
  reports = new Float64Array(0)
  readonly #answers = new Map<number, Waiter<ProcessResult>>()
  readonly #batches = new Map<number, Waiter<BatchResult>>()
  #lastTicket = 0

  get size(): number {
    return this.#answers.size + this.#batches.size
  }

  nextTicket(): number {
    this.#lastTicket += 1
    return this.#lastTicket
  }

  expect(ticket: number, waiter: Waiter<ProcessResult>): void {
    this.#answers.set(ticket, waiter)
  }

  expectBatch(ticket: number, waiter: Waiter<BatchResult>): void {
    this.#batches.set(ticket, waiter)
  }

  /** Takes what there is. */
  settle(native: NativeReplication): void {
    for (;;) {
      const count = native.takeReports()
      for (let i = 0; i < count; i += 1) this.#settle(i * reportWords)
      if (count < reportRows) return
    }
  }

  #settle(row: number): void {
    const word = (index: number) => this.reports[row + index] ?? 0
    const ticket = word(0)
    const lsn = word(2)
    const batch = this.#batches.get(ticket)
    if (batch) {
      this.#batches.delete(ticket)
      const [processed, permanent, notPermanent] = [word(4), word(5), word(6)]
      const [ignored, refused] = [word(7), word(8)]
      batch.resolve({ processed, permanent, notPermanent, ignored, refused, lsn })
      return
    }
    const result = kinds[word(1)] ?? 'processed'
    const answer: ProcessResult = { result }
    if (result === 'permanent' || result === 'notPermanent') answer.lsn = lsn
    if (result === 'holdElection' || result === 'duplicatePrimary') answer.member = word(3)
    this.#answer(ticket, answer)
  }

  #answer(ticket: number, answer: ProcessResult): void {
    this.#answers.get(ticket)?.resolve(answer)
    this.#answers.delete(ticket)
  }

  /** What one message has come to: its contact finds no room in the memory. */
  newMember(ticket: number, member: number, contact: Uint8Array): void {
    this.#answer(ticket, { result: 'newMember', member, contact })
  }

  reject(error: RingleaderError): void {
    for (const waiters of [this.#answers, this.#batches]) {
      for (const { reject } of waiters.values()) reject(error)
      waiters.clear()
    }
  }
}
