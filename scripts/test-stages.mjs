// The stages of npm test, in the order in which they run. A stage is one object:
//
//   name      for --only, --skip and the log file
//   about     one line for --list
//   alone     optional: true where other stages are built from what this one makes
//   skip      optional: () => the reason why the stage cannot run on this machine, or undefined
//   prepare   optional: () => commands that must succeed first; they count only when they fail.
//             They run while the checks of earlier stages do
//   checks    what is counted, in order. Each check:
//     run     program and arguments
//     counts  how to read passed, failed and skipped from its output (support/counts.mjs);
//             without it the whole command is one check that passes with exit code 0
//     skip, env   optional
//   buildMinutes, minutes   optional: for the commands of prepare, for all checks; defaults are in
//             support/stage-runner.mjs. What is not done by then has failed
//
// A command that finds out by itself that it cannot run here prints "skipped: reason" as its last
// line and ends with exit code 77. Commands run in the project's root without standard input.
import { spawnSync } from 'node:child_process'

import { readCountLine, readTap } from './support/counts.mjs'
import { cppFiles, listFiles } from './support/files.mjs'
import {
  findClang,
  presetCommands,
  presetFile,
  programNames,
  withAddon,
} from './support/presets.mjs'
import { at } from './support/project.mjs'
import { findClangFormat, findProgram } from './support/toolchain.mjs'

const node = (...args) => [process.execPath, ...args]
// A program of an installed package.
const tool = (file, ...args) => node(at('node_modules', file), ...args)

const isScriptTest = (path) => path.endsWith('.test.mjs')
const isUnitTest = (path) => path.endsWith('.test.ts')
const ava = () => tool('ava/entrypoints/cli.mjs', '--tap')
// The ones that show that an addon is whole; the others look at TypeScript for the most part.
const addonTests = ['append', 'atomic', 'database', 'environment', 'range', 'transaction'].map(
  (name) => `test/unit/${name}.test.ts`,
)
// Where clang is installed, the fuzz targets and the native tests share one instrumented engine: to
// compile it twice would cost as much as to run the tests.
const asanPreset = () => (findClang() ? 'fuzz' : 'asan')

const noUnitTests = () =>
  listFiles(['test'], isUnitTest).length === 0 ? 'there is no test/**/*.test.ts' : undefined

const noClangFormat = () => (findClangFormat() ? undefined : 'clang-format 14 is not installed')

// ThreadSanitizer needs its fixed addresses, which randomized mappings may occupy.
const fixedAddresses = ['setarch', '-R']
const noFixedAddresses = () => {
  if (!findProgram('setarch')) return 'setarch is not installed'
  const { status } = spawnSync(fixedAddresses[0], [fixedAddresses[1], 'true'])
  return status === 0 ? undefined : 'address randomization cannot be switched off here'
}

// Native tests wait for something half of the time.
const inShares = (...command) => node('scripts/native-test.mjs', '2', ...command)

// Single steps through instrumented code are many times as many, and find nothing that the same
// sweep does not find in the optimized build.
const withoutSingleSteps = ['log', 'store', 'ring'].map((room) => `--without=${room}_step`)

// What random campaigns find by their length they find in the optimized build.
const addressScale = '0.4'

const noFuzzing = () => {
  if (programNames('test/fuzz', '_fuzz.cc').length === 0) return 'there is no test/fuzz/*_fuzz.cc'
  return findClang() ? undefined : 'clang 14 with libFuzzer is not installed'
}

