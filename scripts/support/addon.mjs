// The addon: whether a usable one is there, and how to build it through cmake-js.
//
// node-gyp-build looks into build/Release first and into prebuilds/ second. An installed package
// has no build/, so its prebuilt addon is used; build/Release comes to exist only where somebody
// built from source, and then that build is the one wanted.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'

import { hashOf, hasStamp, writeStamp } from './files.mjs'
import { lmdbDirectory } from './lmdb.mjs'
import { at, dependencyFile, root } from './project.mjs'
import { runOrThrow } from './run.mjs'

export const addonFile = at('build', 'Release', 'ringleader.node')
const stampFile = at('build', 'Release', '.stamp')
const logFile = at('build', 'build-addon.log')

const fingerprint = () =>
  hashOf(
    ['native', 'CMakeLists.txt'],
    readFileSync(dependencyFile('node-addon-api', 'package.json'), 'utf8'),
    lmdbDirectory(),
    process.arch,
    root,
  )

// The addon that node-gyp-build would load, if this process can load it. An addon that was built
// against a newer C library is found but not usable. Loaded in a process of its own: an addon
// stays in the process that has loaded it.
export const usableAddon = () => {
  const require = createRequire(at('package.json'))
  let file
  try {
    file = require('node-gyp-build').resolve(root)
  } catch {
    return undefined
  }
  const load = `process.dlopen({ exports: {} }, ${JSON.stringify(file)})`
  return spawnSync(process.execPath, ['-e', load]).status === 0 ? file : undefined
}

export const addonIsCurrent = () => existsSync(addonFile) && hasStamp(stampFile, fingerprint())

// Builds build/Release/ringleader.node. Never through "cmake-js compile" or "rebuild": when
// compiling fails they remove all of build/, where other builds and logs are.
export const buildAddon = async () => {
  const cmakeJs = [process.execPath, dependencyFile('cmake-js', 'bin/cmake-js')]
  const value = fingerprint()
  // Without its cache CMake looks at compiler and paths afresh: the clone may have been moved.
  for (const file of [stampFile, logFile, at('build', 'CMakeCache.txt')]) {
    rmSync(file, { force: true })
  }
  await runOrThrow([...cmakeJs, 'configure'], { logFile })
  const parallel = ['--parallel', String(availableParallelism())]
  await runOrThrow([...cmakeJs, 'build', ...parallel], { logFile })
  if (!existsSync(addonFile)) throw new Error(`${logFile}: the build made no ${addonFile}`)
  writeStamp(stampFile, value)
}
