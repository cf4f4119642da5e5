// Commits of one environment and thread, from the call to the promise.
//
// What is written in one turn of the event loop goes to the addon with one call, encoded once, as
// it will stand in the log (native/binding/store_writer.h has the memory). Puts and removes that
// follow each other, in one database and with one durability, share a record of up to 64 KiB: fewer
// records, and they are atomic together, which is more than was asked for. Batches, atomic
// operations and transactions are records of their own. The order is that of the calls.
import process from 'node:process'

import { atomicHeaderBytes, writeAtomic, type AtomicRequest } from './atomic-bytes.js'
import type { NativeStore } from './binding.js'
import { Catalogue, currentId, type Table } from './catalogue.js'
import { CommitProgress } from './commit-progress.js'
import { CopyWaits, type Check } from './copy-waits.js'
import { hasRule, localOf, rulePositionOf } from './durability.js'
import { valueRoom } from './encodings.js'
import { RingleaderError } from './errors.js'
import { GroupFacts } from './group-facts.js'
import {
  eachOperation,
  operationOverhead,
  writePut,
  writeRemove,
  type OperationList,
} from './operation-bytes.js'
import { Levels } from './levels.js'
import type { Settler } from './pending-ring.js'
import { receiptMaker, type Receipt } from './receipt.js'

const wordsPerRecord = 3
const numbersPerResult = 7
const maxSharedRecord = 65_536
const maxTransactionBytes = 2 ** 32 - 1
const ticksPerTurn = 64

const kindOperations = 0
const kindTransaction = 1
const kindAtomic = 2
const flagUnknownDatabase = 1 << 16

const failed = -1
const unchanged = -2
const stale = -2

/** What has become of an atomic operation. */
export interface AtomicOutcome {
  /** Its condition held, and it has a position. */
  done: boolean
  /** Of an addition. */
  sum: number
  /** Of a removal: the value that the row had. */
  before: Buffer | undefined
}

export class CommitPipeline extends CommitProgress<Receipt> {
  readonly #native: NativeStore
  readonly #payload: Buffer
  readonly #words: Uint32Array
  readonly #results: Float64Array
  readonly #maxRecords: number
  readonly catalogue: Catalogue
  readonly levels: Levels
  readonly facts: GroupFacts
  /** Of a commit of this environment. */
  readonly receipt: (lsn: number, end: number, term: number) => Receipt
  readonly #copies: CopyWaits

  #count = 0 // records in the batch
  #used = 0 // bytes in the batch
  // The last record, where puts and removes may join it.
  #open = false
  #openId = 0
  #openLevel = 0
  #openBytes = 0
  readonly #atomics: { request: AtomicRequest; outcome: AtomicOutcome }[] = []

  #scheduled = 0 // submissions, ever
  #term = 0 // of the latest commit

