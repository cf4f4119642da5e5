// Builds the addon for this machine's platform and puts it where node-gyp-build looks for prebuilt
// addons: prebuilds/linux-<arch>/ringleader.napi.<libc>.node.
//
// The parts of the name between the dots are conditions: "napi" makes the file good for every
// Node.js, "glibc" or "musl" ties it to the C library. The C++ runtime is linked in, so the C
// library is all that the file needs; build on the oldest system that is to be supported.
//
//   node scripts/prebuild.mjs [--out DIRECTORY]     default: prebuilds
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

import { checkMachine, installPackages, runMain } from './setup.mjs'
import { at } from './support/project.mjs'
import { buildPreset, presetFile, withAddon } from './support/presets.mjs'
import { run } from './support/run.mjs'
import { findProgram } from './support/toolchain.mjs'

const { values } = parseArgs({ options: { out: { type: 'string', default: at('prebuilds') } } })

await runMain(async () => {
  checkMachine()
  await installPackages()
  await buildPreset('release', { flags: withAddon, targets: ['ringleader-portable'] })
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc'
  const directory = join(resolve(values.out), `linux-${process.arch}`)
  const file = join(directory, `ringleader.napi.${libc}.node`)
  mkdirSync(directory, { recursive: true })
  copyFileSync(presetFile('release', 'ringleader-portable.node'), file)
  if (findProgram('strip')) await run(['strip', '--strip-unneeded', file])
  console.log(`built ${file}`)
})
