// Builds and runs the benches, one after the other.
//
//   node scripts/bench.mjs [--list] [NAME...] [-- ARGUMENT...]
//
// Native benches are bench/native/NAME.cc; JavaScript ones are bench/NAME.bench.ts. Arguments after
// the second -- go to each bench. (Through npm: npm run bench -- NAME -- ARGUMENT.)
import { parseArgs } from 'node:util'

import { buildPreset, presetFile, programNames } from './support/presets.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'
import { runMain, setup, SetupError } from './setup.mjs'

const split = process.argv.indexOf('--')
const own = process.argv.slice(2, split < 0 ? undefined : split)
const passedOn = split < 0 ? [] : process.argv.slice(split + 1)
const { values, positionals } = parseArgs({
  args: own,
  allowPositionals: true,
  options: { list: { type: 'boolean' } },
})

const benches = () => {
  const scriptFile = (name) => at('dist-test', 'bench', `${name}.js`)
  const native = programNames('bench/native', '.cc').map((name) => ({
    name,
    native: true,
    command: [presetFile('release', 'bench', name)],
  }))
  const scripts = programNames('bench', '.bench.ts').map((name) => ({
    name: name.replace('.bench', ''),
    native: false,
    command: [process.execPath, scriptFile(name)],
  }))
  return [...native, ...scripts]
}

const buildFor = async (chosen) => {
  if (chosen.some((bench) => !bench.native)) await setup({ tests: true })
  if (chosen.some((bench) => bench.native)) await buildPreset('release')
}

await runMain(async () => {
  const all = benches()
  const names = all.map((bench) => bench.name)
  const unknown = positionals.filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new SetupError(`no bench ${unknown}; there are: ${names}`)
  if (values.list) {
    console.log(names.join('\n'))
    return
  }
  const chosen = all.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
  await buildFor(chosen)
  for (const { name, command } of chosen) {
    console.log(`\n== ${name}`)
    const { code } = await run([...command, ...passedOn])
    if (code !== 0) process.exitCode = 1
  }
})
