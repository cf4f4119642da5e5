// Runs one stage of test-stages.mjs (which says what a stage is made of) and counts its results.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

import { add, noCounts } from './counts.mjs'
import { at } from './project.mjs'
import { run } from './run.mjs'

// A program that cannot do its work here ends with this code, having said why in a last line
// "skipped: reason".
const skippedCode = 77
const defaultTimeoutMinutes = 20
const detailLines = 60

const oneFailed = { passed: 0, failed: 1, skipped: 0 }
const oneSkipped = { passed: 0, failed: 0, skipped: 1 }
const onePassed = { passed: 1, failed: 0, skipped: 0 }

const describe = (command) => {
  const words = command.map((word) => word.replace(at('/'), ''))
  return words.length > 8 ? `${words.slice(0, 8).join(' ')} ...` : words.join(' ')
}

// Runs a command with its output at the end of `logFile`; resolves with { code, what, output }:
// `what` says in words why a code other than 0 is a failure, `output` is this command's own.
const runLogged = async ({ run: command, env, timeoutMinutes }, logFile) => {
  mkdirSync(dirname(logFile), { recursive: true })
  appendFileSync(logFile, `\n$ ${describe(command)}\n`)
  const start = statSync(logFile).size
  const minutes = timeoutMinutes ?? defaultTimeoutMinutes
  const { code, timedOut } = await run(command, { env, logFile, timeoutMs: minutes * 60_000 })
  const output = readFileSync(logFile).subarray(start).toString('utf8')
  const ending = timedOut ? `no end within ${minutes} minutes` : `exit code ${code}`
  return { code, what: `${describe(command)}: ${ending}`, output }
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

const record = (result, { counts, skipReason, failure }, output) => {
  add(result.counts, counts)
  if (skipReason) result.skipReasons.push(skipReason)
  if (failure) {
    const detail = output.trimEnd().split('\n').slice(-detailLines).join('\n')
    result.failures.push({ what: failure, detail })
  }
}

// True when every command that the checks build upon has succeeded.
const prepare = async (stage, result) => {
  for (const command of stage.prepare?.() ?? []) {
    const outcome = await runLogged({ run: command }, result.logFile)
    if (outcome.code !== 0) {
      record(result, judge({}, outcome), outcome.output)
      return false
    }
  }
  return true
}

export const runStage = async (stage) => {
  const started = process.hrtime.bigint()
  const logFile = at('build', 'test-logs', `${stage.name}.log`)
  const result = { counts: noCounts(), skipReasons: [], failures: [], logFile, seconds: 0 }
  if (existsSync(logFile)) rmSync(logFile)
  const reason = stage.skip?.()
  if (reason) {
    record(result, { counts: oneSkipped, skipReason: reason })
  } else if (await prepare(stage, result)) {
    for (const check of stage.checks) {
      const checkReason = check.skip?.()
      if (checkReason) {
        record(result, { counts: oneSkipped, skipReason: checkReason })
        continue
      }
      const outcome = await runLogged(check, logFile)
      record(result, judge(check, outcome), outcome.output)
    }
  }
  result.seconds = Number(process.hrtime.bigint() - started) / 1e9
  return result
}
