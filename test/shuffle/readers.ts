// The readers of one member: snapshots of every level, of some rows or of all.
import { setTimeout as pause } from 'node:timers/promises'

import { RingleaderError, type Snapshot } from 'ringleader'

import { databaseName } from './orders.js'
import { now } from './record.js'
import { listCount, registers, type ClientOptions } from './writers.js'

const timeoutMs = 1_000

interface Plan {
  level: 'local' | 'durable' | 'linearizable'
  atLeast: { id: number; token: string } | undefined
}

export class Readers {
  readonly #options: ClientOptions
  readonly #name: string
  readonly #member: number
  #tokens: { id: number; token: string }[] = []
  #isWorking = false
  #lives: Promise<unknown> = Promise.resolve()

  /** `name`: of this life of this member. */
  constructor(options: ClientOptions, name: string, member: number) {
    this.#options = options
    this.#name = name
    this.#member = member
  }

  start(): void {
    if (this.#isWorking) return
    this.#isWorking = true
    const { readers } = this.#options.settings
    const names = Array.from({ length: readers }, (_, i) => `${this.#name}.${i}`)
    this.#lives = Promise.all(names.map((name) => this.#live(name)))
  }

  async stop(): Promise<void> {
    this.#isWorking = false
    await this.#lives
  }

  /** A commit that may be asked for: one of the newest. */
  learn(id: number, token: string): void {
    this.#tokens = [...this.#tokens.slice(-4), { id, token }]
  }

  async #live(session: string): Promise<void> {
    const { random, settings } = this.#options
    while (this.#isWorking) {
      await pause(2 * settings.pauseMs * random())
      const plan = this.#plan()
      const start = now()
      const snapshot = await this.#open(plan)
      if (snapshot) this.#read(session, start, plan, snapshot)
    }
  }

  #plan(): Plan {
    const { random } = this.#options
    const level = (['local', 'durable', 'linearizable'] as const)[Math.floor(3 * random())]
    const token = this.#tokens[Math.floor(random() * this.#tokens.length)]
    return { level: level ?? 'local', atLeast: random() < 0.3 ? token : undefined }
  }

  // Nothing where it was refused.
  async #open({ level, atLeast }: Plan): Promise<Snapshot | undefined> {
    const { env, recorder } = this.#options
    try {
      const isPlain = level !== 'linearizable' && atLeast === undefined
      if (isPlain) return env.snapshot({ level })
      return await env.snapshotAt({
        ...(level === 'linearizable' ? { linearizable: true } : { level }),
        ...(atLeast ? { atLeast: atLeast.token } : {}),
        timeoutMs,
      })
    } catch (error) {
      if (!(error instanceof RingleaderError)) throw error
      if (error.code === 'RL_ROLLED_BACK' && atLeast) {
        recorder.write({ event: 'claim', id: atLeast.id, at: now(), fate: 'gone' })
      }
      return undefined
    }
  }

  #read(session: string, start: number, { level, atLeast }: Plan, snapshot: Snapshot): void {
    const { recorder, random } = this.#options
    try {
      const whole = random() < 0.05
      const values = whole ? this.#all(snapshot) : this.#some(snapshot)
      const end = now()
      recorder.write({
        ...{ event: 'read', session, member: this.#member, start, end, level, values, whole },
        ...(atLeast ? { atLeast: atLeast.id } : {}),
      })
    } catch (error) {
      // There is no database yet, here or in the snapshot.
      if (!(error instanceof RingleaderError && error.code === 'RL_NOT_FOUND')) throw error
    } finally {
      snapshot.close()
    }
  }

  #rows() {
    return this.#options.env.database<string, unknown>(databaseName, { create: false })
  }

  #all(snapshot: Snapshot): Record<string, unknown> {
    const { generations } = this.#options
    const rows = snapshot.range(this.#rows()).toArray()
    for (const { key, value } of rows) if (Array.isArray(value)) generations.saw(key, value.length)
    return Object.fromEntries(rows.map(({ key, value }) => [key, value]))
  }

  #some(snapshot: Snapshot): Record<string, unknown> {
    const { random, generations } = this.#options
    const lists = Array.from({ length: listCount }, (_, i) => generations.keyOf(i))
    const keys = [...registers, ...lists].filter(() => random() < 0.4)
    return Object.fromEntries(
      keys.map((key) => {
        const value = snapshot.get(this.#rows(), key) ?? null
        if (Array.isArray(value)) generations.saw(key, value.length)
        return [key, value]
      }),
    )
  }
}
