// Several threads of one process in one environment: they share the native half.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'

import { openEnvironment } from '../support/environments.js'
import { programFile } from '../support/programs.js'
import type { TransferTask } from './programs/thread-transfers.js'

const accounts = 20
const balance = 100

const startThread = (t: ExecutionContext, task: TransferTask) => {
  const worker = new Worker(programFile('thread-transfers'), { workerData: task })
  t.teardown(() => worker.terminate())
  worker.on('error', (error) => {
    t.fail(error.message)
  })
  return { worker, ended: once(worker, 'exit') }
}

const openBank = async (t: ExecutionContext) => {
  const env = await openEnvironment(t)
  const bank = env.database<number, number>('bank', { key: 'tuple', value: 'number' })
  await bank.putMany(Array.from({ length: accounts }, (_, i) => [i, balance]))
  const total = () => [...bank.values()].reduce((sum, value) => sum + value, 0)
  return { env, bank, total }
}

test('threads that move money lose none', async (t) => {
  const { env, total } = await openBank(t)
  const { directory } = env
  const threads = [false, true, false].map((leaveOpen) =>
    startThread(t, { directory, accounts, transfers: 300, leaveOpen }),
  )
  const watching = setInterval(() => {
    t.is(total(), accounts * balance)
  }, 5)
  for (const { ended } of threads) t.deepEqual(await ended, [0])
  clearInterval(watching)
  t.is(total(), accounts * balance)
  t.is(env.database('done', { value: 'number' }).get('transfers'), 900)
})

test('threads that are terminated at any moment do the environment no harm', async (t) => {
  const { env, total } = await openBank(t)
  const { directory } = env
  for (let round = 0; round < 25; round += 1) {
    const task = { directory, accounts, transfers: 1_000_000, leaveOpen: true }
    const { worker } = startThread(t, task)
    await new Promise((resolve) => setTimeout(resolve, round * 8))
    await worker.terminate()
    t.is(total(), accounts * balance)
  }
  await env.database('a').put('main', 'goes on')
  await env.verify()
})

test('the last thread that leaves closes the environment', async (t) => {
  const { env } = await openBank(t)
  const { directory } = env
  const task = { directory, accounts, transfers: 200, leaveOpen: true }
  const { worker, ended } = startThread(t, task)
  await once(worker, 'message')
  await env.close()
  t.deepEqual(await ended, [0])
  const again = await openEnvironment(t, { create: false }, directory)
  t.like(again.stat().log, { salvagedBytes: 0, recoveredTornTail: false })
  t.is(again.database('done', { value: 'number' }).get('transfers'), 200)
})
