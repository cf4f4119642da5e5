// Messages as bytes (docs/FORMATS.md, "Messages"), and what can be done to them.
import { storedCrc } from '../support/crc32c.js'

export interface Frame {
  from: number
  /** -1: to all. */
  to: number
  bytes: Buffer
}

export const headBytes = 36
const versionAt = 4
const typeAt = 5
const fieldsLengthAt = 8
const payloadLengthAt = 12
const groupAt = 16
const checksumAt = 32
const currentVersion = 1

export const typeOf = (bytes: Uint8Array): number => bytes[typeAt] ?? 0

/** Where its payload begins: the parts before and behind go to processMessage. */
export const payloadAt = (bytes: Buffer): number => headBytes + bytes.readUInt32LE(fieldsLengthAt)

const seal = (bytes: Buffer): Buffer => {
  const covered = Buffer.concat([bytes.subarray(0, checksumAt), bytes.subarray(headBytes)])
  bytes.writeUInt32LE(storedCrc(covered), checksumAt)
  return bytes
}

/** What may come of a frame that has been changed in some way. */
export type Expected =
  | 'refused' // and nothing has happened
  | 'taken' // it is whole, and from where it says
  | 'either'

/** `from`: who is said to have sent it. `framed`: a batch can be told from where it ends. */
export interface Hostile {
  kind: Kind
  from: number
  bytes: Buffer
  expected: Expected
  framed: boolean
}

export const kinds = [
  'replayed',
  'damaged',
  'cut',
  'longer',
  'foreign',
  'version',
  'spliced',
  'impostor',
  'own',
  'noise',
] as const
export type Kind = (typeof kinds)[number]

const noiseBytes = 65_536

export class Mutator {
  /** What the target might be sent, and what it sends itself. */
  readonly #corpus: readonly Frame[]
  readonly #own: readonly Frame[]
  readonly #random: () => number
  readonly #target: number
  readonly #members: readonly number[]
  readonly #pool: Buffer

  /** Makes what `target` is to be given, of frames that members of its group have sent. */
  constructor(
    corpus: readonly Frame[],
    members: readonly number[],
    target: number,
    random: () => number,
  ) {
    this.#corpus = corpus.filter(({ from }) => from !== target)
    this.#own = corpus.filter(({ from }) => from === target)
    this.#members = members
    this.#target = target
    this.#random = random
    this.#pool = Buffer.from(Array.from({ length: noiseBytes }, () => this.#below(256)))
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #frame(of = this.#corpus): Frame {
    const frame = of[this.#below(of.length)]
    if (!frame) throw new Error('no messages have been recorded')
    return frame
  }

  next(): Hostile {
    const kind = kinds[this.#below(kinds.length)] ?? 'replayed'
    return this.make(kind)
  }

  make(kind: Kind): Hostile {
    const frame = this.#frame()
    const { from } = frame
    const refused = (bytes: Buffer, framed = true): Hostile => {
      const expected = bytes.equals(frame.bytes) ? 'taken' : 'refused'
      return { kind, from, bytes, expected, framed }
    }
    switch (kind) {
      case 'replayed':
        return { kind, from, bytes: frame.bytes, expected: 'taken', framed: true }
      case 'damaged':
        return this.#damaged(frame)
      case 'cut':
        return refused(frame.bytes.subarray(0, this.#below(frame.bytes.length)), false)
      case 'longer':
        return refused(Buffer.concat([frame.bytes, this.#noise(1 + this.#below(64))]), false)
      case 'foreign': {
        const bytes = Buffer.from(frame.bytes)
        const at = groupAt + this.#below(16)
        bytes[at] = (bytes[at] ?? 0) ^ (1 + this.#below(255))
        return refused(seal(bytes))
      }
      case 'version': {
        const bytes = Buffer.from(frame.bytes)
        const version = this.#below(256)
        bytes[versionAt] = version === currentVersion ? 0 : version
        return refused(seal(bytes), false)
      }
      case 'spliced':
        return refused(this.#spliced(frame))
      case 'impostor': {
        const others = [...this.#members, 7, 2 ** 32 - 2].filter((id) => id !== from)
        const other = others[this.#below(others.length)] ?? 7
        return { kind, from: other, bytes: frame.bytes, expected: 'refused', framed: true }
      }
      case 'own': {
        const { bytes } = this.#frame(this.#own)
        return { kind, from: this.#target, bytes, expected: 'either', framed: true }
      }
      case 'noise':
        return refused(this.#noise(this.#below(200)), false)
    }
  }

  #noise(length: number): Buffer {
    const at = this.#below(noiseBytes - length)
    return this.#pool.subarray(at, at + length)
  }

  // Magic, version and lengths stay, so that a batch can be told apart.
  #damaged(frame: Frame): Hostile {
    const bytes = Buffer.from(frame.bytes)
    for (let i = 1 + this.#below(4); i > 0; i -= 1) {
      const at = this.#below(bytes.length)
      const isFraming = at <= versionAt || (at >= fieldsLengthAt && at < groupAt)
      if (!isFraming) bytes[at] = this.#below(256)
    }
    const expected = bytes.equals(frame.bytes) ? 'taken' : 'refused'
    return { kind: 'damaged', from: frame.from, bytes, expected, framed: true }
  }

  // The head or the fields of one with what another one has behind them.
  #spliced({ bytes }: Frame): Buffer {
    const other = this.#frame().bytes
    const isHead = this.#random() < 0.5
    const at = isHead ? headBytes : payloadAt(bytes)
    const otherAt = isHead ? headBytes : payloadAt(other)
    const spliced = Buffer.concat([bytes.subarray(0, at), other.subarray(otherAt)])
    const fields = isHead ? payloadAt(other) - headBytes : payloadAt(bytes) - headBytes
    spliced.writeUInt32LE(fields, fieldsLengthAt)
    spliced.writeUInt32LE(spliced.length - headBytes - fields, payloadLengthAt)
    return spliced
  }
}
