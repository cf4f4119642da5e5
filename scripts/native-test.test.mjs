import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import test from 'node:test'

import { at } from './support/project.mjs'

// Runs JavaScript in place of a native test program; it finds its share in `share`.
const runShares = (shares, script) => {
  const match = `process.argv.at(-1).match(/^--shard=(\\d+)\\/${shares}$/)`
  const program = `const share = Number(${match}[1])\n${script}`
  const args = [at('scripts', 'native-test.mjs'), String(shares)]
  const { status, stdout } = spawnSync(
    process.execPath,
    [...args, process.execPath, '-e', program, '--', '--without=x'],
    { encoding: 'utf8' },
  )
  return { status, lines: stdout.trimEnd().split('\n') }
}

test('what the shares print stands one after the other, their counts are added', () => {
  const { status, lines } = runShares(
    3,
    `const counts = share + ' passed, 0 failed, 1 skipped'
     setTimeout(() => console.log('share ' + share + '\\n' + counts), 300 - 100 * share)`,
  )
  assert.equal(status, 0)
  assert.deepEqual(
    lines.filter((line) => line.startsWith('share')),
    ['share 1', 'share 2', 'share 3'],
  )
  assert.equal(lines.at(-1), '6 passed, 0 failed, 3 skipped')
})

test('a share that fails, dies or says nothing is a failure of all', () => {
  const failing = runShares(
    2,
    'console.log(`4 passed, ${share - 1} failed`); process.exit(share - 1)',
  )
  assert.deepEqual([failing.status, failing.lines.at(-1)], [1, '8 passed, 1 failed'])
  const dying = runShares(
    2,
    'console.log("4 passed, 0 failed"); if (share === 2) process.kill(process.pid, "SIGKILL")',
  )
  assert.deepEqual([dying.status, dying.lines.at(-1)], [1, '8 passed, 1 failed'])
  const silent = runShares(2, 'if (share === 1) console.log("4 passed, 0 failed")')
  assert.deepEqual([silent.status, silent.lines.at(-1)], [1, '4 passed, 1 failed'])
  assert.ok(silent.lines.includes('FAILED share 2 of 2: exit code 0'))
})
