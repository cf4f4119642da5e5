// Hostile messages for members of a group that works: damaged, cut, replayed, of other groups and
// versions, spliced from two. Two of three members get them; the third, and what was written, show
// what the rows have to be.
import { RingleaderError, type BatchResult } from 'ringleader'

import { randomNumbers } from '../support/history/simulator.js'
import { headBytes, kinds, Mutator, payloadAt, typeOf, type Hostile, type Kind } from './frames.js'
import { RecordedGroup, until, type Member } from './group.js'

export interface Fuzzed {
  /** Exists and is empty. */
  directory: string
  seed: number
  count: number
  /** Called now and then with how many there have been. */
  progress?: (count: number, perSecond: number) => void
}

export interface FuzzCounts {
  messages: number
  batches: number
  refused: number
  taken: number
  kinds: Record<Kind, number>
  /** Codes of messages that were refused one by one. */
  codes: Record<string, number>
  /** Of messages in the corpus, by their numbers. */
  types: number[]
  perSecond: number
}

const turn = 4_096
const messagesPerCheck = 131_072
const refusals: readonly unknown[] = [
  'RL_CORRUPTION',
  'RL_NEWER_FORMAT',
  'RL_UNSUPPORTED',
  'RL_INVALID_ARGUMENT',
]
const results: readonly unknown[] = [
  'processed',
  'permanent',
  'notPermanent',
  'ignored',
  'newMember',
  'holdElection',
  'duplicatePrimary',
  'joinFailure',
]

const fail = (text: string): never => {
  throw new Error(text)
}

/** One of the members that get hostile messages. */
class Target {
  readonly #member: Member
  readonly #mutator: Mutator
  readonly #counts: FuzzCounts
  readonly #before: { taken: number; refused: number }
  #taken = 0
  #refused = 0

  constructor(member: Member, mutator: Mutator, counts: FuzzCounts) {
    this.#member = member
    this.#mutator = mutator
    this.#counts = counts
    this.#before = this.#stat()
  }

  // Of all messages that it has ever been given.
  #stat() {
    const { given, refused, rep } = this.#member
    const { messagesProcessed, messagesRefused } = rep.stat()
    return {
      taken: messagesProcessed - (given - refused),
      refused: messagesRefused - refused,
    }
  }

  async feed(count: number): Promise<void> {
    const batches = new Map<number, Hostile[]>()
    const single: Hostile[] = []
    for (let i = 0; i < count; i += 1) {
      const hostile = this.#mutator.next()
      this.#counts.kinds[hostile.kind] += 1
      const batch = batches.get(hostile.from) ?? []
      batches.set(hostile.from, batch)
      if (hostile.framed) batch.push(hostile)
      else single.push(hostile)
    }
    const calls = [...batches].map(([from, batch]) => this.#feedBatch(from, batch))
    await Promise.all([...calls, ...single.map((hostile) => this.#feedOne(hostile))])
    this.#counts.messages += count
  }

  async #feedBatch(from: number, batch: readonly Hostile[]): Promise<void> {
    const bytes = Buffer.concat(batch.map((hostile) => hostile.bytes))
    const result: BatchResult = await this.#member.rep.processMessages(bytes, from)
    const { processed, permanent, notPermanent, ignored, refused } = result
    const total = processed + permanent + notPermanent + ignored + refused
    if (total !== batch.length) fail(`${batch.length} messages have come to ${total} results`)
    const count = (expected: string) => batch.filter((one) => one.expected === expected).length
    const least = count('refused')
    const most = least + count('either')
    if (refused < least || refused > most) {
      const text = batch.map(({ kind }) => kind).join(' ')
      fail(`of ${batch.length}, ${least} to ${most} are to be refused, not ${refused}: ${text}`)
    }
    this.#counts.batches += 1
    this.#note(total - refused, refused)
  }

  async #feedOne(hostile: Hostile): Promise<void> {
    const { from, bytes, expected, kind } = hostile
    const head = bytes.length < headBytes ? bytes.length : payloadAt(bytes)
    const at = Math.min(head, bytes.length)
    try {
      const { rep } = this.#member
      const { result } = await rep.processMessage(bytes.subarray(0, at), bytes.subarray(at), from)
      if (!results.includes(result) || expected === 'refused') fail(`${kind}: ${result}`)
      this.#note(1, 0)
    } catch (error) {
      if (!(error instanceof RingleaderError)) throw error
      const { code, fate } = error
      if (!refusals.includes(code) || fate !== 'none') throw error
      if (expected === 'taken') throw error
      this.#counts.codes[code] = (this.#counts.codes[code] ?? 0) + 1
      this.#note(0, 1)
    }
  }

  #note(taken: number, refused: number): void {
    this.#taken += taken
    this.#refused += refused
    this.#counts.taken += taken
    this.#counts.refused += refused
  }

  /** Every message has been counted as what it has come to. */
  async check(): Promise<void> {
    const { taken, refused } = this.#before
    const isCounted = () => {
      const now = this.#stat()
      const { open } = this.#member
      return (
        open === 0 && now.taken - taken === this.#taken && now.refused - refused === this.#refused
      )
    }
    await until('all to be counted', isCounted).catch(() => {
      const now = this.#stat()
      const given = `${this.#taken} taken and ${this.#refused} refused`
      fail(`of ${given}, stat() has ${now.taken - taken} and ${now.refused - refused}`)
    })
  }
}

