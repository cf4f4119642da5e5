import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'

import { excerpt, headlines } from './excerpt.mjs'
import { makeLimit } from './limit.mjs'
import { resultsFile, summaryLines } from './summary.mjs'

const result = (counts, failures = []) => ({
  counts: { passed: 0, failed: 0, skipped: 0, ...counts },
  skipReasons: [],
  failures,
  logFile: 'the.log',
  build: { seconds: 2, cpuSeconds: 3.5 },
  checks: { seconds: 1, cpuSeconds: 0.5 },
})

test('the summary has the failures, the times and what was not run', () => {
  const results = new Map([
    ['good', result({ passed: 3 })],
    [
      'bad',
      result({ failed: 1 }, [{ what: 'program: exit code 1', detail: 'one\ntwo', head: ['one'] }]),
    ],
  ])
  const text = summaryLines(results, ['late', 'later'], 'SIGTERM').join('\n')
  assert.match(
    text,
    /== bad has failed; all it printed: the\.log\nprogram: .*\n {2}\| one\n {2}\| two/,
  )
  assert.match(text, /^all +4\.0 s +7\.0 cpu +2\.0 s +1\.0 cpu$/m)
  assert.match(text, /failed stages:\n {2}bad: program: exit code 1\n {4}\| one$/m)
  assert.match(text, /^not run, and so failed: late, later \(SIGTERM\)$/m)
  assert.doesNotMatch(
    summaryLines(new Map([['good', result({})]]), []).join('\n'),
    /has failed|failed stages|not run/,
  )
})

test('the file of results is the total line, each time in one piece', () => {
  const directory = mkdtempSync(join(tmpdir(), 'ringleader-results-'))
  const file = join(directory, 'results')
  const remember = resultsFile(file)
  remember({ passed: 0, failed: 12, skipped: 0 })
  remember({ passed: 3, failed: 1, skipped: 2 })
  assert.equal(readFileSync(file, 'utf8'), '3 passed, 1 failed\n')
  rmSync(directory, { recursive: true })
  resultsFile(undefined)({ passed: 1, failed: 0, skipped: 0 })
})

test('an excerpt has the first failures and the last 40 lines', () => {
  const many = (count) => Array.from({ length: count }, (_, index) => `ok ${index}`)
  assert.equal(excerpt(many(40).join('\n')), many(40).join('\n'))
  const shown = excerpt([...many(50), 'not ok 51', '  why', ...many(100)].join('\n')).split('\n')
  assert.deepEqual(shown.slice(0, 2), ['not ok 51', '  why'])
  assert.equal(shown.length, 12 + 1 + 40)
  assert.equal(shown.at(-1), 'ok 99')
  const failures = Array.from({ length: 200 }, () => 'FAILED x')
  assert.equal(excerpt(failures.join('\n')).split('\n').length, 3 * 13 + 40)
})

test('an excerpt begins with what a sanitizer or the engine said', () => {
  const noise = Array.from({ length: 60 }, () => '#1 somewhere')
  for (const line of [
    '==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1',
    'WARNING: ThreadSanitizer: data race (pid=7)',
    'a.cc:3:1: runtime error: load of misaligned address',
    'ringleader: a.cc:3: check failed: x',
  ]) {
    const output = ['FAILED early', ...noise, '=====', line, ...noise, ...noise].join('\n')
    const shown = excerpt(output).split('\n')
    assert.equal(shown[2], line)
    assert.ok(shown.indexOf('FAILED early') > 2)
    assert.equal(headlines(output)[0], line)
    assert.ok(headlines(output).includes('FAILED early'))
  }
  assert.deepEqual(headlines('all is well'), [])
})

test('a limit ends by itself, or earlier by request, and says why', () => {
  let now = 1000
  const limit = makeLimit(2, () => now)
  assert.equal(limit.leftMs(), 120_000)
  assert.equal(limit.reason, undefined)
  now += 120_000
  assert.equal(limit.leftMs(), 0)
  assert.match(limit.reason, /the 2 minutes of all stages are over/)
  const endless = makeLimit()
  assert.equal(endless.leftMs(), Infinity)
  endless.stop('SIGTERM')
  endless.stop('SIGINT')
  assert.equal(endless.leftMs(), 0)
  assert.equal(endless.reason, 'SIGTERM')
})
