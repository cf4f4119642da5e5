// A group of three environments in one process, whose messages are recorded: all that members of a
// group say to each other, of several reigns, with gaps, reads and a snapshot.
import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'

import { Environment, Replication, type Send } from 'ringleader'

import { typeOf, type Frame } from './frames.js'

export interface Member {
  id: number
  env: Environment
  rep: Replication
  /** Messages of the group that have been handed over, and of them those that were not taken. */
  given: number
  refused: number
  refusedBefore: number
  /** Not settled yet. */
  open: number
}

const groupId = '66757a7a'.padEnd(32, '0')
const deadlineMs = 30_000
// Of each kind of message from each member; later ones take the places of others. Long ones take
// long to change.
const keptOfEach = 60
const longBytes = 2_048
const longKept = 4

export const until = async (what: string, holds: () => boolean): Promise<void> => {
  const deadline = performance.now() + deadlineMs
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited for ${what} in vain`)
    await pause(5)
  }
}

export class RecordedGroup {
  readonly members = new Map<number, Member>()
  readonly #directory: string
  readonly #kept = new Map<string, Frame[]>()
  readonly #random: () => number
  #isRecording = true
  /** Nothing gets to it or from it. */
  cut = 0
  loss = 0

  constructor(directory: string, random: () => number) {
    this.#directory = directory
    this.#random = random
  }

  get corpus(): Frame[] {
    return [...this.#kept.values()].flat()
  }

  async add(id: number): Promise<Member> {
    const env = await Environment.open(join(this.#directory, `${id}`), {
      ...{ groupId, segmentBytes: 65_536, ringBytes: 65_536, generationBytes: 2 ** 20 },
      ...{ foldIntervalMs: 20 },
    })
    const rep = env.replication({
      ...{ memberId: id, members: 3, electionTimeoutMs: 3_000, heartbeatIntervalMs: 40 },
    })
    rep.setTransport(this.#sendOf(id))
    const member = { id, env, rep, given: 0, refused: 0, refusedBefore: 0, open: 0 }
    this.members.set(id, member)
    return member
  }

  #sendOf(from: number): Send {
    return (to, control, record) => {
      if (this.#isRecording) this.#keep({ from, to, bytes: Buffer.concat([control, record]) })
      for (const member of this.members.values()) {
        const isMeant = to === Replication.broadcast || to === member.id
        if (member.id === from || !isMeant) continue
        if (this.cut === from || this.cut === member.id || this.#random() < this.loss) continue
        this.#give(member, control, record, from)
      }
    }
  }

  #keep(frame: Frame): void {
    const isLong = frame.bytes.length > longBytes
    const name = `${frame.from} ${typeOf(frame.bytes)} ${isLong}`
    const most = isLong ? longKept : keptOfEach
    const kept = this.#kept.get(name) ?? []
    this.#kept.set(name, kept)
    if (kept.length < most) kept.push(frame)
    else kept[Math.floor(this.#random() * most)] = frame
  }

  #give(member: Member, control: Uint8Array, record: Uint8Array, from: number): void {
    member.given += 1
    member.open += 1
    member.rep.processMessage(control, record, from).then(
      () => (member.open -= 1),
      () => {
        member.open -= 1
        member.refused += 1
      },
    )
  }

  get primary(): Member {
    const found = [...this.members.values()].find(({ rep }) => rep.role === 'primary')
    if (!found) throw new Error('nobody leads')
    return found
  }

  /** All have what the primary has. */
  async agree(): Promise<void> {
    await until('agreement', () => {
      const { end } = this.primary.rep.stat()
      return [...this.members.values()].every(({ rep }) => rep.stat().commit >= end)
    })
  }

  /** Gives the token of the last row. */
  async write(prefix: string, count: number): Promise<string> {
    const rows = this.primary.env.database('rows')
    const keys = Array.from({ length: count }, (_, i) => `${prefix}-${i % 500}`)
    const puts = keys.map((key, i) => rows.put(key, `${i} ${'x'.repeat(i % 300)}`))
    return (await Promise.all(puts)).at(-1)?.token ?? ''
  }

  /** Makes a group that has been through all that its messages tell of. */
  async live(): Promise<void> {
    const one = await this.add(1)
    const two = await this.add(2)
    await two.rep.start('replica')
    await one.rep.start('primary')
    // More than the log keeps: the third is filled by a snapshot.
    while (one.env.stat().log.start === 0 || two.env.stat().log.start === 0) {
      await this.write('early', 500)
      await this.agree()
      await Promise.all([one.env.fold(), two.env.fold()])
    }
    const three = await this.add(3)
    await three.rep.start('replica', Buffer.from('three'))
    await this.agree()
    for (const winner of [2, 3, 1]) {
      this.loss = 0.2
      await this.write(`before ${winner}`, 300)
      for (const { env } of this.members.values()) {
        const snapshot = await env.snapshotAt({ linearizable: true, timeoutMs: deadlineMs })
        snapshot.close()
      }
      this.loss = 0
      await this.agree()
      await this.#handOver(winner)
    }
    this.#isRecording = false
    await this.agree()
    if (three.rep.stat().snapshots === 0) throw new Error('the third was filled without a snapshot')
    // Before they were started; from now on nothing of the group's is refused.
    for (const member of this.members.values()) member.refusedBefore = member.refused
  }

  async #handOver(winner: number): Promise<void> {
    const before = this.primary.id
    const others = [...this.members.values()].filter(({ id }) => id !== before)
    this.cut = before
    const results = await Promise.all(
      others.map(({ id, rep }) =>
        rep
          .elect({ timeoutMs: deadlineMs, priority: id === winner ? 200 : 100 })
          .then(async ({ elected }) => elected && rep.start('primary')),
      ),
    )
    if (results.every((result) => result === false)) throw new Error('nobody was elected')
    this.cut = 0
    await until('the old primary to follow', () => {
      const primaries = [...this.members.values()].filter(({ rep }) => rep.role === 'primary')
      return primaries.length === 1
    })
  }

  async close(): Promise<void> {
    for (const { env } of this.members.values()) await env.close()
  }
}
