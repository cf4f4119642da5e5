// Puts every source into the project's layout: clang-format 14 for C++, prettier for the rest.
import { installPackages, runMain, SetupError } from './setup.mjs'
import { cppFiles } from './support/files.mjs'
import { dependencyFile } from './support/project.mjs'
import { run } from './support/run.mjs'
import { findClangFormat } from './support/toolchain.mjs'

await runMain(async () => {
  await installPackages()
  const prettier = [process.execPath, dependencyFile('prettier', 'bin/prettier.cjs')]
  await run([...prettier, '--log-level=warn', '--write', '.'])
  const clangFormat = findClangFormat()
  if (!clangFormat)
    throw new SetupError('C++ needs clang-format 14: apt-get install clang-format-14')
  await run([clangFormat, '-i', ...cppFiles()])
})
