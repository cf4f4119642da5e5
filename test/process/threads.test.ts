// Several threads of one process on one log, each with an environment of its own.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'

import { openLog, readTexts } from '../support/logs.js'
import { programFile } from '../support/programs.js'
import type { ThreadTask } from './programs/thread-writer.js'

interface Thread {
  worker: Worker
  acknowledged: number[]
  ended: Promise<unknown>
}

const startThread = (t: ExecutionContext, task: ThreadTask): Thread => {
  const worker = new Worker(programFile('thread-writer'), { workerData: task })
  t.teardown(() => worker.terminate())
  const acknowledged: number[] = []
  worker.on('message', (number: number) => acknowledged.push(number))
  worker.on('error', (error) => {
    t.fail(`${task.name}: ${error.message}`)
  })
  return { worker, acknowledged, ended: once(worker, 'exit') }
}

const numbersOf = (texts: string[], name: string) =>
  texts
    .map((text) => text.split(' '))
    .flatMap(([of, number]) => (of === name ? [Number(number)] : []))

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

test('threads append to one log at the same time', async (t) => {
  const log = await openLog(t)
  const { directory } = log
  const threads = ['a', 'b', 'c'].map((name, i) =>
    startThread(t, { directory, name, count: 2000, leaveOpen: i === 1 }),
  )
  for (const { ended } of threads) t.deepEqual(await ended, [0])
  const texts = await readTexts(log)
  for (const name of ['a', 'b', 'c']) t.deepEqual(numbersOf(texts, name), upTo(2000), name)
  t.is(await log.verify(), 6000)
})

test('a thread that is terminated takes nothing with it', async (t) => {
  const log = await openLog(t)
  const { directory } = log
  for (const round of upTo(8)) {
    const name = `round${round}`
    const thread = startThread(t, { directory, name, count: 1_000_000, leaveOpen: true })
    while (thread.acknowledged.length < 1 + round * 50) await once(thread.worker, 'message')
    await Promise.all([thread.worker.terminate(), log.append(`main ${round}`)])
    await thread.ended
    const numbers = numbersOf(await readTexts(log), name)
    t.deepEqual(numbers, upTo(numbers.length))
    t.true(thread.acknowledged.every((number) => number < numbers.length))
  }
  t.is(numbersOf(await readTexts(log), 'main').length, 8)
})

test('threads that are terminated at any moment do no harm', async (t) => {
  const log = await openLog(t)
  const { directory } = log
  for (const round of upTo(30)) {
    const thread = startThread(t, { directory, name: 'x', count: 100_000, leaveOpen: true })
    await new Promise((resolve) => setTimeout(resolve, round * 5))
    await thread.worker.terminate()
  }
  await log.append('main')
  t.true((await log.verify()) >= 1)
})
