// What several processes see of one environment while they change it: histories that are recorded
// and judged (test/support/history).
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { Environment, type Isolation } from 'ringleader'

import { scale, seedFor } from '../support/campaign.js'
import { check, report, type Anomaly } from '../support/history/check.js'
import { parseHistory, type Operation, type Transaction } from '../support/history/history.js'
import { listOptions, openLists } from '../support/history/lists.js'
import { linesOf, Recorder } from '../support/history/recorder.js'
import { randomNumbers } from '../support/history/simulator.js'
import { temporaryDirectory } from '../support/logs.js'
import { startProgram } from '../support/programs.js'

const processes = 3

interface Workload {
  isolation: Isolation
  seed: number
  /** Of each process; those whose outcome a kill has left open are not done again. */
  transactions: number
  /** Of each process. */
  kills: number
}

class Recording {
  readonly #t: ExecutionContext
  readonly #workload: Workload
  readonly #directory: string
  readonly #random: () => number
  readonly #files: string[] = []

  constructor(t: ExecutionContext, workload: Workload) {
    this.#t = t
    this.#workload = workload
    this.#directory = temporaryDirectory(t)
    this.#random = randomNumbers(workload.seed)
  }

  async run(): Promise<Transaction[]> {
    const directory = join(this.#directory, 'environment')
    const env = await Environment.open(directory, listOptions)
    const { lists } = openLists(env)
    await Promise.all(Array.from({ length: processes }, () => this.#lives(directory)))
    const recorder = new Recorder(this.#newFile(), 'last')
    const id = recorder.invoke('last', [])
    const ops = await env.transaction((transaction) =>
      transaction
        .range(lists)
        .toArray()
        .map(({ key, value }): Operation => ({ f: 'read', key, list: value })),
    )
    recorder.end('ok', id, 'last', ops)
    recorder.close()
    const { folds, conflicts, foldFailures } = env.stat()
    this.#t.true(folds > 0 && conflicts > 0 && foldFailures === 0)
    await env.verify()
    await env.close()
    return parseHistory(this.#files.flatMap(linesOf))
  }

  #newFile(): string {
    const file = join(this.#directory, `history-${this.#files.length}.jsonl`)
    this.#files.push(file)
    return file
  }

  // One process after the other, each of which but the last is killed.
  async #lives(directory: string): Promise<void> {
    let { transactions: left, kills } = this.#workload
    for (; left > 0; kills -= 1) {
      const dies = kills > 0
      const share = dies ? Math.ceil(left / (kills + 1)) : left
      left -= await this.#live(directory, left, dies ? 1 + this.#random() * share : Infinity)
    }
  }

  // How many transactions it has done.
  async #live(directory: string, transactions: number, killAt: number): Promise<number> {
    const { isolation } = this.#workload
    const client = this.#files.length
    const file = this.#newFile()
    const seed = Math.floor(this.#random() * 2 ** 31)
    const args = [directory, file, client, seed, isolation, transactions].map(String)
    const { child, messages, ended } = startProgram(this.#t, 'history-client', args)
    child.on('message', (done) => {
      if (Number(done) < killAt) return
      // Not behind the end of a transaction: at any moment.
      void pause(this.#random() * 5).then(() => child.kill('SIGKILL'))
    })
    const { code, signal, output } = await ended
    this.#t.true(code === 0 || signal === 'SIGKILL', `code ${code}, signal ${signal}\n${output}`)
    return Number(messages.at(-1) ?? 0)
  }
}

const record = (t: ExecutionContext, workload: Workload) => new Recording(t, workload).run()

const summaryOf = (history: Transaction[]): string => {
  const count = (outcome: string) => history.filter((one) => one.outcome === outcome).length
  return ['ok', 'aborted', 'unknown'].map((outcome) => `${count(outcome)} ${outcome}`).join(', ')
}

test('transactions of processes that are killed are strictly serializable', async (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  for (let round = 0; round < scale; round += 1) {
    const history = await record(t, {
      isolation: 'serializable',
      seed: seed + round,
      transactions: 500,
      kills: 2,
    })
    t.log(summaryOf(history))
    const unknown = history.filter(({ outcome }) => outcome === 'unknown')
    t.true(unknown.length > 0 && history.length > 1000)
    const verdict = check(history, 'strict-serializable')
    t.true(verdict.valid, report(verdict))
  }
})

test('the checker sees write skew where snapshots are asked for, and nothing worse', async (t) => {
  t.timeout(120_000 * scale)
  const seed = seedFor(t)
  const seen = new Set<Anomaly>()
  for (let round = 0; round < 10 * scale && !(seen.has('G2') && round >= scale); round += 1) {
    const history = await record(t, {
      isolation: 'snapshot',
      seed: seed + round,
      transactions: 300,
      kills: 1,
    })
    t.log(summaryOf(history))
    const verdict = check(history, 'strong-snapshot')
    t.true(verdict.valid, report(verdict))
    for (const type of check(history, 'strict-serializable').counts.keys()) seen.add(type)
  }
  t.true(seen.has('G2'), 'no write skew in so many transactions: the test sees nothing')
})
