// When a write counts as done: how far on this machine, and how many other members of the group
// have to have it.
//
// Inside the package a durability is a number, a level. Its two lowest bits are the local level,
// the six above them the rule about copies, counted from 1; what is above that is the time allowed,
// in milliseconds and counted from 1. So a level without a rule is a local one, and small.
import {
  asOptions,
  checkBoolean,
  checkInteger,
  checkKey,
  checkLevel,
  checkNumber,
  refuse,
  type Level,
} from './options.js'

/**
 * What another member has to have done with a commit before it counts:
 *
 * - `received`: it has it in memory.
 * - `written`: its kernel has it.
 * - `flushed`: its disk has it.
 * - `applied`: who reads there sees it; this says nothing about its disk.
 */
export type CopyLevel = 'received' | 'written' | 'flushed' | 'applied'

/** How far a commit has to get in this environment and in others of its group. */
export interface CopiesDurability {
  /** On this machine. Default: what the environment's durability says, or `flushed`. */
  local?: Level
  /**
   * - a number from 1 to 64: that many members other than the primary.
   * - `quorum`: as many voters, the primary among them, as the group needs to commit.
   * - `all`: every other voter there is.
   */
  copies: number | 'quorum' | 'all'
  /** What they have to have done with it. Default: `flushed`. */
  at?: CopyLevel
  /**
   * Only copies on disks other than the primary's and than each other's count; a member whose disk
   * is not known does not. Default: false.
   */
  distinctDisks?: boolean
  /**
   * Reject with RL_TIMEOUT after this many milliseconds, or up to a thirtieth more: 0 to 2^31 - 1.
   * The write goes on. Default: never.
   */
  timeoutMs?: number
}

/**
 * How far a commit has to get before its promise resolves: in this environment (see `Level`), or,
 * where it belongs to a group, in others as well. `quorum` is short for `{ copies: 'quorum' }`:
 * flushed by as many as the group needs to commit; no election takes that back.
 */
export type Durability = Level | 'quorum' | CopiesDurability

/** Positions that each end of a rule stands at come behind these. */
export const firstRulePosition = 6
const maxRules = 32
/** Of the commit of the group, and of the start of the newest term. */
export const commitPosition = firstRulePosition + maxRules
export const termPosition = commitPosition + 1

const kinds = { count: 1, quorum: 2, all: 3 } as const
const copyLevels = { received: 1, written: 2, flushed: 3, applied: 4 } as const
const maxCopies = 64
const maxTimeoutMs = 2 ** 31 - 1

const levelBits = 256

/** Whether more than the local log counts. */
export const hasRule = (level: number): boolean => level > 3

/** The level without its time. */
export const plainLevel = (level: number): number => level % levelBits

/** Milliseconds; undefined where there is no limit. */
export const timeoutOf = (level: number): number | undefined =>
  level < levelBits ? undefined : Math.floor(level / levelBits) - 1

export const localOf = (level: number): number => level & 3

/** Where the position of the level's rule stands. */
export const rulePositionOf = (level: number): number =>
  firstRulePosition - 1 + (plainLevel(level) >> 2)

const copiesOptionNames = [
  'local',
  'copies',
  'at',
  'distinctDisks',
  'timeoutMs',
] as const satisfies readonly (keyof CopiesDurability)[]

/** A rule about copies, as the addon takes it. */
export interface Rule {
  kind: number
  count: number
  at: number
  distinct: boolean
}

const quorum: Rule = { kind: kinds.quorum, count: 0, at: copyLevels.flushed, distinct: false }

const readRule = (given: Record<string, unknown>): Rule => {
  const { copies, at = 'flushed', distinctDisks = false } = given
  const named = copies === 'quorum' || copies === 'all'
  if (!named && typeof copies !== 'number') {
    throw refuse('copies', `an integer from 1 to ${maxCopies}, quorum or all`, copies)
  }
  return {
    kind: named ? kinds[copies] : kinds.count,
    count: named ? 0 : checkInteger(copies, 'copies', 1, maxCopies),
    at: copyLevels[checkKey(at, 'at', copyLevels)],
    distinct: checkBoolean(distinctDisks, 'distinctDisks'),
  }
}

/** A durability, read. */
export interface CheckedDurability {
  local: Level | undefined
  rule: Rule | undefined
  timeoutMs: number | undefined
}

/** RL_INVALID_ARGUMENT where it is none. */
export const checkDurability = (durability: unknown, name = 'durability'): CheckedDurability => {
  if (durability === 'quorum') return { local: undefined, rule: quorum, timeoutMs: undefined }
  if (typeof durability !== 'object' || durability === null) {
    return { local: checkLevel(durability, name), rule: undefined, timeoutMs: undefined }
  }
  const given = asOptions(durability, name, copiesOptionNames)
  const { local, timeoutMs } = given
  return {
    local: local === undefined ? undefined : checkLevel(local, 'local'),
    rule: readRule(given),
    timeoutMs:
      timeoutMs === undefined
        ? undefined
        : Math.ceil(checkNumber(timeoutMs, 'timeoutMs', 0, maxTimeoutMs)),
  }
}

/** The level of what a durability says; `rule`: the index of its rule. */
export const levelWith = (local: number, rule: number, timeoutMs: number | undefined): number =>
  (local | ((rule + 1) << 2)) + (timeoutMs === undefined ? 0 : (timeoutMs + 1) * levelBits)

/** The levels that one environment's callers ask for. */
export interface LevelTable {
  /** Of writes that do not say one. */
  readonly byDefault: number
  /** RL_INVALID_ARGUMENT where it is none. */
  levelOf(durability: unknown): number
}