export const stages = [
  {
    name: 'build',
    about: 'the addon through cmake-js, TypeScript of lib and tests',
    alone: true,
    checks: [{ run: node('scripts/setup.mjs', '--tests') }],
  },
  {
    name: 'lint',
    about: 'eslint, prettier, clang-format',
    checks: [
      { run: tool('eslint/bin/eslint.js', '--max-warnings=0', '.') },
      { run: tool('prettier/bin/prettier.cjs', '--check', '.') },
      {
        run: [findClangFormat(), '--dry-run', '--Werror', ...cppFiles()],
        skip: noClangFormat,
      },
    ],
  },
  {
    name: 'layers',
    about: 'which room includes or imports which',
    checks: [{ run: node('scripts/check-layers.mjs'), counts: readCountLine }],
  },
  {
    name: 'tidy',
    about: 'sizes, words, error codes, the source list',
    checks: [{ run: node('scripts/check-tidy.mjs'), counts: readCountLine }],
  },
  {
    name: 'scripts',
    about: 'the tests of the scripts themselves',
    checks: [
      {
        run: node('--test', '--test-reporter=tap', ...listFiles(['scripts'], isScriptTest)),
        counts: readTap,
      },
    ],
  },
  {
    name: 'types',
    about: 'TypeScript 6 builds the tests, TypeScript 7 agrees about the types',
    checks: [
      { run: tool('typescript/bin/tsc', '--build', 'tsconfig.test.json') },
      { run: tool('typescript7/bin/tsc', '--noEmit', '--project', 'tsconfig.json') },
      { run: tool('typescript7/bin/tsc', '--noEmit', '--project', 'tsconfig.test.json') },
    ],
  },
  {
    name: 'unit',
    about: 'the package through its public interface',
    skip: noUnitTests,
    checks: [{ run: ava(), counts: readTap }],
  },
  {
    name: 'native',
    about: 'native tests, optimized; warnings of all C++, the addon included, are errors',
    prepare: () => presetCommands('release', { flags: withAddon }),
    checks: [{ run: inShares(presetFile('release', 'native-test')), counts: readCountLine }],
  },
  {
    name: 'mutants',
    about: 'every planted bug is noticed by the test named for it',
    prepare: () => presetCommands('release', { flags: withAddon, targets: ['mutants'] }),
    checks: [{ run: node('scripts/mutants.mjs'), counts: readCountLine }],
  },
  {
    name: 'powercut',
    about: 'what the real system calls leave after a power cut is recovered',
    checks: [
      { run: node('test/powercut/run.mjs'), counts: readCountLine },
      { run: node('test/powercut/run.mjs', '--store'), counts: readCountLine },
    ],
  },
  {
    name: 'explore',
    about: 'every run of small groups of replication cores, and of a small ring, to their bounds',
    prepare: () => presetCommands('release', { flags: withAddon }),
    checks: [
      { run: [presetFile('release', 'sim', 'explore')] },
      { run: [presetFile('release', 'sim', 'ring_model')] },
    ],
  },
  {
    name: 'native-asan',
    about: 'native tests under AddressSanitizer and UndefinedBehaviorSanitizer',
    prepare: () => presetCommands(asanPreset()),
    checks: [
      {
        run: inShares(presetFile(asanPreset(), 'native-test'), ...withoutSingleSteps),
        env: {
          RINGLEADER_TEST_SCALE: addressScale,
          ASAN_OPTIONS: 'detect_stack_use_after_return=1:strict_string_checks=1',
          UBSAN_OPTIONS: 'print_stacktrace=1',
        },
        counts: readCountLine,
      },
    ],
  },
  {
    name: 'fuzz',
    about: 'each fuzz target for a few seconds',
    skip: noFuzzing,
    prepare: () => presetCommands('fuzz'),
    checks: [{ run: node('scripts/fuzz.mjs', '--seconds', '5'), counts: readCountLine }],
  },
  {
    name: 'native-tsan',
    about: 'native tests in which threads meet, under ThreadSanitizer',
    skip: noFixedAddresses,
    prepare: () => presetCommands('tsan'),
    checks: [
      {
        run: inShares(...fixedAddresses, presetFile('tsan', 'native-test')),
        env: { TSAN_OPTIONS: 'second_deadlock_stack=1' },
        counts: readCountLine,
      },
    ],
  },
  {
    name: 'gyp',
    about: 'the addon built by node-gyp passes the unit tests of what it does natively',
    skip: noUnitTests,
    prepare: () => [node('scripts/build-gyp.mjs', '--quick')],
    checks: [
      {
        run: [...ava(), ...addonTests],
        env: { RINGLEADER_ADDON: at('build', 'gyp', 'ringleader.node') },
        counts: readTap,
      },
    ],
  },
  {
    name: 'packaging',
    about: 'npm pack, install into an empty project, import, require, types',
    checks: [{ run: node('scripts/check-package.mjs'), counts: readCountLine }],
  },
]
