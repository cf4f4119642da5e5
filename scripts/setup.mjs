// Brings a fresh clone, or one that has changed, to the point where it runs: checks the machine,
// installs the packages that package-lock.json pins, builds the addon, compiles TypeScript. Each
// step is skipped when its inputs have not changed since it last succeeded.
//
//   node scripts/setup.mjs [--tests]
//
// Imports nothing but Node's own modules: it runs before anything is installed.
import { existsSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import { hashOf, hasStamp, writeStamp } from './support/files.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'
import { compilerProblem, nodeProblem, platformProblem } from './support/toolchain.mjs'

export class SetupError extends Error {}

const packagesStamp = at('node_modules', '.ringleader-setup')

const say = (text) => console.log(`setup: ${text}`)

export const checkMachine = () => {
  const problem = platformProblem() || nodeProblem() || compilerProblem()
  if (problem) throw new SetupError(problem)
}

// npm ci without install scripts: no dependency has one that matters, and our own would build the
// addon, which is the next step here.
export const installPackages = async () => {
  const value = hashOf(['package-lock.json'], process.platform, process.arch)
  if (hasStamp(packagesStamp, value)) return
  say('installing packages')
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm']
  const flags = ['--include=dev', '--ignore-scripts', '--no-audit', '--no-fund']
  const { code } = await run([...npm, 'ci', ...flags])
  if (code !== 0) throw new SetupError('npm ci could not install the packages: see above')
  writeStamp(packagesStamp, value)
}

export const makeAddon = async () => {
  const { addonIsCurrent, buildAddon } = await import('./support/addon.mjs')
  if (addonIsCurrent()) return
  say(existsSync(at('build', 'Release')) ? 'building the addon' : 'building the addon (a minute)')
  await buildAddon()
}

export const makeTypes = async (name) => {
  const { compileTypes } = await import('./support/types.mjs')
  if (await compileTypes(name)) say(`compiled TypeScript: ${name}`)
}

export const setup = async ({ tests = false } = {}) => {
  checkMachine()
  await installPackages()
  await makeAddon()
  await makeTypes('lib')
  if (tests) await makeTypes('test')
}

// Runs `main` and ends the process: a failure that is not a defect of ours is told without a stack.
export const runMain = async (main) => {
  try {
    await main()
  } catch (error) {
    const { CommandError } = await import('./support/run.mjs')
    const expected = error instanceof SetupError || error instanceof CommandError
    console.error(expected ? error.message : error)
    process.exit(1)
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await runMain(() => setup({ tests: process.argv.includes('--tests') }))
}
