import assert from 'node:assert/strict'
import test from 'node:test'

import * as tidy from './tidy.mjs'

const lines = (count, line = 'x;\n') => line.repeat(count)
const texts = (problems) => problems.map((problem) => problem.text ?? problem)

test('files: 600 lines without a reason, 900 with one', () => {
  assert.deepEqual(tidy.checkFileSize(lines(600)), [])
  assert.match(tidy.checkFileSize(lines(601))[0], /over 600/)
  const reason = '// Long because the table is one thing.\n'
  assert.deepEqual(tidy.checkFileSize(reason + lines(899)), [])
  assert.match(tidy.checkFileSize(reason + lines(900))[0], /no file has more than 900/)
})

test('functions: 70 lines', () => {
  const ofLength = (count) => `void F() {\n${lines(count - 2)}}\n`
  assert.deepEqual(tidy.checkFunctions(ofLength(70), { cpp: true }), [])
  const [problem] = tidy.checkFunctions(`int a;\n${ofLength(71)}`, { cpp: true })
  assert.equal(problem.line, 2)
  assert.match(problem.text, /71 lines/)
})

test('lines: 100 columns, no tab, no blank at the end, a newline after the last', () => {
  const layout = (text) => texts(tidy.checkLayout(text, { columns: true }))
  assert.deepEqual(layout(`${'ä'.repeat(100)}\n`), [])
  assert.match(layout(`${'a'.repeat(101)}\n`)[0], /101 columns/)
  assert.deepEqual(layout('\ta\n'), ['a tab'])
  assert.deepEqual(layout('a \n'), ['blanks at the end of the line'])
  assert.deepEqual(layout('a\r\n'), ['blanks at the end of the line'])
  assert.deepEqual(layout('a'), ['no newline at the end'])
  assert.deepEqual(tidy.checkLayout(`${'a'.repeat(101)}\n`, { columns: false }), [])
})

test('words of other projects are refused wherever they stand', () => {
  const words = (text, path = 'lib/a.ts') => texts(tidy.checkWords(text, path))
  for (const text of ['the leader', 'isLeader', 'LEADER_ID', 'followers', 'slave_', 'kMaster']) {
    assert.match(words(text)[0] ?? '', /this project says/, text)
  }
  assert.deepEqual(words('ringleader Ringleader RINGLEADER_ADDON leadership masterful'), [])
  assert.deepEqual(words('master and client', 'docs/bdb-migration.md'), [])
})

test('unfinished places, machine paths and package servers are refused', () => {
  const words = (text) => texts(tidy.checkWords(text, 'lib/a.ts')).length
  const unfinished = ['TO', 'DO'].join('')
  assert.equal(words(`// ${unfinished}: later`), 1)
  assert.equal(words(`// ${unfinished}(#12): later`), 0)
  assert.equal(words('mkdtemp("ringleader-XXXXXX")'), 0)
  assert.equal(words(`see ${['', 'home', 'ada', 'log'].join('/')}`), 1)
  assert.equal(words(`"${['', 'work', 'main'].join('/')}"`), 1)
  assert.equal(words('lib/work/a.ts and ../home/x'), 0)
  assert.equal(words(['registry', 'npmjs', 'org'].join('.')), 1)
})

const statusHeader = `enum class Code : uint8_t {
  kOk = 0,
  kNoSpace,       // RL_NO_SPACE: the disk is full
  kNotADirectory,
};`

test('error codes are known in C++, in TypeScript and in the documentation', () => {
  const errorsModule = "'RL_NO_SPACE' 'RL_NOT_A_DIRECTORY' 'RL_ABORTED'"
  const errorsPage = '## RL_NO_SPACE\n## `RL_NOT_A_DIRECTORY`\n### RL_ABORTED: again\n'
  const check = (change) =>
    tidy.checkErrorCodes({ statusHeader, errorsModule, errorsPage, ...change })
  assert.deepEqual(check({}), [])
  assert.deepEqual(check({ errorsPage: errorsPage.replace('NO_SPACE', 'NO_ROOM') }), [
    'docs/ERRORS.md has no heading for RL_NO_SPACE',
    'docs/ERRORS.md: RL_NO_ROOM is no error code',
  ])
  assert.deepEqual(check({ errorsModule: "'RL_NO_SPACE' 'RL_ABORTED'" }), [
    'lib/errors.ts does not know RL_NOT_A_DIRECTORY',
  ])
  assert.deepEqual(check({ statusHeader: '' }), ['native/base/status.h: no error code found'])
})

test('the source list names every source once', () => {
  const list = '# sources\nbase/a.cc\nlog/b.cc\n'
  assert.deepEqual(tidy.checkSourceList(list, ['base/a.cc', 'log/b.cc']), [])
  assert.deepEqual(tidy.checkSourceList(`${list}log/b.cc\n`, ['log/b.cc', 'log/c.cc']), [
    'base/a.cc is listed and does not exist',
    'log/b.cc is listed twice',
    'log/c.cc exists and is not listed',
  ])
})

test('the package lock names no server', () => {
  const lock = (entry) => JSON.stringify({ packages: { '': {}, 'node_modules/a': entry } })
  assert.deepEqual(tidy.checkLock(lock({ version: '1.0.0', integrity: 'sha512-x' })), [])
  assert.equal(tidy.checkLock(lock({ resolved: 'https://example.org/a.tgz' })).length, 1)
})
