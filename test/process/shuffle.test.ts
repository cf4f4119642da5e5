// Groups of real processes whose messages are shuffled and whose members are killed, in short; the
// long campaign is npm run test:shuffle.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import test, { type ExecutionContext } from 'ava'

import { runRound } from '../shuffle/round.js'
import { addTo, textOf } from '../shuffle/totals.js'
import { scale, seedFor } from '../support/campaign.js'
import { temporaryDirectory } from '../support/logs.js'

interface Rounds {
  rounds: number
  seconds: number
  members: number
}

const runRounds = async (t: ExecutionContext, { rounds, seconds, members }: Rounds) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  const directory = temporaryDirectory(t)
  const totals = {}
  for (let round = 0; round < rounds; round += 1) {
    const own = join(directory, `${round}`)
    mkdirSync(own)
    const result = await runRound({ directory: own, seed: seed + round, seconds, members })
    addTo(totals, result)
    const told = result.problems.slice(0, 5).map((problem) => problem.slice(0, 2_000))
    t.is(result.problems.length, 0, `seed ${seed + round}: ${told.join('\n')}`)
    const { counts, carried } = result
    t.true(counts.acknowledged > 0 && counts.reads > 0 && carried.messages > 0)
  }
  t.log(textOf(totals))
}

test.serial('a group of three keeps its promises for some seconds', (t) =>
  runRounds(t, { rounds: 1, seconds: 3, members: 3 }),
)

test.serial('shuffled groups keep their promises and come to one state', (t) =>
  runRounds(t, { rounds: 2 * scale, seconds: 5, members: 3 }),
)
