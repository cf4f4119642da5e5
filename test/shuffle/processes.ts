// The processes of a round's members, each of which may live several times, and what they tell.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import type { Order, Question, Settings, Told } from './orders.js'
import type { Shuffler } from './shuffler.js'

const memberFile = fileURLToPath(new URL('member.js', import.meta.url))
const answerTimeoutMs = 60_000

export const directoriesOf = (directory: string, member: number) => ({
  environment: join(directory, `member-${member}`),
  archive: join(directory, `archive-${member}`),
})

export interface Events {
  elections: number
  kills: number
  pauses: number
  rollBacks: number
  snapshots: number
}

interface Life {
  child: ChildProcess
  isExpected: boolean
  isPaused: boolean
  role: string
  output: string
  answers: Map<number, (told: Told & { kind: 'answer' }) => void>
  idle: () => void
}

export class Processes {
  readonly events: Events = { elections: 0, kills: 0, pauses: 0, rollBacks: 0, snapshots: 0 }
  /** What must not happen, and has. */
  readonly problems: string[] = []
  /** Of all lives. */
  readonly records: string[] = []
  shuffler: Shuffler | undefined
  readonly #directory: string
  readonly #settings: Settings
  readonly #random: () => number
  readonly #lives = new Map<number, Life>()
  readonly #count = new Map<number, number>()
  #questions = 0

  constructor(directory: string, settings: Settings, random: () => number) {
    this.#directory = directory
    this.#settings = settings
    this.#random = random
    process.once('exit', this.#killAll)
  }

  // One that is paused would stay so without this process.
  readonly #killAll = () => {
    for (const { child } of this.#lives.values()) child.kill('SIGKILL')
  }

  get alive(): number[] {
    return [...this.#lives].filter(([, { isExpected }]) => !isExpected).map(([id]) => id)
  }

  get primary(): number | undefined {
    return this.alive.find((id) => this.#lives.get(id)?.role === 'primary')
  }

  /** Starts a member's process; it has no role yet. */
  async add(member: number): Promise<void> {
    const life = (this.#count.get(member) ?? 0) + 1
    this.#count.set(member, life)
    const { environment, archive } = directoriesOf(this.#directory, member)
    mkdirSync(archive, { recursive: true })
    const file = join(this.#directory, `record-${member}-${life}.jsonl`)
    this.records.push(file)
    const seed = Math.floor(this.#random() * 2 ** 31)
    const numbers = [member, life, seed].map(String)
    const args = [environment, archive, file, ...numbers, JSON.stringify(this.#settings)]
    const child = fork(memberFile, args, { serialization: 'advanced', silent: true })
    let up: () => void = () => undefined
    const isUp = new Promise<void>((resolve) => (up = resolve))
    const one: Life = {
      ...{ child, isExpected: false, isPaused: false, role: '', output: '' },
      ...{ answers: new Map(), idle: () => undefined },
    }
    this.#lives.set(member, one)
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        one.output += text.toString()
      })
    }
    child.on('message', (message) => {
      const told = message as Told
      if (told.kind === 'up') up()
      else this.#hear(member, one, told)
    })
    // Told of by `close`.
    child.on('error', () => undefined)
    const ended = once(child, 'close').then(([code, signal]) => {
      if (this.#lives.get(member) === one) this.#lives.delete(member)
      for (const settle of one.answers.values()) {
        settle({ kind: 'answer', number: 0, failed: 'its process has ended' })
      }
      one.idle()
      if (one.isExpected) return
      this.problems.push(`member ${member} has ended: ${code}, ${signal}\n${one.output}`)
    })
    await Promise.race([isUp, ended])
  }

  #hear(member: number, life: Life, told: Told): void {
    switch (told.kind) {
      case 'batch':
        this.#carry(member, told.to, { kind: 'batch', from: member, bytes: told.bytes })
        break
      case 'message': {
        const { control, record } = told
        this.#carry(member, told.to, { kind: 'message', from: member, control, record })
        break
      }
      case 'token':
        for (const id of this.alive) this.order(id, told)
        break
      case 'event':
        this.#note(member, life, told.name, told.detail ?? '')
        break
      case 'answer':
        life.answers.get(told.number)?.(told)
        life.answers.delete(told.number)
    }
  }

  #carry(from: number, to: number, order: Order): void {
    const deliver = (receiver: number) => {
      this.order(receiver, order)
    }
    this.shuffler?.send({ from, deliver }, to)
  }

  #note(member: number, life: Life, name: string, detail: string): void {
    if (name === 'elected') this.events.elections += 1
    else if (name === 'rolledBack') this.events.rollBacks += 1
    else if (name === 'snapshotDone') this.events.snapshots += 1
    else if (name === 'primary' || name === 'replica') life.role = name
    else if (name === 'idle') life.idle()
    else this.problems.push(`member ${member} ${name}: ${detail}`)
  }

  /** Nothing where there is no such process now. */
  order(member: number, order: Order): void {
    const child = this.#lives.get(member)?.child
    if (child?.connected) child.send(order, () => undefined)
  }

  ask(member: number, question: Question): Promise<unknown> {
    const life = this.#lives.get(member)
    if (!life) return Promise.reject(new Error(`member ${member} is dead`))
    this.#questions += 1
    const number = this.#questions
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`member ${member} does not answer: ${question.what}`))
      }, answerTimeoutMs)
      life.answers.set(number, ({ result, failed }) => {
        clearTimeout(timer)
        if (failed === undefined) resolve(result)
        else reject(new Error(`member ${member}, ${question.what}: ${failed}`))
      })
      this.order(member, { kind: 'ask', number, question })
    })
  }

  /** Its clients have been answered. */
  async idle(member: number): Promise<void> {
    const life = this.#lives.get(member)
    if (!life) return
    const idle = new Promise<void>((resolve) => (life.idle = resolve))
    this.order(member, { kind: 'work', on: false })
    await idle
  }

  async kill(member: number): Promise<void> {
    const life = this.#lives.get(member)
    if (!life || life.isExpected) return
    life.isExpected = true
    this.events.kills += 1
    const ended = once(life.child, 'close')
    life.child.kill('SIGKILL')
    await ended
  }

  pause(member: number): void {
    const life = this.#lives.get(member)
    if (!life || life.isPaused || life.isExpected) return
    life.isPaused = true
    this.events.pauses += 1
    life.child.kill('SIGSTOP')
  }

  resume(member: number): void {
    const life = this.#lives.get(member)
    if (!life?.isPaused) return
    life.isPaused = false
    life.child.kill('SIGCONT')
  }

  /** In good order. */
  async end(member: number): Promise<void> {
    const life = this.#lives.get(member)
    if (!life) return
    life.isExpected = true
    const ended = once(life.child, 'close')
    await this.ask(member, { what: 'close' })
    await ended
  }

  /** However things stand. */
  async endAll(): Promise<void> {
    await Promise.all([...this.#lives.keys()].map((member) => this.#endNow(member)))
    process.off('exit', this.#killAll)
  }

  async #endNow(member: number): Promise<void> {
    const life = this.#lives.get(member)
    if (!life) return
    life.isExpected = true
    const ended = once(life.child, 'close')
    life.child.kill('SIGKILL')
    await ended
  }
}
