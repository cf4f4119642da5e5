// The CMake presets: how a script builds one, and where its programs are.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'

import { listFiles } from './files.mjs'
import { at } from './project.mjs'
import { CommandError, run } from './run.mjs'
import { findProgram } from './toolchain.mjs'

const architecture = process.arch === 'x64' ? 'x86_64' : 'aarch64'

// The clang that the fuzz targets need, or undefined: one that comes with libFuzzer.
export const findClang = () => {
  const clang = findProgram('clang++-14', 'clang++')
  if (!clang) return undefined
  const library = `-print-file-name=libclang_rt.fuzzer-${architecture}.a`
  const { stdout } = spawnSync(clang, [library], { encoding: 'utf8' })
  return existsSync(stdout.trim()) ? clang : undefined
}

// The commands that configure and build a preset, in order; `flags` are for CMake. Without
// `targets` everything is built that is not on demand.
export const presetCommands = (preset, { flags = [], targets = [] } = {}) => {
  const compiler = preset === 'fuzz' ? [`-DCMAKE_CXX_COMPILER=${findClang()}`] : []
  const parallel = ['--parallel', String(availableParallelism())]
  const chosen = targets.length > 0 ? ['--target', ...targets] : []
  return [
    ['cmake', '--preset', preset, ...compiler, ...flags],
    ['cmake', '--build', at('build', preset), ...parallel, ...chosen],
  ]
}

export const buildPreset = async (preset, options) => {
  for (const command of presetCommands(preset, options)) {
    const { code } = await run(command)
    if (code !== 0) throw new CommandError(`${command.join(' ')}: exit code ${code}`)
  }
}

export const presetFile = (preset, ...parts) => at('build', preset, ...parts)

// What the target mutants of the release preset makes, whose tests it shares.
export const mutantsFile = (...parts) => presetFile('release', 'mutants', ...parts)

// The addon with a preset; every other program of it is built without.
export const withAddon = ['-DRINGLEADER_ADDON=ON']

// The programs that CMakeLists.txt makes of the files below `directory` with this ending, by name.
export const programNames = (directory, ending) =>
  listFiles([directory], (path) => path.endsWith(ending)).map((path) =>
    path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('.')),
  )
