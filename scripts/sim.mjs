// Builds a program of test/sim/programs and runs it with the remaining arguments.
//
//   node scripts/sim.mjs NAME [ARGUMENT...]
import { spawnSync } from 'node:child_process'

import { buildPreset, presetFile, programNames } from './support/presets.mjs'
import { runMain, SetupError } from './setup.mjs'

const [name, ...rest] = process.argv.slice(2)

await runMain(async () => {
  const names = programNames('test/sim/programs', '.cc')
  if (!names.includes(name)) throw new SetupError(`no such program; there is ${names.join(', ')}`)
  await buildPreset('release', { targets: [name] })
  const { status } = spawnSync(presetFile('release', 'sim', name), rest, { stdio: 'inherit' })
  process.exitCode = status ?? 1
})
