// Builds a program of test/sim/programs and runs it with the remaining arguments; with --mutant the
// one that has the planted bugs.
//
//   node scripts/sim.mjs NAME [ARGUMENT...]
import { spawnSync } from 'node:child_process'

import { buildPreset, mutantsFile, presetFile, programNames } from './support/presets.mjs'
import { runMain, SetupError } from './setup.mjs'

const [name, ...rest] = process.argv.slice(2)

await runMain(async () => {
  const names = programNames('test/sim/programs', '.cc')
  if (!names.includes(name)) throw new SetupError(`no such program; there is ${names.join(', ')}`)
  const planted = name === 'simulate' && rest.includes('--mutant')
  await buildPreset('release', { targets: [planted ? `mutants-${name}` : name] })
  const program = planted ? mutantsFile('sim', name) : presetFile('release', 'sim', name)
  const { status } = spawnSync(program, rest, { stdio: 'inherit' })
  process.exitCode = status ?? 1
})
