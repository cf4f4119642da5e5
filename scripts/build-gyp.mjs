// Builds the addon with node-gyp into build/gyp/ringleader.node; use it with
// RINGLEADER_ADDON=build/gyp/ringleader.node.
//
// node-gyp always works in <directory>/build with <directory>/binding.gyp. The directory is
// build/gyp/project, which links to the sources, so that the build of cmake-js is not touched.
// --quick does not optimize.
// Ends with exit code 77 (skipped) when Node's headers are neither here nor to be had.
import { copyFileSync, existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'

import { checkMachine, installPackages, runMain, SetupError } from './setup.mjs'
import { lmdbDirectory } from './support/lmdb.mjs'
import { at, dependencyFile } from './support/project.mjs'
import { run } from './support/run.mjs'

const skipped = 77
const project = at('build', 'gyp', 'project')
const addon = at('build', 'gyp', 'ringleader.node')

// Distributions and the official archives put the headers beside the executable.
const localHeaders = () => {
  const prefix = join(dirname(process.execPath), '..')
  return existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? prefix : undefined
}

const prepareProject = () => {
  rmSync(addon, { force: true })
  rmSync(project, { recursive: true, force: true })
  mkdirSync(project, { recursive: true })
  for (const name of ['native', 'scripts', 'node_modules', 'package.json']) {
    symlinkSync(at(name), join(project, name))
  }
  symlinkSync(lmdbDirectory(), join(project, 'lmdb'))
  copyFileSync(at('bindings.gyp'), join(project, 'binding.gyp'))
}

await runMain(async () => {
  checkMachine()
  await installPackages()
  const nodeGyp = [process.execPath, dependencyFile('node-gyp', 'bin/node-gyp.js')]
  const headers = localHeaders()
  if (!headers && (await run([...nodeGyp, 'install'])).code !== 0) {
    console.log("skipped: Node's headers are not installed and could not be downloaded")
    process.exit(skipped)
  }
  prepareProject()
  const flags = headers ? [`--nodedir=${headers}`] : []
  const jobs = `--jobs=${availableParallelism()}`
  // make puts these behind the flags of node-gyp.
  const env = process.argv.includes('--quick') ? { CFLAGS: '-O0', CXXFLAGS: '-O0' } : {}
  const { code } = await run([...nodeGyp, 'rebuild', jobs, ...flags], { cwd: project, env })
  if (code !== 0) throw new SetupError(`node-gyp rebuild: exit code ${code}`)
  copyFileSync(join(project, 'build', 'Release', 'ringleader.node'), addon)
  console.log(`built ${addon}`)
})
