// What the addon knows of a commit: its name in the group, its copies, what has become of it.
import type { Facts, NativeGroup } from './binding.js'
import { RingleaderError } from './errors.js'
import type { FactSource } from './receipt.js'
import { readToken, writeToken, type ReadToken } from './token.js'

const ballotAt = 8 // in the body of a token, behind the end

/** `open`: nobody here knows yet. `forgotten`: nobody here will ever know. */
export type TokenFate = 'committed' | 'rolledBack' | 'open' | 'forgotten'

const fates: readonly (TokenFate | undefined)[] = [
  undefined,
  'committed',
  'rolledBack',
  'open',
  'forgotten',
]
const fateMask = 7
const hereBit = 8

export interface Judgement {
  fate: TokenFate
  /** This environment's log has it. */
  here: boolean
}

export class GroupFacts implements FactSource {
  readonly #native: NativeGroup
  readonly #ballots = new Map<number, Uint8Array>() // of terms in which commits were made here

  constructor(native: NativeGroup) {
    this.#native = native
  }

  /** The first commit of a term. Later, after a roll-back, nobody may know whose term it was. */
  noteTerm(term: number, end: number): void {
    this.#bodyOf(end, term)
  }

  #bodyOf(end: number, term: number): Uint8Array | undefined {
    const ballot = this.#ballots.get(term)
    if (ballot) {
      const body = Buffer.alloc(ballotAt + ballot.length)
      body.writeBigUInt64LE(BigInt(end))
      body.set(ballot, ballotAt)
      return body
    }
    const made = this.#native.tokenOf(end, term)
    if (made === undefined) return undefined
    const body = new Uint8Array(made)
    if (term !== 0) this.#ballots.set(term, body.slice(ballotAt))
    return body
  }

  #knownBodyOf(end: number, term: number): Uint8Array {
    const body = this.#bodyOf(end, term)
    if (body) return body
    throw new RingleaderError('RL_BUSY', 'the reign of that commit is not known yet')
  }

  tokenOf(end: number, term: number): string {
    return writeToken(this.#native.groupId, this.#knownBodyOf(end, term))
  }

  /** The same for errors, which have none where nobody knows. */
  tokenIfKnown(end: number, term: number): string | undefined {
    const body = end === 0 ? undefined : this.#bodyOf(end, term)
    return body && writeToken(this.#native.groupId, body)
  }

  factsOf(end: number, term: number): Facts {
    return this.#native.factsOf(this.#knownBodyOf(end, term))
  }

  read(token: string): ReadToken {
    return readToken(token, this.#native.groupId)
  }

  judge({ body }: ReadToken): Judgement {
    const word = this.#native.judge(body)
    return { fate: fates[word & fateMask] ?? 'open', here: (word & hereBit) !== 0 }
  }
}
