// Power cuts under the real system calls: a program works on a log, or on a store (log, overlay and
// base tree), while io-recorder.c records what it does to its files; states that a power cut could
// have left are built from the record, and a checker recovers each of them. What the log itself
// does about crashes is tested on the simulated disk; this proves that the POSIX environment makes
// the calls that the simulation counts on.
//
//   node test/powercut/run.mjs [--states N] [--seed N] [--drop sync|dirsync]
//                              [--store] [--writer FILE] [--mutant NAME]
//
//   --store    cuts the power under a store, not under a log
//   --states   crash states of the healthy writer, 200; after each 1000 (of a store: 250) it runs
//              again, with the next seed. Runs with a planted bug stop at their first failure
//   --drop     only that run, with a kind of flush that does nothing: it must be noticed
//   --writer   the built program that is recorded, its checker beside it; default: builds both
//   --mutant   a bug planted in the writer (one in build/release/mutants): it must be noticed
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'

import { countLine, noCounts } from '../../scripts/support/counts.mjs'
import { buildPreset, presetFile } from '../../scripts/support/presets.mjs'
import { at } from '../../scripts/support/project.mjs'
import { findProgram } from '../../scripts/support/toolchain.mjs'
import { runMain } from '../../scripts/setup.mjs'
import { CrashModel, drawPolicy, everything } from './crash-model.mjs'
import { makeRandom } from './random.mjs'
import { readRecording } from './recording.mjs'

const writerLimitMs = 60_000
const answerLimitMs = 30_000
const failuresShown = 5

const { values } = parseArgs({
  options: {
    states: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    drop: { type: 'string' },
    store: { type: 'boolean', default: false },
    writer: { type: 'string' },
    mutant: { type: 'string', default: 'None' },
  },
})
const states = Number(values.states)
const firstSeed = Number(values.seed)

// What the programs are called, and how many steps are recorded.
const subject = values.store
  ? {
      writer: 'powercut_store',
      checker: 'powercut_store_checker',
      steps: 260,
      statesPerRecording: 250,
    }
  : { writer: 'powercut_writer', checker: 'powercut_checker', steps: 900, statesPerRecording: 1000 }

class Skip extends Error {}

// --- the recording -------------------------------------------------------------------------------

const buildRecorder = (directory) => {
  const compiler = findProgram('cc', 'gcc', 'clang')
  if (!compiler) throw new Skip('no C compiler is installed')
  const library = join(directory, 'io-recorder.so')
  const flags = ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-U_FORTIFY_SOURCE']
  const files = [at('test', 'powercut', 'io-recorder.c'), '-o', library, '-ldl', '-lpthread']
  const built = spawnSync(compiler, [...flags, '-shared', '-fPIC', ...files], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`io-recorder.c does not compile:\n${built.stderr}`)
  const probe = join(directory, 'probe')
  spawnSync('true', { env: { LD_PRELOAD: library, RECORD_DIR: directory, RECORD_LOG: probe } })
  if (!existsSync(probe)) throw new Skip('programs cannot be preloaded with a library here')
  return library
}

// Without the rest of the preset, which takes far longer.
const buildPrograms = async () => {
  await buildPreset('release', { targets: [subject.writer, subject.checker] })
}

// Runs the writer; the operations it made, and the directory as it left it.
const record = (tools, directory, { seed, drop }) => {
  const files = join(directory, 'files')
  const log = join(directory, 'record')
  const marks = join(directory, 'marks')
  mkdirSync(files, { recursive: true })
  const args = [join(files, 'env'), marks, String(seed), String(subject.steps), values.mutant]
  const env = {
    ...process.env,
    LD_PRELOAD: tools.recorder,
    RECORD_DIR: files,
    RECORD_LOG: log,
    RECORD_MARKS: marks,
    RECORD_DROP: drop ?? '',
  }
  const options = { env, encoding: 'utf8', timeout: writerLimitMs, killSignal: 'SIGKILL' }
  const { status, stderr } = spawnSync(tools.writer, args, options)
  // A planted bug may show when the writer opens its log again; what it did until then is recorded.
  const stopped = status === 1 && values.mutant !== 'None'
  if (status !== 0 && !stopped) throw new Error(`${subject.writer} ended with ${status}: ${stderr}`)
  return { files, operations: readRecording(readFileSync(log)) }
}

