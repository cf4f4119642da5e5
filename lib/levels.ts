// The levels of one environment: durabilities as numbers, with the rules that the addon knows of.
import type { NativeGroup } from './binding.js'
import {
  checkDurability,
  hasRule,
  levelWith,
  localOf,
  type LevelTable,
  type Rule,
} from './durability.js'
import { RingleaderError } from './errors.js'
import { checkLevel, levelNumbers } from './options.js'

/** The levels that one environment's callers have asked for. */
export class Levels implements LevelTable {
  readonly #native: NativeGroup
  readonly #indexes = new Map<number, number>() // of rules, by what they say
  #inGroup = false
  /** Of writes that do not say one. */
  readonly byDefault: number

  /** `byDefault`: the environment's durability, not yet checked. */
  constructor(native: NativeGroup, byDefault: unknown) {
    this.#native = native
    this.byDefault = levelNumbers.flushed
    this.byDefault = this.levelOf(byDefault)
  }

  /** The level of a durability; RL_INVALID_ARGUMENT where it is none. */
  levelOf(durability: unknown, name = 'durability'): number {
    if (typeof durability === 'string' && durability !== 'quorum') {
      return levelNumbers[checkLevel(durability, name)]
    }
    const { local, rule, timeoutMs } = checkDurability(durability, name)
    const here = local === undefined ? localOf(this.byDefault) : levelNumbers[local]
    if (rule === undefined) return here
    return levelWith(here, this.#indexOf(rule), timeoutMs)
  }

  /** Throws RL_NO_GROUP where copies are asked for that nobody can have. */
  check(level: number): void {
    if (this.#inGroup || !hasRule(level)) return
    this.#inGroup = this.#native.inGroup()
    if (this.#inGroup) return
    throw new RingleaderError(
      'RL_NO_GROUP',
      'durability: the environment belongs to no group, so nobody else can have a copy',
    )
  }

  #indexOf({ kind, count, at, distinct }: Rule): number {
    const key = kind | (at << 2) | (Number(distinct) << 5) | (count << 6)
    let index = this.#indexes.get(key)
    if (index === undefined) {
      index = this.#native.defineLevel(kind, count, at, distinct)
      this.#indexes.set(key, index)
    }
    return index
  }
}
