// Calls that wait until something is known of the group: a commit, or how fresh the data is.
import { setTimeout as delay } from 'node:timers/promises'

import { localOf, timeoutOf } from './durability.js'
import type { EnvironmentContext } from './environment-context.js'
import type { CheckedSnapshotAtOptions } from './environment-options.js'
import { RingleaderError } from './errors.js'
import { checkPosition, levelNames } from './options.js'
import { Receipt } from './receipt.js'
import { Snapshot } from './snapshot.js'
import type { ReadToken } from './token.js'

const notServed = -2
const firstPauseMs = 5
const longestPauseMs = 200

const rolledBackError = () =>
  new RingleaderError('RL_ROLLED_BACK', 'the group has gone on without that commit')

const forgottenError = ({ text }: ReadToken) =>
  new RingleaderError('RL_TRIMMED', 'older than what this member remembers of its group', {
    fate: 'unknown',
    token: text,
  })

/** A commit as a caller has named it: a receipt, a token, or merely a position. */
export interface Target {
  end: number
  token: ReadToken | undefined
}

/** A token says more than a position only where there is a group. */
const readTarget = (context: EnvironmentContext, given: unknown, name: string): Target => {
  const { facts } = context.pipeline
  if (typeof given === 'string') {
    const token = facts.read(given)
    return { end: token.end, token: context.native.inGroup() ? token : undefined }
  }
  if (given instanceof Receipt && context.native.inGroup()) {
    return { end: given.end, token: facts.read(given.token) }
  }
  const end = typeof given === 'object' && given !== null && 'end' in given ? given.end : given
  return { end: checkPosition(end, name), token: undefined }
}

// Whether what a token names is certain to be there: here, or, with `committed`, for good.
const isThere = (context: EnvironmentContext, token: ReadToken, committed: boolean): boolean => {
  const { fate, here } = context.pipeline.facts.judge(token)
  if (fate === 'rolledBack') throw rolledBackError()
  if (fate === 'forgotten') throw forgottenError(token)
  return fate === 'committed' || (here && !committed)
}

// Tells when judging again can have another outcome although the end has not been reached.
const makeNewsFilter = ({ pipeline }: EnvironmentContext) => {
  let term = -1
  let behind = false
  return (): boolean => {
    const { newestTerm, groupCommit } = pipeline
    const isBehind = groupCommit > newestTerm
    const news = term !== newestTerm || behind !== isBehind
    term = newestTerm
    behind = isBehind
    return news
  }
}

const waitTimeout = (end: number, token: ReadToken | undefined) => () =>
  new RingleaderError('RL_TIMEOUT', `what ends at ${end} has not got that far yet`, {
    fate: 'unknown',
    token: token?.text,
  })

/** Environment.waitFor. */
export const waitForCommit = async (
  context: EnvironmentContext,
  given: unknown,
  durability: unknown,
  timeoutMs: number | undefined,
): Promise<void> => {
  const { pipeline, native } = context
  pipeline.checkOpen()
  const level = pipeline.levels.levelOf(durability, 'level')
  pipeline.levels.check(level)
  const { end, token } = readTarget(context, given, 'receipt')
  const name = levelNames[level]
  const patience = timeoutMs ?? timeoutOf(level)
  if (token === undefined && name !== undefined) {
    await pipeline.waitFor(end, name, patience)
    return
  }
  const isNews = makeNewsFilter(context)
  const check = (): boolean => {
    const news = isNews()
    const near = pipeline.reached(level) >= end || pipeline.groupCommit >= end
    if (!near && !news && pipeline.visible < end) return false
    if (token && !isThere(context, token, false)) return false
    if (pipeline.reached(level) >= end) return true
    if (pipeline.visible >= end) native.request(end, localOf(level))
    return false
  }
  await pipeline.until(check, patience, waitTimeout(end, token))
}

// --- reads

const readTimeout = () =>
  new RingleaderError('RL_TIMEOUT', 'this member has not got as far as the read asks for')

class Deadline {
  readonly #at: number

  constructor(timeoutMs: number | undefined) {
    this.#at = performance.now() + (timeoutMs ?? Infinity)
  }

  /** Milliseconds; undefined where there is no limit. RL_TIMEOUT where it is over. */
  left(): number | undefined {
    if (this.#at === Infinity) return undefined
    const left = this.#at - performance.now()
    if (left <= 0) throw readTimeout()
    return left
  }
}

// A position such that who sees everything below sees whatever anybody had been told of before.
const linearizablePosition = async (
  { pipeline, native }: EnvironmentContext,
  deadline: Deadline,
): Promise<number> => {
  let pause = firstPauseMs
  for (;;) {
    pipeline.checkOpen()
    const ticket = native.askRead()
    let answer = notServed
    const isServed = () => {
      answer = native.readAnswer(ticket)
      return answer !== notServed
    }
    await pipeline.until(isServed, deadline.left(), readTimeout)
    if (answer >= 0) return answer
    // Refused: there is no primary now, or none that the group follows.
    await delay(Math.min(pause, deadline.left() ?? Infinity))
    pause = Math.min(2 * pause, longestPauseMs)
  }
}

/** Environment.snapshotAt. */
export const takeSnapshotAt = async (
  context: EnvironmentContext,
  { level, atLeast, maxLagMs, linearizable, timeoutMs }: CheckedSnapshotAtOptions,
): Promise<Snapshot> => {
  const { pipeline, native } = context
  pipeline.checkOpen()
  pipeline.submit()
  const deadline = new Deadline(timeoutMs)
  const inGroup = native.inGroup()
  const target = atLeast === undefined ? undefined : readTarget(context, atLeast, 'atLeast')
  const position = linearizable && inGroup ? await linearizablePosition(context, deadline) : 0
  const end = Math.max(position, target?.end ?? 0)
  const durable = level === 'durable'
  const isNews = makeNewsFilter(context)
  let snapshot: Snapshot | undefined
  const check = (): boolean => {
    const news = isNews()
    const far = durable && inGroup ? pipeline.groupCommit : pipeline.visible
    if (far < end && pipeline.groupCommit < end && !news) return false
    if (maxLagMs !== undefined && inGroup && native.lagMs() > maxLagMs) return false
    if (target?.token && !isThere(context, target.token, durable)) return false
    const taken = new Snapshot(context, level)
    if (taken.lsn >= end) {
      snapshot = taken
      return true
    }
    taken.close()
    return false
  }
  await pipeline.until(check, deadline.left(), readTimeout)
  if (snapshot === undefined) throw readTimeout()
  return snapshot
}
