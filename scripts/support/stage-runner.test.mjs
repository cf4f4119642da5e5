import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import test from 'node:test'

import { readCountLine } from './counts.mjs'
import { runStage } from './stage-runner.mjs'

// Runs a stage whose checks are JavaScript programs, and takes its log away afterwards.
const runScripts = async (checks, more = {}) => {
  const stage = {
    name: `stage-runner-test-${process.pid}`,
    checks: checks.map(({ script, ...check }) => ({
      run: [process.execPath, '-e', script],
      ...check,
    })),
    ...more,
  }
  const result = await runStage(stage)
  rmSync(result.logFile, { force: true })
  return result
}

const counted = (script) => ({ script, counts: readCountLine })
const counts = (passed, failed, skipped = 0) => ({ passed, failed, skipped })

test('a check without counts passes or fails by its exit code', async () => {
  const result = await runScripts([
    { script: '' },
    { script: 'console.log("why"); process.exit(3)' },
  ])
  assert.deepEqual(result.counts, counts(1, 1))
  assert.match(result.failures[0].what, /exit code 3/)
  assert.match(result.failures[0].detail, /why/)
})

test('counts are added up, and a failure shows the output of its own check only', async () => {
  const result = await runScripts([
    counted('console.log("first"); console.log("5 passed, 0 failed, 1 skipped")'),
    counted('console.log("second"); console.log("2 passed, 1 failed"); process.exit(1)'),
  ])
  assert.deepEqual(result.counts, counts(7, 1, 1))
  assert.match(result.failures[0].detail, /second/)
  assert.doesNotMatch(result.failures[0].detail, /first/)
})

test('exit code and counts must agree', async () => {
  const result = await runScripts([
    counted('console.log("4 passed, 0 failed"); process.exit(66)'),
    counted('console.log("4 passed, 1 failed")'),
    counted('console.log("no result")'),
    counted('console.log("0 passed, 0 failed")'),
  ])
  assert.deepEqual(result.counts, counts(8, 4))
  assert.equal(result.failures.length, 4)
})

test('a check that dies or hangs has failed', async () => {
  const result = await runScripts([
    { script: 'process.kill(process.pid, "SIGSEGV")' },
    { script: 'setInterval(() => {}, 1000)', timeoutMinutes: 0.01 },
    { run: ['there-is-no-such-program'] },
  ])
  assert.deepEqual(result.counts, counts(0, 3))
  assert.match(result.failures[0].what, /exit code 139/)
  assert.match(result.failures[1].what, /no end within/)
  assert.match(result.failures[2].what, /exit code 127/)
})

test('what cannot run is skipped with its reason', async () => {
  const here = await runScripts([
    { script: 'console.log("skipped: no disk"); process.exit(77)' },
    { script: '', skip: () => 'no tool' },
    { script: '' },
  ])
  assert.deepEqual(here.counts, counts(1, 0, 2))
  assert.deepEqual(here.skipReasons, ['no disk', 'no tool'])
  const stage = await runScripts([{ script: 'process.exit(1)' }], { skip: () => 'no right' })
  assert.deepEqual(stage.counts, counts(0, 0, 1))
})

test('what must come first counts only when it fails', async () => {
  const command = (script) => [process.execPath, '-e', script]
  const good = await runScripts([{ script: '' }], { prepare: () => [command('')] })
  assert.deepEqual(good.counts, counts(1, 0))
  const bad = await runScripts([{ script: '' }, { script: '' }], {
    prepare: () => [command('process.exit(1)'), command('')],
  })
  assert.deepEqual(bad.counts, counts(0, 1))
})
