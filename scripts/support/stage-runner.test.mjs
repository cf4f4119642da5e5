import assert from 'node:assert/strict'
import { readFileSync, rmSync } from 'node:fs'
import test from 'node:test'
import { setTimeout } from 'node:timers/promises'

import { readCountLine } from './counts.mjs'
import { makeLimit } from './limit.mjs'
import { runStage } from './stage-runner.mjs'

// Runs a stage whose checks are JavaScript programs, and takes its log away afterwards.
const runScripts = async (checks, more = {}, total = makeLimit()) => {
  const stage = {
    name: `stage-runner-test-${process.pid}`,
    checks: checks.map(({ script, ...check }) => ({
      run: [process.execPath, '-e', script],
      ...check,
    })),
    ...more,
  }
  const result = await runStage(stage, total)
  rmSync(result.logFile, { force: true })
  return result
}

// Not one that only waits for its parent to ask how it ended.
const isAlive = (pid) => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'))
  } catch {
    return false
  }
}

const counted = (script) => ({ script, counts: readCountLine })
const hanging = { script: 'setInterval(() => {}, 1000)' }
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
    { run: ['there-is-no-such-program'] },
  ])
  assert.deepEqual(result.counts, counts(0, 2))
  assert.match(result.failures[0].what, /exit code 139/)
  assert.match(result.failures[1].what, /exit code 127/)
  const late = await runScripts([hanging, { script: '' }], { minutes: 0.01 })
  assert.deepEqual(late.counts, counts(0, 2))
  assert.match(late.failures[0].what, /no end within 0.01 minutes of checks/)
  const building = { buildMinutes: 0.01, prepare: () => [[process.execPath, '-e', hanging.script]] }
  const unbuilt = await runScripts([{ script: '' }], building)
  assert.deepEqual(unbuilt.counts, counts(0, 1))
  assert.match(unbuilt.failures[0].what, /no end within 0.01 minutes of building/)
})

test(
  'nothing outlives the limit, not even what a check has started',
  { timeout: 60_000 },
  async () => {
    const stubborn = `process.on('SIGTERM', () => {}); ${hanging.script}`
    const script = `
    const { spawn } = require('node:child_process')
    const { pid } = spawn(process.execPath, ['-e', ${JSON.stringify(stubborn)}])
    console.log('child ' + pid)
    ${stubborn}`
    const result = await runScripts([{ script }], { minutes: 0.01 })
    assert.deepEqual(result.counts, counts(0, 1))
    const pid = Number(/child (\d+)/.exec(result.failures[0].detail)[1])
    while (isAlive(pid)) await setTimeout(20)
  },
)

test('with the time of all stages a check ends, and the next one does not begin', async () => {
  const started = performance.now()
  const result = await runScripts([hanging, { script: '' }], {}, makeLimit(0.01))
  assert.deepEqual(result.counts, counts(0, 2))
  for (const { what } of result.failures) assert.match(what, /the 0.01 minutes of all stages/)
  assert.ok(performance.now() - started < 30_000)
})

test('a stage that is described wrongly has failed', async () => {
  const broken = () => {
    throw new Error('no such thing')
  }
  for (const more of [{ skip: broken }, { prepare: broken }, { checks: [{ skip: broken }] }]) {
    const result = await runScripts([{ script: '' }], more)
    assert.deepEqual(result.counts, counts(0, 1))
    assert.match(result.failures[0].what, /no such thing/)
  }
})

test('what a stage took: building and checks, by the clock and in processor time', async () => {
  const busy = 'const end = Date.now() + 300; while (Date.now() < end) {}'
  const idle = 'setTimeout(() => {}, 300)'
  const result = await runScripts([{ script: busy }, { script: idle }], {
    prepare: () => [[process.execPath, '-e', busy]],
  })
  assert.ok(result.build.seconds >= 0.3 && result.build.cpuSeconds >= 0.05, 'build')
  assert.ok(result.checks.seconds >= 0.6 && result.checks.cpuSeconds >= 0.05, 'checks')
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
