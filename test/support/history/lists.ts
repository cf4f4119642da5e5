// The databases in which the clients of a history keep their lists.
import type { Database, Environment, EnvironmentOptions } from 'ringleader'

import type { Value } from './history.js'

/** Everything that can happen to a commit happens to many: small pieces, folded soon. */
export const listOptions: EnvironmentOptions = {
  segmentBytes: 262_144,
  ringBytes: 262_144,
  generationBytes: 2 ** 20,
  foldIntervalMs: 40,
}

export interface Lists {
  lists: Database<string, Value[]>
  /** `appends`: about how many there have been. */
  counters: Database<string, number>
}

const keysInUse = 5
const appendsPerKey = 50

export const openLists = (env: Environment): Lists => ({
  lists: env.database<string, Value[]>('lists'),
  counters: env.database('counters', { key: 'utf8', value: 'number' }),
})

/** The keys in use now, in their order: others when these have had their appends. */
export const planOf = ({ counters }: Lists): string[] => {
  const appends = counters.get('appends') ?? 0
  const round = Math.floor(appends / (keysInUse * appendsPerKey))
  const prefix = `k${round.toString().padStart(6, '0')}`
  return Array.from({ length: keysInUse }, (_, i) => `${prefix}-${i}`)
}
