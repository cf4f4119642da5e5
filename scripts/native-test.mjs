// Runs a program of native tests in several processes at a time, each with its share of the tests:
// many of them wait for a disk, for a timer or for another process most of the time.
//
//   node scripts/native-test.mjs SHARES COMMAND...     COMMAND gets --shard=I/SHARES at its end
//
// Prints what each of them has printed, one after the other, and "N passed, N failed" of all. Told
// to end, it ends them and prints what there is.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { add, countLine, noCounts, readCountLine } from './support/counts.mjs'
import { endAll, handleSignals, run } from './support/run.mjs'

const [shares, ...command] = process.argv.slice(2)
const numbers = Array.from({ length: Number(shares) }, (_, index) => index + 1)
const logs = mkdtempSync(join(tmpdir(), 'ringleader-shares-'))
const logOf = (number) => join(logs, `${number}.log`)

handleSignals(endAll)
const runs = numbers.map((number) =>
  run([...command, `--shard=${number}/${shares}`], { logFile: logOf(number) }),
)
const total = noCounts()
let worst = 0
for (const [index, ended] of runs.entries()) {
  const { code } = await ended
  const output = readFileSync(logOf(index + 1), 'utf8')
  process.stdout.write(output)
  const counts = readCountLine(output)
  if (!counts || (code !== 0 && counts.failed === 0)) {
    console.log(`FAILED share ${index + 1} of ${shares}: exit code ${code}`)
    total.failed += 1
  }
  add(total, counts ?? noCounts())
  worst = Math.max(worst, code)
}
rmSync(logs, { recursive: true })
console.log(countLine(total))
process.exitCode = worst > 0 || total.failed > 0 || total.passed === 0 ? 1 : 0
