// What the machine must have. Each function returns undefined, or one sentence that says what is
// missing and how to get it.
import { spawnSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

import { packageJson } from './project.mjs'

// The full path of a program, or undefined. Several names: the first that exists.
export const findProgram = (...names) => {
  for (const name of names) {
    for (const directory of (process.env.PATH || '').split(delimiter)) {
      const file = join(directory, name)
      try {
        accessSync(file, constants.X_OK)
        return file
      } catch {
        // Not in this directory.
      }
    }
  }
  return undefined
}

export const platformProblem = (platform = process.platform, arch = process.arch) => {
  if (packageJson.os.includes(platform) && packageJson.cpu.includes(arch)) return undefined
  return `ringleader runs on Linux on x64 and arm64 only, not on ${platform} on ${arch}.`
}

export const nodeProblem = (version = process.versions.node) => {
  const wanted = /(\d+)\.(\d+)/.exec(packageJson.engines.node).slice(1).map(Number)
  const [major, minor] = version.split('.').map(Number)
  if (major > wanted[0] || (major === wanted[0] && minor >= wanted[1])) return undefined
  return `ringleader needs Node.js ${wanted.join('.')} or later, and this is ${version}.`
}

export const compilerProblem = () => {
  const compiler = process.env.CXX || findProgram('c++', 'g++', 'clang++')
  if (compiler && findProgram('cmake') && findProgram('make', 'ninja')) return undefined
  return (
    'ringleader needs a C++20 compiler, cmake and make to build its addon: ' +
    'apt-get install g++ cmake make'
  )
}

// clang-format 14, the version that defines the layout: others lay some lines out differently.
export const findClangFormat = () => {
  const program = findProgram('clang-format-14', 'clang-format')
  if (!program) return undefined
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return / version 14\./.test(stdout) ? program : undefined
}
