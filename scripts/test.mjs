// npm test: sets a fresh clone up, runs the stages of test-stages.mjs in order, and closes with the
// sum of what they counted, alone on the last line: "N passed, N failed".
//
//   node scripts/test.mjs [--list] [--only STAGE,...] [--skip STAGE,...] [--minutes N]
//                         [--stages FILE]
//
//   --minutes   for all of it; what is not done by then has failed
//   --stages    another module that exports `stages`
//
// A stage that fails does not stop the next one. While the checks of a stage run, the next stages
// are built. Everything a stage prints goes into build/test-logs/STAGE.log; why a stage has failed
// is told before the last line. A signal that asks for the end (SIGTERM, SIGINT, SIGHUP) ends what
// is running; the summary appears nevertheless. Exit code 1 when anything failed or nothing ran.
//
// RINGLEADER_TEST_RESULTS names a file that at any time holds what the last line would be if this
// process died: all that is not done counts as failed.
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

import { checkMachine, installPackages, runMain, SetupError } from './setup.mjs'
import { add, noCounts, totalLine } from './support/counts.mjs'
import { makeLimit } from './support/limit.mjs'
import { root } from './support/project.mjs'
import { endAll, handleSignals } from './support/run.mjs'
import { runStages } from './support/stage-order.mjs'
import { resultsFile, stageLine, summaryLines } from './support/summary.mjs'

const { values } = parseArgs({
  options: {
    list: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    skip: { type: 'string', multiple: true },
    minutes: { type: 'string', default: process.env.RINGLEADER_TEST_MINUTES },
    stages: { type: 'string', default: 'scripts/test-stages.mjs' },
  },
})

const named = (stages, option) => {
  const names = (option ?? []).flatMap((text) => text.split(','))
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name))
  if (unknown.length > 0) {
    throw new SetupError(`no stage ${unknown}; npm test -- --list lists them`)
  }
  return names
}

const chosenStages = async () => {
  const { stages } = await import(pathToFileURL(resolve(root, values.stages)))
  const only = named(stages, values.only)
  const skip = named(stages, values.skip)
  const wanted = ({ name }) => (only.length === 0 || only.includes(name)) && !skip.includes(name)
  return stages.filter(wanted)
}

const minutes = () => {
  if (values.minutes === undefined) return Infinity
  const number = Number(values.minutes)
  if (number > 0) return number
  throw new SetupError(`--minutes: a number above 0, not ${values.minutes}`)
}

// Why the stages cannot run at all, or undefined.
const setupProblem = async () => {
  try {
    checkMachine()
    await installPackages()
  } catch (error) {
    return error instanceof SetupError ? error.message : error.stack
  }
  return undefined
}

const runAll = async (chosen) => {
  const limit = makeLimit(minutes())
  handleSignals((signal) => {
    limit.stop(signal)
    endAll()
  })
  const remember = resultsFile(process.env.RINGLEADER_TEST_RESULTS)
  const results = new Map()
  const total = noCounts()
  const unfinished = () => chosen.length - results.size
  const ifEnded = () => ({ ...total, failed: total.failed + unfinished() })
  remember(ifEnded())
  const problem = await setupProblem()
  if (problem) console.log(problem)
  else {
    await runStages(chosen, limit, (stage, result) => {
      results.set(stage.name, result)
      add(total, result.counts)
      remember(ifEnded())
      console.log(stageLine(stage.name, result))
      for (const reason of result.skipReasons) console.log(`  skipped: ${reason}`)
      for (const { what } of result.failures) console.log(`  failed: ${what}`)
    })
  }
  const missing = chosen.filter(({ name }) => !results.has(name)).map(({ name }) => name)
  for (const line of summaryLines(results, missing, problem ?? limit.reason)) console.log(line)
  return ifEnded()
}

await runMain(async () => {
  const chosen = await chosenStages()
  if (values.list) {
    for (const { name, about } of chosen) console.log(`${name.padEnd(14)} ${about}`)
    return
  }
  const total = await runAll(chosen)
  if (total.skipped > 0) console.log(`\n${total.skipped} skipped`)
  console.log(`\n${totalLine(total)}`)
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0
})
