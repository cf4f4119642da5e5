// The CMake presets: how a script builds one, and where its programs are.
import { availableParallelism } from 'node:os'

import { listFiles } from './files.mjs'
import { at } from './project.mjs'
import { CommandError, run } from './run.mjs'
import { findProgram } from './toolchain.mjs'

// The clang that the fuzz targets need (libFuzzer comes with it), or undefined.
export const findClang = () => findProgram('clang++-14', 'clang++')

// The commands that configure and build a preset, in order; `flags` are for CMake.
export const presetCommands = (preset, flags = []) => {
  const compiler = preset === 'fuzz' ? [`-DCMAKE_CXX_COMPILER=${findClang()}`] : []
  const parallel = ['--parallel', String(availableParallelism())]
  return [
    ['cmake', '--preset', preset, ...compiler, ...flags],
    ['cmake', '--build', at('build', preset), ...parallel],
  ]
}

export const buildPreset = async (preset, flags = []) => {
  for (const command of presetCommands(preset, flags)) {
    const { code } = await run(command)
    if (code !== 0) throw new CommandError(`${command.join(' ')}: exit code ${code}`)
  }
}

export const presetFile = (preset, ...parts) => at('build', preset, ...parts)

// The programs that CMakeLists.txt makes of the files below `directory` with this ending, by name.
export const programNames = (directory, ending) =>
  listFiles([directory], (path) => path.endsWith(ending)).map((path) =>
    path.slice(path.lastIndexOf('/') + 1, path.lastIndexOf('.')),
  )
