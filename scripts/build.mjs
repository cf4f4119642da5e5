// Builds without running anything.
//
//   node scripts/build.mjs                   the addon (build/Release) and TypeScript (dist)
//   node scripts/build.mjs --types           TypeScript only
//   node scripts/build.mjs --preset NAME     a CMake preset with its addon, build/NAME/; use that
//                                            addon with RINGLEADER_ADDON=build/NAME/ringleader.node
import { parseArgs } from 'node:util'

import { checkMachine, installPackages, makeTypes, runMain, setup } from './setup.mjs'
import { buildPreset, presetFile, withAddon } from './support/presets.mjs'

const { values } = parseArgs({
  options: { types: { type: 'boolean' }, preset: { type: 'string' } },
})

const buildWithAddon = async (preset) => {
  checkMachine()
  await installPackages()
  await buildPreset(preset, { flags: withAddon })
  console.log(`built ${presetFile(preset, 'ringleader.node')}`)
}

await runMain(async () => {
  if (values.preset) await buildWithAddon(values.preset)
  else if (values.types) await makeTypes('lib')
  else await setup()
})
