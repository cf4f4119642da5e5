// A roll-back by somebody else, at a moment when nobody can have told this thread anything.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import test from 'ava'

import { openEnvironment } from '../support/environments.js'
import { programFile } from '../support/programs.js'
import { asked, done, waiting, type RollBackTask } from './programs/roll-back-words.js'

const half = 2 ** 30

test('whoever waits for what a roll-back takes back is told so', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const words = new Int32Array(new SharedArrayBuffer(12))
  const task: RollBackTask = { directory: env.directory, words }
  const worker = new Worker(programFile('roll-back-thread'), { workerData: task })
  t.teardown(() => worker.terminate())
  await once(worker, 'message')
  // This thread stands still meanwhile: it hears of progress when the event loop goes on.
  const rollBack = (end: number) => {
    Atomics.store(words, 1, end % half)
    Atomics.store(words, 2, Math.floor(end / half))
    Atomics.store(words, 0, asked)
    Atomics.notify(words, 0)
    t.is(Atomics.wait(words, 0, asked, 30_000), 'ok')
    t.is(Atomics.load(words, 0), done)
    Atomics.store(words, 0, waiting)
  }
  let forced = 0
  for (let round = 0; round < 20; round += 1) {
    const { end } = await database.put('kept', round)
    const settled = new Set<number>()
    const puts = Array.from({ length: 20 }, (_, i) => database.put(`${i}`, round))
    const outcomes = puts.map(async (put, i) => {
      const [outcome] = await Promise.allSettled([put])
      settled.add(i)
      return outcome
    })
    // Behind the hand-over, which is at the end of this turn; what has settled by then was quick.
    await new Promise<void>((resolve) => {
      process.nextTick(resolve)
    })
    const quick = new Set(settled)
    rollBack(end)
    for (const [i, outcome] of (await Promise.all(outcomes)).entries()) {
      if (quick.has(i)) continue
      forced += 1
      t.is(outcome.status, 'rejected')
      if (outcome.status !== 'rejected') continue
      t.like(outcome.reason, { code: 'RL_ROLLED_BACK', fate: 'unknown', retry: 'no' })
    }
    t.deepEqual([...database.range()], [{ key: 'kept', value: round }])
    // Who waits for a position is told too, and who comes later has nothing to do with it.
    t.true((await database.put('kept', round)).end > end)
  }
  t.true(forced > 0)
  t.is(env.stat().rollBacks, 20)
})
