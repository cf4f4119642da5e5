import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import test from 'node:test'

import { findProgram, nodeProblem, platformProblem } from './toolchain.mjs'
import { at } from './project.mjs'

// Runs a script on a machine that has only the given programs.
const runWith = (programs, script, env = {}) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringleader-path-'))
  for (const name of programs) symlinkSync(findProgram(name), join(directory, name))
  const child = spawnSync(process.execPath, [at(script)], {
    encoding: 'utf8',
    env: { PATH: directory, HOME: process.env.HOME, ...env },
  })
  rmSync(directory, { recursive: true })
  return { code: child.status, lines: child.stderr.trim().split('\n') }
}

test('Linux on x64 and arm64 is supported, anything else is named', () => {
  assert.equal(platformProblem('linux', 'x64'), undefined)
  assert.equal(platformProblem('linux', 'arm64'), undefined)
  assert.match(platformProblem('darwin', 'arm64'), /Linux on x64 and arm64 only, not on darwin/)
  assert.match(platformProblem('linux', 'ia32'), /not on linux on ia32/)
})

test('Node.js before 20.19 is refused', () => {
  assert.match(nodeProblem('20.18.3'), /20\.19 or later, and this is 20\.18\.3/)
  assert.match(nodeProblem('18.20.0'), /20\.19 or later/)
  for (const version of ['20.19.0', '20.20.2', '22.0.0', '24.1.0']) {
    assert.equal(nodeProblem(version), undefined, version)
  }
})

test('without compiler or cmake, a build from source says in one sentence what is missing', () => {
  const fromSource = { npm_config_build_from_source: 'true' }
  const { code, lines } = runWith(['cmake'], 'scripts/install.mjs', fromSource)
  assert.notEqual(code, 0)
  assert.equal(lines.length, 1)
  assert.match(lines[0], /needs a C\+\+20 compiler, cmake and make.*: apt-get install g\+\+/)
})

test('without compiler or cmake, setting up says the same', () => {
  const { code, lines } = runWith([], 'scripts/setup.mjs')
  assert.equal(code, 1)
  assert.equal(lines.length, 1)
  assert.match(lines[0], /needs a C\+\+20 compiler/)
})
