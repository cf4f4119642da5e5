import assert from 'node:assert/strict'
import test from 'node:test'

import { codeOnly } from './source-text.mjs'
import { declaredNames, groupSources, readSource } from './unity.mjs'

const namesOf = (text) => {
  const { hidden, shared } = declaredNames(codeOnly(text, { cpp: true }))
  return { hidden: [...hidden], shared: [...shared] }
}

test('names of unnamed namespaces are hidden, those of others shared, inner ones neither', () => {
  const text = `
namespace a {
class Forward;
struct Shared final : Base { int inner; };
namespace {
using std::string;
constexpr std::array<int, 3> kNumbers = {1, 2, 3};
enum class Kind : int { kOne };
[[nodiscard]] std::function<void(int)> Make(const std::map<int, int>& x) { int local; return f; }
TEST(suite, name) { struct Local {}; }
}
static int Alone() { return 1; }
int g_count = 0;
}`
  assert.deepEqual(namesOf(text), {
    hidden: ['kNumbers', 'Kind', 'Make', 'Alone'],
    shared: ['Shared', 'g_count'],
  })
})

// Sources of a name and a text each; `headers` are { name: [header, ...] } by source.
const group = (texts, { headers = {}, maxLines = 100 } = {}) =>
  groupSources(
    Object.entries(texts).map(([path, text]) => {
      const names = Object.entries(headers[path] ?? {}).map(([name, list]) => [name, new Set(list)])
      return { path, lines: 10, headerNames: new Map(names), ...readSource(text) }
    }),
    maxLines,
  )

const hides = (name) => `namespace {\nint ${name}() { return 1; }\n}`

test('files with the same hidden name, and those that use it, are apart', () => {
  assert.deepEqual(
    group({ a: hides('F'), b: hides('F'), c: 'int g = F();', d: 'int h = x.F() + y::F();' }),
    [['a', 'd'], ['b'], ['c']],
  )
  assert.deepEqual(group({ a: '#define M 1', b: 'int g = M;', c: '' }), [['a', 'c'], ['b']])
})

test('files are apart where a name is that of different headers', () => {
  const texts = { a: '', b: '', c: '' }
  const headers = { a: { F: ['one.h'] }, b: { F: ['two.h'] }, c: { F: ['one.h'] } }
  assert.deepEqual(group(texts, { headers }), [['a', 'c'], ['b']])
  assert.deepEqual(group({ a: hides('F'), b: '' }, { headers: { b: { F: ['one.h'] } } }), [
    ['a'],
    ['b'],
  ])
  const brings = { a: 'using x::F;', b: '' }
  assert.deepEqual(group(brings, { headers: { a: { F: ['x.h'] }, b: { F: ['y.h'] } } }), [
    ['a'],
    ['b'],
  ])
})

test('groups have no more lines than allowed, unless one file has', () => {
  assert.deepEqual(group({ a: '', b: '', c: '' }, { maxLines: 20 }), [['a', 'b'], ['c']])
  assert.deepEqual(group({ a: '', b: '' }, { maxLines: 5 }), [['a'], ['b']])
})
