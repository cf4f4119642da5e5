// The campaign (docs/TESTING.md, "Shuffled messages").
//
//   main.js [--minutes N] [--rounds N] [--seed N] [--members 3|5] [--seconds N] [--dir DIR]
//
// Rounds of --seconds until the time is over, each with a seed of its own, which is said: that of
// --seed, and those after it. Ends with 1 at the first round that has found something, and leaves
// its files. The seed repeats what is drawn, not how processes and disks take turns.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { removeNow } from '../support/undertaker.js'
import { addTo, textOf, type Totals } from './totals.js'
import { roundDirectory, runRound } from './round.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    rounds: { type: 'string', default: 'Infinity' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
    members: { type: 'string' },
    seconds: { type: 'string', default: '25' },
    dir: { type: 'string' },
  },
})

const seed = Number(values.seed)
const seconds = Number(values.seconds)
const end = performance.now() + 60_000 * Number(values.minutes)
const directory = values.dir ?? mkdtempSync(join(tmpdir(), 'ringleader-shuffle-'))
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    removeNow(directory)
    process.exit(1)
  })
}
const totals: Totals = {}
let failed = 0

for (let round = 0; round < Number(values.rounds) && performance.now() < end; round += 1) {
  // Two groups of three for each of five.
  const members = Number(values.members ?? (round % 3 === 2 ? 5 : 3))
  const own = roundDirectory(directory, round)
  mkdirSync(own, { recursive: true })
  const result = await runRound({ directory: own, seed: seed + round, seconds, members })
  addTo(totals, result)
  console.log(`seed ${seed + round}, ${members} members: ${textOf(addTo({}, result))}`)
  if (result.problems.length > 0) {
    failed += 1
    console.log(`${result.problems.slice(0, 20).join('\n')}\nits files: ${own}`)
    break
  }
  removeNow(own)
}

console.log(`all: ${textOf(totals)}`)
console.log(failed === 0 ? 'nothing diverged, nothing was lost' : 'FAILED')
if (failed === 0) rmSync(directory, { recursive: true, force: true })
process.exitCode = failed === 0 ? 0 : 1
