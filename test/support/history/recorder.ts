// Writes the events of a client into a file of its own, as history.ts has it.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import process from 'node:process'

import type { Id, Operation, Outcome } from './history.js'

const now = () => Number(process.hrtime.bigint() / 1000n)

export class Recorder {
  readonly #file: number
  readonly #client: string
  #transactions = 0

  /** `client` is part of the ids of its transactions: no other one may have it. */
  constructor(file: string, client: string) {
    this.#file = openSync(file, 'a')
    this.#client = client
  }

  /** Before anything is asked for. Gives the transaction's id. */
  invoke(session: string, ops: readonly Operation[]): Id {
    this.#transactions += 1
    const id = `${this.#client}-${this.#transactions}`
    this.#write({ at: now(), event: 'invoke', id, process: session, ops })
    return id
  }

  /** When the answer has come. */
  end(outcome: Outcome, id: Id, session: string, ops: readonly Operation[]): void {
    this.#write({ at: now(), event: outcome, id, process: session, ops })
  }

  #write(event: object): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** The lines of a file; without a last one that its writer was killed in. */
export const linesOf = (file: string): string[] => {
  const text = readFileSync(file, 'utf8')
  return text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
}
