// Runs the fuzz targets, one after the other.
//
//   node scripts/fuzz.mjs [--seconds N] [NAME...]      N seconds for each target, default 60
//
// A target NAME is test/fuzz/NAME.cc; inputs it starts from are in test/fuzz/corpus/NAME/, words of
// its format in test/fuzz/NAME.dict. What it learns stays in build/fuzz-corpus/NAME/; an input that
// fails is kept in build/fuzz-failures/NAME/, to be run with build/fuzz/fuzz/NAME FILE.
import { existsSync, mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'

import { countLine } from './support/counts.mjs'
import { buildPreset, findClang, presetFile, programNames } from './support/presets.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'
import { runMain, SetupError } from './setup.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '60' } },
})

const fuzz = async (name) => {
  const learned = at('build', 'fuzz-corpus', name)
  const failures = at('build', 'fuzz-failures', name)
  const seeds = at('test', 'fuzz', 'corpus', name)
  const dictionary = at('test', 'fuzz', `${name}.dict`)
  mkdirSync(learned, { recursive: true })
  mkdirSync(failures, { recursive: true })
  const flags = [
    `-max_total_time=${values.seconds}`,
    `-artifact_prefix=${failures}/`,
    '-timeout=25',
  ]
  if (existsSync(dictionary)) flags.push(`-dict=${dictionary}`)
  const corpora = existsSync(seeds) ? [learned, seeds] : [learned]
  const command = [presetFile('fuzz', 'fuzz', name), ...flags, '-print_final_stats=1', ...corpora]
  console.log(`fuzz ${name}`)
  return (await run(command)).code === 0
}

await runMain(async () => {
  if (!findClang()) throw new SetupError('the fuzz targets need clang 14: apt-get install clang-14')
  const all = programNames('test/fuzz', '_fuzz.cc')
  const unknown = positionals.filter((name) => !all.includes(name))
  if (unknown.length > 0) throw new SetupError(`no fuzz target ${unknown}; there are: ${all}`)
  const chosen = positionals.length > 0 ? positionals : all
  await buildPreset('fuzz', { targets: chosen })
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const name of chosen) {
    if (await fuzz(name)) counts.passed += 1
    else counts.failed += 1
  }
  console.log(countLine(counts))
  if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1
})