// What the writer had promised after the first `count` operations.
const promisesAt = (operations, count) => {
  const promises = { O: undefined, C: undefined, A: 0, P: 0, N: 0 }
  for (const { kind, text } of operations.slice(0, count)) {
    if (kind === 'mark') promises[text[0]] = Number(text.slice(1))
  }
  return promises
}

// --- the states ----------------------------------------------------------------------------------

const writeState = (directory, state) => {
  mkdirSync(directory)
  for (const [path, content] of state) {
    if (content === 'directory') mkdirSync(join(directory, path))
    else writeFileSync(join(directory, path), content)
  }
}

const readState = (directory) => {
  const state = new Map()
  for (const path of readdirSync(directory, { recursive: true }).sort()) {
    const file = join(directory, path)
    state.set(path, statSync(file).isDirectory() ? 'directory' : readFileSync(file))
  }
  return state
}

// The difference of two states in words, or undefined.
const difference = (left, right) => {
  for (const path of new Set([...left.keys(), ...right.keys()])) {
    // LMDB's table of readers is written through a map, and worth nothing after a power cut.
    if (path.endsWith('-lock') || path.endsWith('lock.mdb')) continue
    const [one, other] = [left.get(path), right.get(path)]
    if (one === undefined || other === undefined) return `${path} is in one of them only`
    if (Buffer.compare(Buffer.from(one), Buffer.from(other)) !== 0) return `${path} differs`
  }
  return undefined
}

// What an answer of the checker lacks of the promises, or undefined.
const judgeLog = (answer, promises) => {
  const [verdict, ...fields] = answer.split(' ')
  if (verdict === 'missing') {
    return promises.O === undefined ? undefined : 'the environment is missing'
  }
  if (verdict !== 'ok' && verdict !== 'empty') return answer
  const [consumer, salvaged] = fields.slice(-2)
  const [first, end] = verdict === 'ok' ? fields.map(Number) : [0, 0]
  if (salvaged !== '0') return `salvaged ${salvaged} bytes from memory that did not exist`
  if (end < promises.A) return `${promises.A} payloads were flushed, found ${end}`
  if (end > promises.P) return `${promises.P} payloads were appended, found ${end}`
  if (first > promises.N) return `payload ${promises.N} is needed, the log begins with ${first}`
  if (promises.C !== undefined && consumer === '-') return 'the consumer is missing'
  if (consumer !== '-' && Number(consumer) > promises.N) {
    return `the consumer is at ${consumer}, it had come to ${promises.N}`
  }
  return undefined
}

const judgeStore = (answer, promises) => {
  const [verdict, first, last] = answer.split(' ')
  if (verdict === 'missing' || verdict === 'unfinished') {
    return promises.O === undefined ? undefined : `the environment is ${verdict}`
  }
  if (verdict !== 'ok') return answer
  if (Number(last) < promises.A) return `${promises.A} steps were flushed, found ${last}`
  if (Number(first) > promises.P) return `${promises.P} steps were begun, found ${first}`
  return undefined
}

const judge = values.store ? judgeStore : judgeLog

class Checker {
  #child
  #lines

