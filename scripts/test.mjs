// npm test: sets a fresh clone up, runs the stages of test-stages.mjs in order, and closes with the
// sum of what they counted, alone on the last line: "N passed, N failed[, N skipped]".
//
//   node scripts/test.mjs [--list] [--only STAGE,...] [--skip STAGE,...]
//
// A stage that fails does not stop the next one. Everything a stage prints goes into
// build/test-logs/STAGE.log; the end of it is shown when a check fails. Exit code 1 when anything
// failed or nothing ran.
import { parseArgs } from 'node:util'

import { checkMachine, installPackages, runMain, SetupError } from './setup.mjs'
import { add, countLine, noCounts } from './support/counts.mjs'
import { runStage } from './support/stage-runner.mjs'
import { stages } from './test-stages.mjs'

const { values } = parseArgs({
  options: {
    list: { type: 'boolean' },
    only: { type: 'string', multiple: true },
    skip: { type: 'string', multiple: true },
  },
})

const named = (option) => {
  const names = (option ?? []).flatMap((text) => text.split(','))
  const unknown = names.filter((name) => !stages.some((stage) => stage.name === name))
  if (unknown.length > 0) {
    throw new SetupError(`no stage ${unknown}; npm test -- --list lists them`)
  }
  return names
}

const chosenStages = () => {
  const only = named(values.only)
  const skip = named(values.skip)
  const wanted = ({ name }) => (only.length === 0 || only.includes(name)) && !skip.includes(name)
  return stages.filter(wanted)
}

const show = (name, result) => {
  const seconds = `${result.seconds.toFixed(1)} s`.padStart(8)
  console.log(`${name.padEnd(14)} ${seconds}  ${countLine(result.counts)}`)
  for (const reason of result.skipReasons) console.log(`  skipped: ${reason}`)
  for (const failure of result.failures) {
    console.log(`  failed: ${failure.what}`)
    console.log(failure.detail.replaceAll(/^/gm, '  | '))
  }
  if (result.failures.length > 0) console.log(`  all of it: ${result.logFile}`)
}

const runStages = async (chosen) => {
  const total = noCounts()
  try {
    checkMachine()
    await installPackages()
  } catch (error) {
    if (!(error instanceof SetupError)) throw error
    console.log(error.message)
    total.failed = 1
    return total
  }
  for (const stage of chosen) {
    const result = await runStage(stage)
    show(stage.name, result)
    add(total, result.counts)
  }
  return total
}

await runMain(async () => {
  const chosen = chosenStages()
  if (values.list) {
    for (const { name, about } of chosen) console.log(`${name.padEnd(14)} ${about}`)
    return
  }
  const total = await runStages(chosen)
  console.log(`\n${countLine(total)}`)
  if (total.failed > 0 || total.passed === 0) process.exitCode = 1
})
