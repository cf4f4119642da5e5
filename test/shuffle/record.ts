// What the clients of a member have asked and been told: lines of JSON, in a file for each life of
// each member. Times are microseconds of one clock for all processes.
import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import process from 'node:process'

import type { Read as PrefixRead } from '../support/prefixes/history.js'

/**
 * A write of a client; `id` is the value of a register, or what is appended to a list, so every
 * commit can be told from every other by what it has written.
 */
export interface Begun {
  event: 'begin'
  id: number
  at: number
  f: 'put' | 'compareAndSet' | 'append'
  keys: string[]
  /** No election may undo what is acknowledged with it. */
  lasting: boolean
}

export interface Ended {
  event: 'end'
  id: number
  at: number
  outcome: 'ok' | 'failed' | 'unknown'
  /** Of the error. */
  code?: string | undefined
  /** Of a receipt. */
  place?: { lsn: number; term: number } | undefined
  /** What `compareAndSet` found, and how long a list is with what was appended. */
  found?: number | null | undefined
}

/** What has been said later of a write: it is committed, or the group has gone on without it. */
export interface Claimed {
  event: 'claim'
  id: number
  at: number
  fate: 'committed' | 'gone'
}

/** `atLeast`: the id of a write. */
export type ReadDone = Omit<PrefixRead, 'atLeast' | 'snapshot' | 'maxLag'> & {
  atLeast?: number | undefined
}

export type Line = Begun | Ended | Claimed | ReadDone

export const now = () => Number(process.hrtime.bigint() / 1000n)

export class Recorder {
  readonly #file: number

  constructor(file: string) {
    this.#file = openSync(file, 'a')
  }

  write(line: Line): void {
    writeSync(this.#file, `${JSON.stringify(line)}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Without a last line that its writer was killed in; none where it came to none. */
export const readLines = (file: string): Line[] => {
  if (!existsSync(file)) return []
  const text = readFileSync(file, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line)
}