// All rows, as soon as that commit is among them.
const rowsAt = async ({ env }: Member, atLeast: string): Promise<string> => {
  const snapshot = await env.snapshotAt({ level: 'durable', atLeast, timeoutMs: 30_000 })
  try {
    const rows = snapshot.range(env.database('rows')).toArray()
    return JSON.stringify(rows.map(({ key, value }) => [key, value]))
  } finally {
    snapshot.close()
  }
}

export class MessageCampaign {
  readonly #options: Fuzzed
  readonly #random: () => number
  readonly #group: RecordedGroup
  readonly counts: FuzzCounts = {
    ...{ messages: 0, batches: 0, refused: 0, taken: 0, types: [], perSecond: 0, codes: {} },
    kinds: Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>,
  }

  constructor(options: Fuzzed) {
    this.#options = options
    this.#random = randomNumbers(options.seed)
    this.#group = new RecordedGroup(options.directory, this.#random)
  }

  /** Rejects with what is wrong. */
  async run(): Promise<FuzzCounts> {
    try {
      await this.#group.live()
      await this.#attack()
      return this.counts
    } finally {
      await this.#group.close()
    }
  }

  async #attack(): Promise<void> {
    const { corpus, members, primary } = this.#group
    const types = new Set(corpus.map(({ bytes }) => typeOf(bytes)))
    this.counts.types = [...types].sort((a, b) => a - b)
    const ids = [...members.keys()]
    const replica = [...members.values()].find((member) => member !== primary) ?? primary
    const targets = [replica, primary].map((member) => {
      const mutator = new Mutator(corpus, ids, member.id, this.#random)
      return new Target(member, mutator, this.counts)
    })
    const start = performance.now()
    const { count, progress } = this.#options
    for (let round = 0; this.counts.messages < count; round += 1) {
      const until = Math.min(count, this.counts.messages + messagesPerCheck)
      for (let i = 0; this.counts.messages < until; i += 1) {
        const some = Math.min(turn, until - this.counts.messages)
        await targets[i % 3 === 0 ? 1 : 0]?.feed(some)
      }
      for (const target of targets) await target.check()
      await this.#compare(round)
      this.counts.perSecond = (1_000 * this.counts.messages) / (performance.now() - start)
      progress?.(this.counts.messages, this.counts.perSecond)
    }
    for (const { env } of members.values()) await env.verify()
  }

  // The group still takes writes, and all have the same.
  async #compare(round: number): Promise<void> {
    const token = await this.#group.write(`round ${round % 10}`, 20)
    const members = [...this.#group.members.values()]
    const all = await Promise.all(members.map((member) => rowsAt(member, token)))
    if (new Set(all).size > 1) fail('the members have different rows')
    for (const { id, refused, refusedBefore } of this.#group.members.values()) {
      if (refused > refusedBefore) fail(`member ${id} has refused messages of the group`)
    }
  }
}