  readonly #submitTurn = () => {
    this.submit()
  }

  /** `durability`: of commits that do not say one; not yet checked. */
  constructor(native: NativeStore, durability: unknown) {
    const { payload, entries, results, positions } = native.memory
    const facts = new GroupFacts(native)
    const make = receiptMaker(facts)
    super(native, positions, 'environment', make)
    this.facts = facts
    this.receipt = make
    this.levels = new Levels(native, durability)
    this.#copies = new CopyWaits(native, this.positions, make, facts, () => {
      this.#copies.watch()
      this.updateBusy()
    })
    this.others = this.#copies
    this.#native = native
    this.#payload = Buffer.from(payload)
    this.#words = new Uint32Array(entries)
    this.#results = new Float64Array(results)
    this.#maxRecords = this.#words.length / wordsPerRecord
    this.catalogue = new Catalogue(native, (ids) => {
      this.#changeIds(ids)
    })
  }

  put(table: Table, key: unknown, value: unknown, level: number): Promise<Receipt> {
    if (hasRule(level)) this.levels.check(level)
    const prepared = table.values.prepare(value)
    const room = operationOverhead + valueRoom(prepared)
    if (room > this.#payload.length) {
      const bytes = Buffer.allocUnsafe(room)
      const id = currentId(table)
      const end = writePut(bytes, 0, table, id, key, prepared)
      const tables = new Map([[id, table]])
      return this.#commitLarge(bytes.subarray(0, end), kindOperations, level, tables)
    }
    this.#makeRoom(room)
    const id = currentId(table)
    const at = this.#used
    return this.#add(at, writePut(this.#payload, at, table, id, key, prepared), id, level)
  }

  remove(table: Table, key: unknown, level: number): Promise<Receipt> {
    if (hasRule(level)) this.levels.check(level)
    this.#makeRoom(operationOverhead)
    const id = currentId(table)
    const at = this.#used
    return this.#add(at, writeRemove(this.#payload, at, table, id, key), id, level)
  }

  // An operation has been written from `at` to `end`: into the open record, or one of its own.
  #add(at: number, end: number, id: number, level: number): Promise<Receipt> {
    const bytes = end - at
    // The key may have run code that has handed the batch over.
    if (this.#used !== at) this.#payload.copyWithin(this.#used, at, end)
    this.#used += bytes
    const joins =
      this.#open &&
      this.#openId === id &&
      this.#openLevel === level &&
      this.#openBytes + bytes <= maxSharedRecord
    if (joins) {
      const word = (this.#count - 1) * wordsPerRecord
      this.#openBytes += bytes
      this.#words[word] = this.#openBytes
      this.#words[word + 2] = (this.#words[word + 2] ?? 0) + 1
    } else {
      this.#addRecord(bytes, kindOperations, level)
      this.#open = true
      this.#openId = id
      this.#openLevel = level
      this.#openBytes = bytes
    }
    return this.promise(level)
  }

  #addRecord(first: number, kind: number, level: number): void {
    if (this.#count === 0) {
      this.checkOpen() // the encoding of a value may have run code that has closed it
      this.#scheduleSubmit()
    }
    const at = this.#count * wordsPerRecord
    this.#words[at] = first
    this.#words[at + 1] = kind | ((level & 0xff) << 8)
    this.#words[at + 2] = 1
    this.#count += 1
    this.#open = false
  }

  // At the end of this turn. Commits of durability `memory` resolve within it, so a loop that
  // awaits one after the other would never let the event loop go on: now and then it has to.
  #scheduleSubmit(): void {
    this.#scheduled += 1
    if (this.#scheduled % ticksPerTurn === 0) setImmediate(this.#submitTurn)
    else process.nextTick(this.#submitTurn)
  }

  #makeRoom(bytes: number): void {
    if (this.#used + bytes > this.#payload.length || this.#count === this.#maxRecords) {
      this.submit()
    }
  }

  /** Commits operations as one record. */
  batch({ bytes, tables }: OperationList, level: number): Promise<Receipt> {
    if (hasRule(level)) this.levels.check(level)
    const { length } = bytes
    if (length > maxTransactionBytes) {
      throw new RingleaderError('RL_TOO_LARGE', 'a transaction holds less than 4 GiB')
    }
    if (length > this.#payload.length) this.submit()
    else this.#makeRoom(length)
    // Somebody may have looked at the catalogue since the list was begun.
    const known = idsStand(tables) || changeIdsOf(bytes, 0, length, kindOperations, tables)
    const kind = known ? kindOperations : kindOperations | flagUnknownDatabase
    if (length > this.#payload.length) return this.#commitLarge(bytes, kind, level, tables)
    bytes.copy(this.#payload, this.#used)
    this.#used += length
    this.#addRecord(length, kind, level)
    return this.promise(level)
  }

  /** Commits the transaction of a slot, which is free from the end of this turn on. */
  transaction(slot: number, level: number, settler: Settler): void {
    this.#makeRoom(0)
    this.#addRecord(slot, kindTransaction, level)
    this.tell(settler, level)
  }

  /** Applies a rule to a row; the outcome is that of the moment of the commit. */
  async atomic(table: Table, request: AtomicRequest, level: number): Promise<AtomicOutcome> {
    if (hasRule(level)) this.levels.check(level)
    const id = currentId(table)
    const bytes = writeAtomic(table, id, request)
    const outcome: AtomicOutcome = { done: false, sum: 0, before: undefined }
    if (bytes.length > this.#payload.length) {
      this.submit()
      this.#atomics.push({ request, outcome })
      await this.#commitLarge(bytes, kindAtomic, level, new Map([[id, table]]))
      return outcome
    }
    this.#makeRoom(bytes.length)
    bytes.copy(this.#payload, this.#used)
    this.#used += bytes.length
    this.#addRecord(bytes.length, kindAtomic, level)
    this.#atomics.push({ request, outcome })
    await this.promise(level)
    return outcome
  }

  // Goes to the addon by itself; its bytes are copied there before this returns.
  #commitLarge(
    bytes: Buffer,
    kind: number,
    level: number,
    tables: ReadonlyMap<number, Table>,
  ): Promise<Receipt> {
    this.submit()
    this.checkOpen()
    const promise = this.promise(level)
    let word = kind | ((level & 0xff) << 8)
    let ids = tables
    for (;;) {
      const placed = this.#native.submitOne(bytes, word, 1)
      if (placed !== stale) {
        this.submitted(placed, 1)
        return promise
      }
      ids = movedIds(ids)
      this.catalogue.refresh()
      if (!changeIdsOf(bytes, 0, bytes.length, kind & 0xff, ids)) word |= flagUnknownDatabase
    }
  }

  // --- who waits for the group

  /** How far a level has been reached. */
  reached(level: number): number {
    const { positions } = this
    const here = positions[localOf(level)] ?? 0
    return hasRule(level) ? Math.min(here, positions[rulePositionOf(level)] ?? 0) : here
  }

  /** What the group has committed, as far as this environment knows. */
  get groupCommit(): number {
    return this.#copies.commit
  }

  /** Where the newest term begins that this environment knows of. */
  get newestTerm(): number {
    return this.#copies.newestTerm
  }

  /** As CopyWaits.until; what has been written before is committed first. */
  async until(
    check: Check,
    timeoutMs: number | undefined,
    timeoutError: () => RingleaderError,
  ): Promise<void> {
    this.checkOpen()
    this.submit()
    this.#native.request(0, 0) // which brings the positions up to date
    this.checkFailed()
    const over = this.#copies.until(check, timeoutMs, timeoutError)
    this.#copies.watch()
    this.updateBusy()
    await over
  }

  /** The group will not be heard of any more: who waits for it is told so. */
  abandonOthers(): void {
    this.#copies.reject((end, term) => {
      const token = this.facts.tokenIfKnown(end, term)
      return new RingleaderError('RL_CLOSED', 'closed before the copies were acknowledged', {
        fate: 'unknown',
        token,
      })
    })
  }

  override submit(): void {
    if (this.#count === 0) return
    this.#open = false
    for (;;) {
      const count = this.#count
      const placed = this.#native.submit(count)
      if (placed === stale) {
        this.catalogue.refresh()
        continue
      }
      this.#count = 0
      this.#used = 0
      this.submitted(placed, count)
      return
    }
  }

  // Ids have changed: so do those in the batch. Databases that are gone are left to the addon.
  #changeIds(ids: ReadonlyMap<number, Table>): void {
    this.#open = false
    let from = 0
    for (let i = 0; i < this.#count; i += 1) {
      const at = i * wordsPerRecord
      const word = this.#words[at + 1] ?? 0
      const kind = word & 0xff
      if (kind === kindTransaction) continue
      const to = from + (this.#words[at] ?? 0)
      if (!changeIdsOf(this.#payload, from, to, kind, ids)) {
        this.#words[at + 1] = word | flagUnknownDatabase
      }
      from = to
    }
  }

  protected override takeResult(i: number): void {
    const results = this.#results
    const at = i * numbersPerResult
    const lsn = results[at] ?? 0
    const end = results[at + 1] ?? 0
    const term = results[at + 6] ?? 0
    const ring = this.pendingOf(results[at + 2] ?? 0)
    const count = results[at + 3] ?? 0
    if (term !== this.#term) this.#noteTerm(term, end)
    if (results[at + 4] === kindAtomic) this.#takeOutcome(lsn, results[at + 5] ?? 0)
    if (lsn === failed) ring.fail(this.#native.takeFailure(), count)
    else if (lsn === unchanged) ring.place(0, 0, 0)
    else ring.place(lsn, end, term, count)
  }

  // Of what has not been committed there is no term.
  #noteTerm(term: number, end: number): void {
    if (term === 0) return
    this.#term = term
    this.facts.noteTerm(term, end)
  }

  #takeOutcome(lsn: number, sum: number): void {
    const atomic = this.#atomics.shift()
    if (!atomic) return
    const { request, outcome } = atomic
    outcome.done = lsn >= 0
    outcome.sum = sum
    if (request.kind !== 'take') return
    const before = this.#native.takeBefore()
    outcome.before = before && Buffer.from(before)
  }
}

const idsStand = (ids: ReadonlyMap<number, Table>): boolean =>
  Array.from(ids).every(([id, table]) => table.id === id)

// The tables by the ids that they have now.
const movedIds = (ids: ReadonlyMap<number, Table>): Map<number, Table> =>
  new Map(Array.from(ids.values(), (table) => [table.id, table]))

// False where a database of the record is gone; its id is left as it was.
const changeIdsOf = (
  bytes: Buffer,
  from: number,
  to: number,
  kind: number,
  ids: ReadonlyMap<number, Table>,
): boolean => {
  let all = true
  const change = (at: number) => {
    const now = ids.get(bytes.readUInt32BE(at))?.id ?? 0
    if (now === 0) all = false
    else bytes.writeUInt32BE(now, at)
  }
  if (kind === kindAtomic) change(from + atomicHeaderBytes)
  else for (const { keyAt } of eachOperation(bytes, from, to)) change(keyAt)
  return all
}
