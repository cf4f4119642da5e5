// A worker thread that moves money between accounts until it has done its share or is terminated.
// Its data: directory, number of accounts and of transfers, and whether to leave the environment
// open at the end. Posts a message when it has begun.
import { setImmediate } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

import { Environment } from 'ringleader'

export interface TransferTask {
  directory: string
  accounts: number
  transfers: number
  leaveOpen: boolean
}

const task = workerData as TransferTask
const env = await Environment.open(task.directory)
const bank = env.database<number, number>('bank', { key: 'tuple', value: 'number' })
const done = env.database('done', { value: 'number' })
parentPort?.postMessage('open')
let left = task.transfers

const transfer = async (from: number, to: number) => {
  await env.transaction(
    async (tx) => {
      const amount = Math.min(tx.get(bank, from) ?? 0, 7)
      await setImmediate()
      tx.put(bank, from, (tx.get(bank, from) ?? 0) - amount)
      tx.put(bank, to, (tx.get(bank, to) ?? 0) + amount)
    },
    { durability: left % 2 === 0 ? 'flushed' : 'memory' },
  )
  await done.add('transfers', 1, { durability: 'memory' })
}

const work = async () => {
  while (left > 0) {
    left -= 1
    const from = Math.floor(Math.random() * task.accounts)
    await transfer(
      from,
      (from + 1 + Math.floor(Math.random() * (task.accounts - 1))) % task.accounts,
    )
    const rows = [...bank.range({ reverse: true, limit: 5 })]
    if (rows.length !== 5) throw new Error(`${rows.length} rows`)
  }
}

await Promise.all(Array.from({ length: 20 }, work))
if (!task.leaveOpen) await env.close()