  constructor(program, seed) {
    this.#child = spawn(program, values.store ? [String(seed), String(subject.steps)] : [], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#child.stdin.on('error', () => {}) // told by the missing answer
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  // What it says about a directory; dying or hanging is an answer too.
  async ask(directory) {
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), answerLimitMs)
    this.#child.stdin.write(`${directory}\n`)
    const { value } = await this.#lines.next()
    clearTimeout(timer)
    return value ?? 'bad: the checker died or hung'
  }

  get alive() {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  async end() {
    if (!this.alive) return
    this.#child.stdin.end()
    await once(this.#child, 'exit')
  }
}

// Builds `count` states and calls onFailure with each that breaks a promise, until that returns
// false; resolves with how many were built.
const cut = async (tools, operations, directory, { seed, count }, onFailure) => {
  const cuts = Array.from({ length: count }, (_, index) => {
    const random = makeRandom(seed, index)
    return { index, random, point: random.below(operations.length + 1) }
  }).sort((left, right) => left.point - right.point)
  const model = new CrashModel()
  let applied = 0
  let checker = new Checker(tools.checker, seed)
  let built = 0
  for (const { index, random, point } of cuts) {
    while (applied < point) model.apply(operations[applied++])
    const files = join(directory, `state-${index}`)
    writeState(files, model.crash(drawPolicy(random)))
    if (!checker.alive) checker = new Checker(tools.checker, seed)
    const answer = await checker.ask(join(files, 'env'))
    built += 1
    rmSync(files, { recursive: true })
    const problem = judge(answer, promisesAt(operations, point))
    const where = `seed ${seed}, state ${index}, cut after ${point} of ${operations.length}`
    if (problem && onFailure(`${where}: ${problem}`) === false) break
  }
  await checker.end()
  return built
}

// --- the runs ------------------------------------------------------------------------------------

const runHealthy = async (tools, directory, counts, { seed, count }) => {
  const { files, operations } = record(tools, directory, { seed })
  const model = new CrashModel()
  for (const operation of operations) model.apply(operation)
  const unseen = difference(model.crash(everything), readState(files))
  counts[unseen ? 'failed' : 'passed'] += 1
  if (unseen) console.log(`FAILED seed ${seed}: the record is not what happened: ${unseen}`)
  let failed = 0
  const built = await cut(tools, operations, directory, { seed, count }, (text) => {
    failed += 1
    if (failed <= failuresShown) console.log(`FAILED ${text}`)
  })
  counts.passed += built - failed
  counts.failed += failed
  console.log(`seed ${seed}: ${operations.length} operations, ${built} crash states checked`)
}

const runPlanted = async (tools, directory, counts, { name, drop }) => {
  const seed = firstSeed
  const { operations } = record(tools, directory, { seed, drop })
  let noticed
  const built = await cut(tools, operations, directory, { seed, count: states }, (text) => {
    noticed = text
    return false
  })
  counts[noticed ? 'passed' : 'failed'] += 1
  if (noticed) console.log(`${name}: noticed in ${built} states (${noticed})`)
  else console.log(`FAILED ${name}: not noticed in ${built} states, seed ${seed}`)
}

const runAll = async (tools, directory, counts) => {
  const planted = (name, drop) =>
    runPlanted(tools, join(directory, name), counts, { name: `planted bug ${name}`, drop })
  if (values.mutant !== 'None') return planted(values.mutant)
  if (values.drop) return planted(values.drop, values.drop)
  for (let done = 0; done < states; done += subject.statesPerRecording) {
    const seed = firstSeed + done / subject.statesPerRecording
    const count = Math.min(subject.statesPerRecording, states - done)
    await runHealthy(tools, join(directory, `seed-${seed}`), counts, { seed, count })
  }
  await planted('sync', 'sync')
  await planted('dirsync', 'dirsync')
}

await runMain(async () => {
  // Memory: states are many and short-lived, and what is flushed does not matter here.
  const place = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const directory = realpathSync(mkdtempSync(join(place, 'ringleader-powercut-')))
  const counts = noCounts()
  try {
    const recorder = buildRecorder(directory)
    if (!values.writer) await buildPrograms()
    const writer = values.writer ?? presetFile('release', 'programs', subject.writer)
    const checker = join(dirname(writer), subject.checker)
    await runAll({ recorder, writer, checker }, directory, counts)
    console.log(countLine(counts))
    if (counts.failed > 0 || counts.passed === 0) process.exitCode = 1
  } catch (error) {
    if (!(error instanceof Skip)) throw error
    console.log(`skipped: ${error.message}`)
    process.exitCode = 77
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
})
