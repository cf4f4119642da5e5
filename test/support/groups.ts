// Groups of environments in one process, over a transport that can be cut, and that loses, repeats
// and reorders messages where it is told to.
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

import type { ExecutionContext } from 'ava'
import {
  Environment,
  Replication,
  type EnvironmentOptions,
  type ProcessResult,
  type ReplicationEvents,
  type ReplicationOptions,
  type Send,
} from 'ringleader'

import { smallEnvironment } from './environments.js'
import { temporaryDirectory } from './logs.js'

/** Quick elections: the members are threads of one process. */
export const quickGroup = { electionTimeoutMs: 1_000, heartbeatIntervalMs: 30 } as const

export const groupId = '0123456789abcdef0123456789abcdef'

export interface Sent {
  from: number
  to: number
  control: Uint8Array
  record: Uint8Array
  lsn: number
  flags: number
}

/** What one member's `processMessage` has said of a message. */
export interface Answer extends Sent {
  result: ProcessResult
}

export class Network {
  readonly members = new Map<number, Replication>()
  readonly cut = new Set<number>()
  /** Of a hundred messages, so many are lost, as many come twice, as many come late. */
  disturbedPercent = 0
  /** Says which messages get through; all by default. */
  passes: (sent: Sent, receiver: number) => boolean = () => true
  readonly answers: Answer[] = []
  readonly refused: unknown[] = []
  /** Sees every message that is sent. */
  onSend: (sent: Sent) => void = () => undefined
  #random: number

  constructor(seed = 1) {
    this.#random = seed
  }

  sendOf(from: number): Send {
    return (to, control, record, lsn, flags) => {
      const sent = { from, to, control, record, lsn, flags }
      this.onSend(sent)
      for (const receiver of this.members.keys()) {
        if (receiver !== from && (to === Replication.broadcast || to === receiver)) {
          this.#carry(sent, receiver)
        }
      }
    }
  }

  // The generator of Park and Miller: the same in every run.
  #chance(percent: number): boolean {
    this.#random = (this.#random * 48_271) % 2_147_483_647
    return this.#random % 100 < percent
  }

  #carry(sent: Sent, receiver: number): void {
    if (this.cut.has(sent.from) || this.cut.has(receiver) || !this.passes(sent, receiver)) return
    if (this.disturbedPercent === 0) {
      this.deliver(sent, receiver)
      return
    }
    if (this.#chance(this.disturbedPercent)) return
    const times = this.#chance(this.disturbedPercent) ? 2 : 1
    for (let i = 0; i < times; i += 1) {
      const later = this.#chance(this.disturbedPercent) ? 30 : 0
      setTimeout(() => {
        this.deliver(sent, receiver)
      }, later)
    }
  }

  deliver(sent: Sent, receiver: number): void {
    const member = this.members.get(receiver)
    if (!member) return
    member.processMessage(sent.control, sent.record, sent.from).then(
      (result) => this.answers.push({ ...sent, result }),
      (error: unknown) => this.refused.push(error),
    )
  }
}

export interface Member {
  id: number
  directory: string
  env: Environment
  rep: Replication
  /** Names of the events that there have been. */
  events: string[]
}

export class Group {
  readonly network: Network
  readonly members: Member[] = []
  readonly #t: ExecutionContext
  readonly #environment: EnvironmentOptions

  constructor(t: ExecutionContext, network = new Network(), environment = smallEnvironment) {
    this.#t = t
    this.network = network
    this.#environment = { ...environment, groupId }
  }

  async add(
    id: number,
    options: Partial<ReplicationOptions> = {},
    directory = temporaryDirectory(this.#t),
  ): Promise<Member> {
    const env = await Environment.open(directory, this.#environment)
    this.#t.teardown(() => env.close().catch(() => undefined))
    const rep = env.replication({ memberId: id, ...quickGroup, ...options })
    const events = recordEvents(rep)
    rep.setTransport(this.network.sendOf(id))
    this.network.members.set(id, rep)
    const member = { id, directory, env, rep, events }
    this.members.push(member)
    return member
  }

  /** Members 1 to `count`, the first of them primary. */
  async start(count: number, options: Partial<ReplicationOptions> = {}): Promise<Member[]> {
    const made: Member[] = []
    for (let id = 1; id <= count; id += 1) made.push(await this.add(id, options))
    for (const { rep } of made.slice(1)) await rep.start('replica')
    await made[0]?.rep.start('primary')
    return made
  }

  /** As if its process had ended. */
  async remove(member: Member): Promise<void> {
    this.network.members.delete(member.id)
    this.members.splice(this.members.indexOf(member), 1)
    await member.env.close()
  }
}

const eventNames = [
  'elected',
  'primary',
  'replica',
  'newPrimary',
  'startupDone',
  'snapshotDone',
  'permanentFailed',
  'newMember',
  'holdElection',
  'duplicatePrimary',
  'joinFailure',
  'electionFailed',
  'rolledBack',
  'halted',
  'failed',
] as const satisfies readonly (keyof ReplicationEvents)[]

const recordEvents = (rep: Replication): string[] => {
  const events: string[] = []
  for (const name of eventNames) rep.on(name, () => events.push(name))
  return events
}

/** The arguments of the next event of that name. */
export const heard = (rep: Replication, name: keyof ReplicationEvents): Promise<unknown[]> =>
  once(rep, name) as Promise<unknown[]>

/** Resolves when `condition` holds; fails the test after ten seconds, or as long as is said. */
export const until = async (
  what: string,
  condition: () => boolean,
  patienceMs = 10_000,
): Promise<void> => {
  const deadline = performance.now() + patienceMs
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited for ${what} in vain`)
    await sleep(5)
  }
}

/** All have committed what the longest log has, as its writers know it. */
export const agreement = (members: readonly Member[]): Promise<void> =>
  until('agreement', () => {
    const logs = members.map(({ env }) => env.stat().log)
    const end = Math.max(...logs.map(({ appended }) => appended))
    const stats = members.map(({ rep }) => rep.stat())
    return (
      stats.some(({ role }) => role === 'primary') && stats.every(({ commit }) => commit >= end)
    )
  })

/** The replica of a group of two that agree, and a message with records that it has been sent. */
export const twoAndRecords = async (t: ExecutionContext) => {
  const group = new Group(t)
  const sent: Sent[] = []
  group.network.onSend = (message) => sent.push(message)
  const [one, two] = await group.start(2)
  if (!one || !two) throw new Error('a group of two has two members')
  await one.env.database('rows').put('a', 1)
  await agreement(group.members)
  const records = sent.find(({ from, record }) => from === 1 && record.byteLength > 0)
  if (!records) throw new Error('nothing has been shipped')
  return { two, records }
}

/** Writes until the log of the member no longer has what it began with. */
export const writeBeyondTheLog = async ({ env }: Member): Promise<void> => {
  const rows = env.database('rows')
  const start = env.stat().log.start
  const value = 'v'.repeat(8_192)
  for (let i = 0; env.stat().log.start === start; i += 1) {
    await rows.put(`${i % 8}`, value)
    if (i % 8 === 7) await env.fold()
  }
}
