// npm test and .ci/run from outside: whatever happens, the last line is the count, and it is true.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'

import { at } from './support/project.mjs'

const scratch = () => mkdtempSync(join(tmpdir(), 'ringleader-check-'))

// Runs a program until it ends; `until` is a text after which it gets `signal`.
const runUntil = async (command, { env, until, signal, stdio = 'ignore' }) => {
  const child = spawn(command[0], command.slice(1), {
    env: { ...process.env, ...env },
    stdio: [stdio, 'pipe', 'pipe'],
  })
  let output = ''
  let sent = false
  child.stderr.resume()
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
    if (sent || !until || !output.includes(until)) return
    sent = true
    child.kill(signal)
  })
  const [code] = await once(child, 'close')
  return { code, output, last: output.trimEnd().split('\n').at(-1) }
}

// --- npm test ------------------------------------------------------------------------------------

const noise = process.pid
const stageText = (name, script, more = '') =>
  `{ name: '${name}-${noise}', about: '', ${more}
     checks: [{ run: [process.execPath, '-e', ${JSON.stringify(script)}] }] },`

const runTests = async (stages, options = {}) => {
  const directory = scratch()
  const file = join(directory, 'stages.mjs')
  writeFileSync(file, `export const stages = [${stages.join('\n')}]\n`)
  const args = ['--stages', file, ...(options.args ?? [])]
  const env = { RINGLEADER_TEST_MINUTES: '1', RINGLEADER_TEST_RESULTS: '' }
  const result = await runUntil([process.execPath, at('scripts/test.mjs'), ...args], {
    env,
    ...options,
  })
  rmSync(directory, { recursive: true })
  for (const name of ['one', 'two', 'three']) {
    rmSync(at('build', 'test-logs', `${name}-${noise}.log`), { force: true })
  }
  return result
}

const hang = 'setInterval(() => {}, 1000)'

test('npm test ends with the sum, after the failures and the times', async () => {
  const { code, output, last } = await runTests([
    stageText('one', ''),
    stageText('two', 'console.log("this is why"); process.exit(3)'),
  ])
  assert.equal(code, 1)
  assert.equal(last, '1 passed, 1 failed')
  assert.match(output, /== two-\d+ has failed[^]*exit code 3\n {2}\| this is why/)
  assert.match(output, /failed stages:\n {2}two-\d+: .*exit code 3/)
})

test('npm test counts what SIGTERM has kept from running as failed', async () => {
  const stages = [stageText('one', ''), stageText('two', hang), stageText('three', '')]
  const { code, output, last } = await runTests(stages, { until: 'one', signal: 'SIGTERM' })
  assert.equal(code, 1)
  assert.equal(last, '1 passed, 2 failed')
  assert.match(output, /SIGTERM/)
  assert.match(output, /not run, and so failed: .*three-\d+ \(SIGTERM\)/)
})

test('npm test stops when its minutes are over, whatever is being built', async () => {
  const slow = `prepare: () => [[process.execPath, '-e', ${JSON.stringify(hang)}]],`
  const stages = [stageText('one', ''), stageText('two', hang), stageText('three', '', slow)]
  const { output, last } = await runTests(stages, { args: ['--minutes', '0.05'] })
  assert.equal(last, '1 passed, 2 failed')
  assert.match(output, /two-\d+: .*: the 0\.05 minutes of all stages are over/)
})

// --- .ci/run -------------------------------------------------------------------------------------

// Runs a copy of .ci/run where npm is the given shell script, or missing.
const runCheck = async (npm, { env = {}, ...options } = {}) => {
  const directory = scratch()
  const programs = join(directory, 'programs')
  mkdirSync(join(directory, '.ci'))
  mkdirSync(programs)
  copyFileSync(at('.ci', 'run'), join(directory, '.ci', 'run'))
  if (npm !== undefined) {
    writeFileSync(join(programs, 'npm'), `#!/bin/sh\n${npm}\n`)
    chmodSync(join(programs, 'npm'), 0o755)
  }
  const path = npm === undefined ? '/usr/bin:/bin' : `${programs}:${process.env.PATH}`
  const result = await runUntil(['bash', join(directory, '.ci', 'run')], {
    env: { PATH: path, RINGLEADER_CI_INSTALL_NOTHING: '1', ...env },
    ...options,
  })
  rmSync(directory, { recursive: true, force: true })
  return result
}

const says = (line, code = 0) => `echo '${line}' >"$RINGLEADER_TEST_RESULTS"; exit ${code}`
const npm = (start, tests) => `case $1 in start) ${start};; test) ${tests};; esac`

test('.ci/run adds npm start to the count of npm test', async () => {
  const good = await runCheck(npm('exit 0', says('7 passed, 0 failed')))
  assert.deepEqual([good.code, good.last], [0, '8 passed, 0 failed'])
  const bad = await runCheck(npm('exit 1', says('7 passed, 2 failed', 1)))
  assert.deepEqual([bad.code, bad.last], [1, '7 passed, 3 failed'])
  assert.match(bad.output, /npm start failed/)
})

test('.ci/run counts a failure when npm test says nothing, or not what its code says', async () => {
  const silent = await runCheck(npm('exit 0', 'kill -KILL $$'))
  assert.deepEqual([silent.code, silent.last], [1, '1 passed, 1 failed'])
  const odd = await runCheck(npm('exit 0', says('7 passed, 0 failed', 1)))
  assert.deepEqual([odd.code, odd.last], [1, '8 passed, 1 failed'])
  const damaged = await runCheck(npm('exit 0', says('no count at all')))
  assert.deepEqual([damaged.code, damaged.last], [1, '1 passed, 1 failed'])
})

test('.ci/run ends with a count without npm, HOME, temporary directory or input', async () => {
  const env = { HOME: '/proc', TMPDIR: '/proc', RINGLEADER_CI_SECONDS: '30' }
  const home = 'touch "$HOME/writable" || exit 1'
  const there = await runCheck(npm(home, says('1 passed, 0 failed')), { env })
  assert.deepEqual([there.code, there.last], [0, '2 passed, 0 failed'])
  const without = await runCheck('exit 127', { env })
  assert.deepEqual([without.code, without.last], [1, '0 passed, 2 failed'])
})

test('.ci/run ends what hangs and tells how far it came', async () => {
  const soFar = 'echo "4 passed, 3 failed" >"$RINGLEADER_TEST_RESULTS"'
  const hangs = npm('exit 0', `${soFar}; echo began; sleep 100`)
  const late = await runCheck(hangs, { env: { RINGLEADER_CI_SECONDS: '2' } })
  assert.deepEqual([late.code, late.last], [1, '5 passed, 3 failed'])
  assert.match(late.output, /out of time: ending npm test/)
  const stopped = await runCheck(hangs, { until: 'began', signal: 'SIGTERM' })
  assert.deepEqual([stopped.code, stopped.last], [1, '5 passed, 3 failed'])
  assert.match(stopped.output, /SIGTERM: ending npm test/)
})
