// Builds and runs one stage of test-stages.mjs (which says what a stage is made of) and counts its
// results. Whatever a stage does, the answer is a result: { counts, skipReasons, failures, logFile,
// build, checks }, the last two with the seconds and the processor's seconds that they took.
import { appendFileSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

import { add, noCounts } from './counts.mjs'
import { excerpt, headlines } from './excerpt.mjs'
import { makeLimit } from './limit.mjs'
import { at } from './project.mjs'
import { run } from './run.mjs'

// A program that cannot do its work here ends with this code, having said why in a last line
// "skipped: reason".
const skippedCode = 77
// What a command has as its code here that had no time, or no more.
const endedCode = 124
const buildMinutes = 12
const checkMinutes = 10
// Builds run while the checks of other stages do, and give way to them.
const buildNiceness = 5

const oneFailed = { passed: 0, failed: 1, skipped: 0 }
const oneSkipped = { passed: 0, failed: 0, skipped: 1 }
const onePassed = { passed: 1, failed: 0, skipped: 0 }

const noTime = () => ({ seconds: 0, cpuSeconds: 0 })

const describe = (command) => {
  const words = command.map((word) => String(word).replace(at('/'), ''))
  return words.length > 8 ? `${words.slice(0, 8).join(' ')} ...` : words.join(' ')
}

const logFileOf = (stage) => at('build', 'test-logs', `${stage.name}.log`)

// Runs a command with its output at the end of `logFile` for as long as `own` and `total`, two
// limits, have time. Resolves with { code, what, output }: `what` says in words why a code other
// than 0 is a failure, `output` is this command's own. Adds what it took to `time`.
const runLogged = async ({ run: command, env, niceness }, { logFile, own, total, time }) => {
  if (total.reason)
    return { code: endedCode, what: `${describe(command)}: ${total.reason}`, output: '' }
  mkdirSync(dirname(logFile), { recursive: true })
  appendFileSync(logFile, `\n$ ${describe(command)}\n`)
  const start = statSync(logFile).size
  const started = performance.now()
  const timeoutMs = Math.min(own.leftMs(), total.leftMs())
  const { code, cpuSeconds } = await run(command, { env, logFile, timeoutMs, niceness })
  time.seconds += (performance.now() - started) / 1000
  time.cpuSeconds += cpuSeconds
  const output = readFileSync(logFile).subarray(start).toString('utf8')
  // One that was told to end may call that a success.
  const over = total.reason ?? own.reason
  if (over) return { code: endedCode, what: `${describe(command)}: ${over}`, output }
  return { code, what: `${describe(command)}: exit code ${code}`, output }
}

const lastLine = (output) => output.trimEnd().split('\n').at(-1)

// What one check has shown. An exit code and counts must agree: a program that ends badly after
// counting no failure has failed, and one that counts nothing has proved nothing.
const judge = (check, { code, what, output }) => {
  if (code === skippedCode) {
    return { counts: oneSkipped, skipReason: lastLine(output).replace(/^skipped: /, '') }
  }
  if (!check.counts) {
    return code === 0 ? { counts: onePassed } : { counts: oneFailed, failure: what }
  }
  const counts = check.counts(output)
  if (!counts) return { counts: oneFailed, failure: `${what}, and no counts` }
  const { passed, failed, skipped } = counts
  if (passed + failed + skipped === 0) return { counts: oneFailed, failure: `${what}, nothing ran` }
  if (code !== 0 && failed === 0) return { counts: { ...counts, failed: 1 }, failure: what }
  return failed > 0 ? { counts, failure: what } : { counts }
}

const record = (result, { counts, skipReason, failure }, output = '') => {
  add(result.counts, counts)
  if (skipReason) result.skipReasons.push(skipReason)
  if (failure) {
    result.failures.push({ what: failure, detail: excerpt(output), head: headlines(output) })
  }
}

const ownLimit = (minutes, what) => {
  const limit = makeLimit(minutes)
  return {
    leftMs: limit.leftMs,
    get reason() {
      return limit.reason && `no end within ${minutes} minutes ${what}`
    },
  }
}

// Runs the commands that the checks of a stage build upon; the result is for runStage.
export const buildStage = async (stage, total = makeLimit()) => {
  const result = {
    counts: noCounts(),
    skipReasons: [],
    failures: [],
    logFile: logFileOf(stage),
    build: noTime(),
    checks: noTime(),
  }
  try {
    rmSync(result.logFile, { force: true })
    const skipReason = stage.skip?.()
    if (skipReason) {
      record(result, { counts: oneSkipped, skipReason })
      return result
    }
    const own = ownLimit(stage.buildMinutes ?? buildMinutes, 'of building')
    const place = { logFile: result.logFile, own, total, time: result.build }
    for (const command of stage.prepare?.() ?? []) {
      const outcome = await runLogged({ run: command, niceness: buildNiceness }, place)
      if (outcome.code === 0) continue
      record(result, judge({}, outcome), outcome.output)
      return result
    }
  } catch (error) {
    record(result, { counts: oneFailed, failure: `${stage.name}: ${error.message}` }, error.stack)
  }
  return result
}

// Runs the checks of a stage, unless building it has failed, or was skipped. `built` is what
// buildStage has given, or will give.
export const runStage = async (stage, total = makeLimit(), built = buildStage(stage, total)) => {
  const result = await built
  if (result.failures.length + result.skipReasons.length > 0) return result
  const own = ownLimit(stage.minutes ?? checkMinutes, 'of checks')
  const place = { logFile: result.logFile, own, total, time: result.checks }
  try {
    for (const check of stage.checks) {
      const skipReason = check.skip?.()
      if (skipReason) {
        record(result, { counts: oneSkipped, skipReason })
        continue
      }
      const outcome = await runLogged(check, place)
      record(result, judge(check, outcome), outcome.output)
    }
  } catch (error) {
    record(result, { counts: oneFailed, failure: `${stage.name}: ${error.message}` }, error.stack)
  }
  return result
}
