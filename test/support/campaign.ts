// How much of a campaign to run, and from which seed: RINGLEADER_TEST_SCALE=10 for ten times as
// much, RINGLEADER_TEST_SEED=N to repeat what has failed.
import { randomInt } from 'node:crypto'
import process from 'node:process'

import type { ExecutionContext } from 'ava'

const given = Number(process.env.RINGLEADER_TEST_SCALE)

/** 1 in the ordinary run. */
export const scale = given > 0 ? given : 1

/** A seed that the test's output names. */
export const seedFor = (t: ExecutionContext): number => {
  const seed = Number(process.env.RINGLEADER_TEST_SEED ?? randomInt(2 ** 31))
  t.log(`RINGLEADER_TEST_SEED=${seed}`)
  return seed
}
