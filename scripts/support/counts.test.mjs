import assert from 'node:assert/strict'
import test from 'node:test'

import { add, countLine, noCounts, readCountLine, readTap } from './counts.mjs'

test('the count line is written and read', () => {
  for (const counts of [
    { passed: 3, failed: 0, skipped: 0 },
    { passed: 0, failed: 12, skipped: 4 },
  ]) {
    assert.deepEqual(readCountLine(`something\n${countLine(counts)}\n`), counts)
  }
  assert.equal(countLine({ passed: 1, failed: 2, skipped: 0 }), '1 passed, 2 failed')
  assert.equal(countLine({ passed: 1, failed: 2, skipped: 3 }), '1 passed, 2 failed, 3 skipped')
})

test('the last count line counts, and only a whole line', () => {
  const output = '1 passed, 0 failed\n2 passed, 1 failed\n  9 passed, 9 failed in all\n'
  assert.deepEqual(readCountLine(output), { passed: 2, failed: 1, skipped: 0 })
  assert.equal(readCountLine('all passed'), undefined)
})

test("the summaries of ava and of node's test runner are read", () => {
  const ava = '1..4\n# tests 3\n# pass 1\n# skip 1\n# fail 2\n'
  assert.deepEqual(readTap(ava), { passed: 1, failed: 2, skipped: 1 })
  const node = '# tests 2\n# pass 2\n# fail 0\n# cancelled 0\n# skipped 0\n# todo 0\n'
  assert.deepEqual(readTap(node), { passed: 2, failed: 0, skipped: 0 })
  assert.equal(readTap('TAP version 13\nok 1 - a\n'), undefined)
})

test('counts add up', () => {
  const total = add(noCounts(), { passed: 1, failed: 2, skipped: 3 })
  assert.deepEqual(add(total, { passed: 1, failed: 0, skipped: 1 }), {
    passed: 2,
    failed: 2,
    skipped: 4,
  })
})
