// Groups of real processes whose messages are shuffled and whose members are killed, in short; the
// long campaign is npm run test:shuffle.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { runRound } from '../shuffle/round.js'
import { textOf, addTo } from '../shuffle/totals.js'
import { scale, seedFor } from '../support/campaign.js'
import { temporaryDirectory } from '../support/logs.js'

test('a shuffled group keeps its promises and comes to one state', async (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  const directory = temporaryDirectory(t)
  const totals = {}
  for (let round = 0; round < 2 * scale; round += 1) {
    const own = join(directory, `${round}`)
    mkdirSync(own)
    const result = await runRound({ directory: own, seed: seed + round, seconds: 5, members: 3 })
    addTo(totals, result)
    t.deepEqual(result.problems, [], `seed ${seed + round}`)
    const { counts, carried } = result
    t.true(counts.acknowledged > 0 && counts.reads > 0 && carried.messages > 0)
  }
  t.log(textOf(totals))
})
