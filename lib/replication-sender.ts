// Between what the addon has to send and the application's transport.
import type { NativeBatchOfMessages, NativeReplication } from './binding.js'
import { refuse } from './options.js'

/** What a transport is told of a message; or-ed. */
export const sendFlags = {
  /** Commits of this primary. Where it fails, the primary makes sure that its own disk has them. */
  permanent: 1,
  /** Not to be held back for others to join it. */
  noBuffer: 2,
  /** A request that any member that has the records could answer; it is meant for this one. */
  anywhere: 4,
  /** It asks again for what did not come. */
  reRequest: 8,
} as const

/** `to` of what goes to all other members. */
export const broadcast = -1

/** false, a promise of false, a rejection, and what is thrown: it has not been sent. */
export type SendOutcome = unknown

/**
 * Sends one message: `control` and `record` (which may be empty) have to get to
 * `processMessage` there, with this member's id. `lsn`: the end of the records in it, 0 where there
 * are none. The bytes are the callee's.
 */
export type Send = (
  to: number,
  control: Uint8Array,
  record: Uint8Array,
  lsn: number,
  flags: number,
) => SendOutcome

export interface BatchInfo {
  /** Messages in it. */
  count: number
  /** The highest end of records in it, 0 where there are none. */
  lsn: number
  /** `sendFlags` of all of them, or-ed. */
  flags: number
}

/** Sends many messages at once: `bytes` has to get to `processMessages` there. */
export type SendBatch = (to: number, bytes: Uint8Array, info: BatchInfo) => SendOutcome

export type Transport = Send | { sendBatch: SendBatch }

// For one destination; beyond, messages are refused until some have settled.
const maxUnsettledCalls = 1024
const maxUnsettledBytes = 64 * 2 ** 20
// Taken in one turn of the event loop; others want to run too.
const batchesAtOnce = 64
// Of a row of the table of messages: control bytes, record bytes, lsn, flags.
const frameWords = 4

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

interface Unsettled {
  calls: number
  bytes: number
}

export class Sender {
  readonly #native: NativeReplication
  #unsettled = new Map<number, Unsettled>()
  #transport: Transport
  #stopped = false
  failures = 0
  refused = 0

  constructor(native: NativeReplication, transport: Transport) {
    this.#native = native
    this.#transport = transport
  }

  /** What another one has not settled is nothing that this one has to answer for. */
  set transport(transport: Transport) {
    if (transport !== this.#transport) this.#unsettled = new Map()
    this.#transport = transport
  }

  get unsettled(): number {
    let calls = 0
    for (const one of this.#unsettled.values()) calls += one.calls
    return calls
  }

  /** Gives the transport what there is. */
  run(): void {
    for (let i = 0; i < batchesAtOnce; i += 1) {
      // The application may close or change the transport in any call.
      if (this.#stopped) return
      const transport = this.#transport
      const table = typeof transport === 'function'
      const batch = this.#native.takeBatch(table)
      if (batch === undefined) return
      if (typeof transport === 'function') this.#sendEach(transport, batch)
      else this.#sendBatch(transport, batch)
    }
    setImmediate(() => {
      this.run()
    })
  }

  stop(): void {
    this.#stopped = true
  }

  #sendBatch(transport: { sendBatch: SendBatch }, batch: NativeBatchOfMessages): void {
    const { to, count, lsn, flags } = batch
    const bytes = new Uint8Array(batch.bytes)
    if (!this.#admits(to, lsn, flags, count)) return
    const size = bytes.byteLength
    this.#call(to, size, lsn, flags, () => transport.sendBatch(to, bytes, { count, lsn, flags }))
  }

  #sendEach(send: Send, batch: NativeBatchOfMessages): void {
    const { to, bytes, count } = batch
    const frames = new Float64Array(batch.frames ?? new ArrayBuffer(0))
    let at = 0
    for (let i = 0; i < count * frameWords && !this.#stopped; i += frameWords) {
      const control = new Uint8Array(bytes, at, frames[i])
      const record = new Uint8Array(bytes, at + control.byteLength, frames[i + 1])
      const lsn = frames[i + 2] ?? 0
      const flags = frames[i + 3] ?? 0
      at += control.byteLength + record.byteLength
      if (!this.#admits(to, lsn, flags, 1)) continue
      const size = control.byteLength + record.byteLength
      this.#call(to, size, lsn, flags, () => send(to, control, record, lsn, flags))
    }
  }

  // A transport whose promises never settle is given no more than it can be excused for.
  #admits(to: number, lsn: number, flags: number, count: number): boolean {
    const open = this.#unsettled.get(to)
    if (open === undefined) return true
    if (open.calls < maxUnsettledCalls && open.bytes < maxUnsettledBytes) return true
    this.refused += count
    this.#tellFailed(lsn, flags)
    return false
  }

  #call(to: number, size: number, lsn: number, flags: number, call: () => SendOutcome): void {
    const fail = () => {
      this.failures += 1
      this.#tellFailed(lsn, flags)
    }
    let outcome
    try {
      outcome = call()
      if (isThenable(outcome)) {
        this.#await(to, size, outcome, fail)
        return
      }
    } catch {
      fail()
      return
    }
    if (outcome === false) fail()
  }

  #await(to: number, size: number, outcome: PromiseLike<unknown>, fail: () => void): void {
    const open = this.#unsettled.get(to) ?? { calls: 0, bytes: 0 }
    this.#unsettled.set(to, open)
    open.calls += 1
    open.bytes += size
    const settled = () => {
      open.calls -= 1
      open.bytes -= size
    }
    // Adopted by a promise of the language: one that settles twice does so once.
    Promise.resolve(outcome).then(
      (sent) => {
        settled()
        if (sent === false) fail()
      },
      () => {
        settled()
        fail()
      },
    )
  }

  #tellFailed(lsn: number, flags: number): void {
    if ((flags & sendFlags.permanent) !== 0 && !this.#stopped) this.#native.sendFailed(lsn)
  }
}

export const checkTransport = (value: unknown): Transport => {
  if (typeof value === 'function') return value as Send
  if (typeof value === 'object' && value !== null && 'sendBatch' in value) {
    if (typeof value.sendBatch === 'function') return value as { sendBatch: SendBatch }
  }
  throw refuse('transport', 'a function, or { sendBatch }', value)
}
