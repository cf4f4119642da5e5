import assert from 'node:assert/strict'
import test from 'node:test'

import { codeOnly, functionsOf } from './source-text.mjs'

const measure = (text, cpp = true) => functionsOf(codeOnly(text, { cpp }), { cpp })

test('comments, strings, raw strings and directives are no code', () => {
  const text = [
    '// a { b',
    '/* c {',
    '*/ int d; "e {" \'{\' R"x({ " )x" 1\'000\'000;',
    '#define F(x) { \\',
    '  {',
    'int g;',
  ].join('\n')
  const code = codeOnly(text, { cpp: true })
  assert.equal(code.split('\n').length, text.split('\n').length)
  assert.ok(!code.includes('{'))
  assert.match(code, /int d;/)
  assert.match(code, /1'000'000;/)
  assert.match(code, /int g;/)
})

test('regular expressions and templates are no code, divisions are', () => {
  const code = codeOnly('const a = /[/{]"/.test(b)\nconst c = d / e / f\nconst g = `{ ${h}`\n', {
    cpp: false,
  })
  assert.ok(!code.includes('{'))
  assert.ok(!code.includes('"'))
  assert.match(code, /d \/ e \/ f/)
})

test('C++ functions are measured from head to brace', () => {
  const text = [
    'namespace n {',
    'struct S {',
    '  S(int a,',
    '    int b)',
    '      : a_{a}, b_(b) {',
    '    Use();',
    '  }',
    '  int Get() const noexcept {',
    '    return 1;',
    '  }',
    '};',
    'TEST(suite, name) {',
    '  for (int i = 0; i < 3; ++i) {',
    '    if (i) {',
    '    }',
    '  }',
    '}',
    '}',
  ].join('\n')
  assert.deepEqual(measure(text), [
    { line: 3, lines: 5 },
    { line: 8, lines: 3 },
    { line: 12, lines: 6 },
  ])
})

test('lambdas and functions that return by arrow are measured', () => {
  const text = ['auto F() -> int {', '  Run([&](int a) {', '    Use(a);', '  });', '}'].join('\n')
  assert.deepEqual(measure(text), [
    { line: 2, lines: 3 },
    { line: 1, lines: 5 },
  ])
})

test('TypeScript functions are measured', () => {
  const text = [
    'class A {',
    '  async get({ key }: Options): Promise<void> {',
    '    await run()',
    '  }',
    '}',
    "const a = 'a'",
    'const g = (b) => [b]',
    'const f = (a: number) => {',
    '  use(a)',
    '}',
    'if (f(1)) {',
    '  f(2)',
    '}',
  ].join('\n')
  assert.deepEqual(measure(text, false), [
    { line: 2, lines: 3 },
    { line: 8, lines: 3 },
  ])
})
