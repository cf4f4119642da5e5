// The second process of the model, as an object: calls go to test/process/programs/model-peer.ts.
import { once } from 'node:events'

import type { ExecutionContext } from 'ava'

import { startProgram, type Program } from '../programs.js'
import type { Write } from './commands.js'

/** A row as a process has found it. */
export type FoundRow = readonly [place: number, number: number, version: number]

export interface PeerCalls {
  open: (directory: string) => void
  close: () => void
  make: (kind: number) => void
  clear: (kind: number) => void
  drop: (kind: number) => void
  /** All or nothing; the end of the commit. Databases have to be there. */
  write: (writes: readonly Write[]) => number
  /** Everything that is there, by the names of the databases. */
  look: () => (readonly [name: string, rows: FoundRow[]])[]
}

export interface PeerRequest {
  name: keyof PeerCalls
  argument: unknown
}

export type PeerReply = { result: unknown } | { error: string }

export class Peer {
  readonly #t: ExecutionContext
  #program: Program | undefined

  constructor(t: ExecutionContext) {
    this.#t = t
  }

  async call<N extends keyof PeerCalls>(
    name: N,
    ...[argument]: Parameters<PeerCalls[N]>
  ): Promise<ReturnType<PeerCalls[N]>> {
    this.#program ??= startProgram(this.#t, 'model-peer', [], { serialization: 'advanced' })
    const { child, ended } = this.#program
    const request: PeerRequest = { name, argument }
    child.send(request)
    const died = ended.then(({ output }): [PeerReply] => [{ error: `the peer died: ${output}` }])
    const [reply] = (await Promise.race([once(child, 'message'), died])) as [PeerReply]
    if ('error' in reply) throw new Error(`the peer, ${name}: ${reply.error}`)
    return reply.result as ReturnType<PeerCalls[N]>
  }

  /** SIGKILL; the next call starts another one. */
  async kill(): Promise<void> {
    this.#program?.child.kill('SIGKILL')
    await this.#program?.ended
    this.#program = undefined
  }
}
