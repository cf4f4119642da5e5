// What is measured, per second. A measure gives undefined where a peer has nothing for it.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { Peer } from './peer.js'
import { change, put, runWindow, type Operation } from './put-window.js'
import { checkRow, checkValue, type SomeRows } from './rows.js'
import type { Order } from './writer-process.js'

export interface Round {
  /** Of all rows, those that are read or written in this round. */
  some: SomeRows
  rows: number
  seconds: number
}

export interface Measure {
  title: string
  run: (peer: Peer, round: Round) => number | undefined | Promise<number | undefined>
  /** What ringleader has to reach against lmdb, and what it is meant to. */
  target?: { least: number; aim: number }
}

const secondsSince = (began: number): number => (performance.now() - began) / 1000

const readEach = (get: Peer['get'], { some }: Round): number => {
  const { keys, numbers } = some
  const began = performance.now()
  keys.forEach((key, i) => {
    checkValue(get(key), numbers[i] ?? 0)
  })
  return keys.length / secondsSince(began)
}

const manyKeys = 1000

const readMany = async (peer: Peer, { some }: Round): Promise<number | undefined> => {
  if (!peer.getMany) return undefined
  const { keys, numbers } = some
  const began = performance.now()
  for (let first = 0; first < keys.length; first += manyKeys) {
    const values = await peer.getMany(keys.slice(first, first + manyKeys))
    values.forEach((value, i) => {
      checkValue(value, numbers[first + i] ?? 0)
    })
  }
  return keys.length / secondsSince(began)
}

const scan = async (peer: Peer, { rows }: Round): Promise<number> => {
  const began = performance.now()
  const count = await peer.scan(checkRow)
  if (count !== rows) throw new Error(`${peer.name}: ${count} rows of ${rows}`)
  return count / secondsSince(began)
}

/** In the order in which they are run. */
export const reads: Readonly<Record<string, Measure>> = {
  get: {
    title: 'get into an own Buffer',
    run: (peer, round) => readEach((key) => peer.get(key), round),
    target: { least: 1.5, aim: 2 },
  },
  'get-into': {
    title: 'get into a Buffer used again',
    run: (peer, round) => {
      const { getTemporary } = peer
      return getTemporary && readEach((key) => getTemporary(key), round)
    },
    target: { least: 1.5, aim: 2 },
  },
  'get-many': {
    title: 'getMany of 1,000, keys',
    run: readMany,
    target: { least: 1, aim: 1.5 },
  },
  scan: {
    title: 'range over all, rows',
    run: scan,
    target: { least: 1, aim: 1.5 },
  },
}

const window = async (peer: Peer, round: Round, operation: Operation, outstanding: number) => {
  const { some, seconds } = round
  const done = await runWindow(peer, some, operation, outstanding, seconds * 1000)
  // What it still has to do in the background is not to be the next one's load.
  await peer.settle?.()
  return done.operations / done.seconds
}

const putUntilSettled = async (peer: Peer, { some, seconds }: Round) => {
  const began = performance.now()
  const { operations } = await runWindow(peer, some, put, 1000, seconds * 1000)
  await peer.settle?.()
  return operations / secondsSince(began)
}

export const writes: Readonly<Record<string, Measure>> = {
  put: {
    title: 'put, 1,000 outstanding',
    run: (peer, round) => window(peer, round, put, 1000),
    target: { least: 6, aim: 15 },
  },
  'put-settled': {
    title: 'the same, the fold of it included',
    run: putUntilSettled,
  },
  'put-serial': {
    title: 'put, one by one',
    run: (peer, round) => window(peer, round, put, 1),
    target: { least: 2, aim: 3 },
  },
  transaction: {
    title: 'transaction get + put, 1,000 outst.',
    run: (peer, round) => (peer.change ? window(peer, round, change, 1000) : undefined),
    target: { least: 4, aim: 8 },
  },
}

/** Puts per second of so many processes together. */
export const writeInProcesses = async (
  count: number,
  name: string,
  directory: string,
  { rows, seconds }: { rows: number; seconds: number },
): Promise<number> => {
  const share = Math.min(100_000, Math.floor(rows / count)) // no row is put by two of them
  const program = fileURLToPath(new URL('writer-process.js', import.meta.url))
  const children = Array.from({ length: count }, () => fork(program, [name, directory, '1000']))
  await Promise.all(children.map((child) => messageOf(child)))
  const rates = await Promise.all(
    children.map(async (child, i) => {
      const order: Order = { seconds, rows, count: share, first: share * i }
      child.send(order)
      const rate = Number(await messageOf(child))
      if (child.exitCode === null) await once(child, 'exit')
      return rate
    }),
  )
  return rates.reduce((sum, rate) => sum + rate, 0)
}

const messageOf = (child: ChildProcess): Promise<unknown> =>
  new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', (code) => {
      reject(new Error(`a writing process has ended: ${String(code)}`))
    })
  })
