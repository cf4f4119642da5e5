// The unit tests with an addon under AddressSanitizer and UndefinedBehaviorSanitizer.
//
//   node scripts/test-addon.mjs [FILE...]      default: test/unit
//
// Node itself is not instrumented, so the sanitizer's library has to be there before everything
// else. What Node keeps until the end is no leak of ours: the native tests look for those.
import { execFileSync } from 'node:child_process'

import { listFiles } from './support/files.mjs'
import { buildPreset, presetFile, withAddon } from './support/presets.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'

const libraryOf = (name) =>
  execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim()

await buildPreset('asan', { flags: withAddon, targets: ['ringleader'] })

const given = process.argv.slice(2)
const isUnitTest = (path) => path.endsWith('.test.ts')
const files = given.length > 0 ? given : listFiles(['test/unit'], isUnitTest)
const ava = at('node_modules', 'ava/entrypoints/cli.mjs')
const { code } = await run([process.execPath, ava, '--timeout=300s', ...files], {
  env: {
    RINGLEADER_ADDON: presetFile('asan', 'ringleader.node'),
    LD_PRELOAD: libraryOf('libasan.so'),
    ASAN_OPTIONS: 'detect_leaks=0',
    UBSAN_OPTIONS: 'print_stacktrace=1',
  },
})
process.exitCode = code
