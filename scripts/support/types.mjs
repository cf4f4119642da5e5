// Compiles TypeScript: lib/ into dist/, test/ and bench/ into dist-test/.
import { existsSync, rmSync } from 'node:fs'

import { hashOf, hasStamp, listFiles, writeStamp } from './files.mjs'
import { at, dependencyFile } from './project.mjs'
import { runOrThrow } from './run.mjs'

const isTypeScript = (path) => path.endsWith('.ts')
const configurations = ['tsconfig.base.json', 'tsconfig.json', 'package-lock.json']

const projects = {
  lib: { config: 'tsconfig.json', inputs: ['lib'], out: 'dist' },
  test: { config: 'tsconfig.test.json', inputs: ['test', 'bench', 'lib'], out: 'dist-test' },
}

// TypeScript 6 emits, and typescript-eslint understands it; 7 is a second opinion on the types.
export const tsc = () => [process.execPath, dependencyFile('typescript', 'bin/tsc')]
export const tsc7 = () => [process.execPath, dependencyFile('typescript7', 'bin/tsc')]

// Compiles 'lib' or 'test' (which compiles lib as well) unless nothing has changed. Resolves with
// whether there was anything to do. A project without a single source file compiles to nothing.
export const compileTypes = async (name, { force = false } = {}) => {
  const { config, inputs, out } = projects[name]
  const sources = listFiles(inputs, isTypeScript)
  if (listFiles([inputs[0]], isTypeScript).length === 0) return false
  const stampFile = at(out, '.stamp')
  const value = hashOf([...sources, ...configurations, config])
  if (!force && hasStamp(stampFile, value)) return false
  // What a removed source has left behind must not be tested or packed.
  if (existsSync(at(out))) rmSync(at(out), { recursive: true })
  const logFile = at('build', `tsc-${name}.log`)
  rmSync(logFile, { force: true })
  await runOrThrow([...tsc(), '--build', config], { logFile })
  writeStamp(stampFile, value)
  return true
}
