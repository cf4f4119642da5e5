// An environment against other embedded stores, in rounds in which all of them take their turns.
//
//   peers.bench.js [--peers A,B] [--measures A,B] [--rounds N] [--rows N] [--reads N] [--seconds N]
//                  [--dir DIR]
//
// Peers: lmdb (its default settings, and its promise of the flush awaited), lmdb-sync (a commit
// flushes before it is done), lmdb-committed (default, without awaiting the flush: not durable),
// better-sqlite3, classic-level. One that is not installed or built is left out.
// Measures: get, get-into, get-many, scan (each with all rows in the base tree, and with a fifth of
// them rewritten since, in the overlay), put, put-settled, put-serial, transaction, processes.
//
// All get the same rows (16-byte keys, 100-byte values), loaded in the order of the keys, and the
// same keys in the same order; whatever is read is checked. Puts and transactions are flushed to
// the disk before they count (except for lmdb-committed). Each line has the median of the rounds,
// and the least and the most; a ratio is that of neighbours in a round.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { reads, writeInProcesses, writes, type Measure, type Round } from './support/measures.js'
import type { Peer } from './support/peer.js'
import { openPeer, peerKinds } from './support/peers.js'
import { openRingleader } from './support/ringleader-peer.js'
import { mostRows, rowsInOrder, someRows } from './support/rows.js'
import { figure, showSpread, spreadOf } from './support/statistics.js'

const ours = 'ringleader'
const others = Object.keys(peerKinds).filter((name) => name !== ours)
const processes = 'processes'
const writers = 4

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: others.join() },
    measures: {
      type: 'string',
      default: [...Object.keys({ ...reads, ...writes }), processes].join(),
    },
    rounds: { type: 'string', default: '5' },
    rows: { type: 'string', default: '1000000' },
    reads: { type: 'string', default: '200000' },
    seconds: { type: 'string', default: '2' },
    dir: { type: 'string', default: tmpdir() },
  },
})

const rounds = Number(values.rounds)
const rows = Math.min(Number(values.rows), mostRows)
const readCount = Number(values.reads)
const seconds = Number(values.seconds)
const chosen = new Set(values.measures.split(','))
const directory = mkdtempSync(join(values.dir, 'ringleader-bench-'))

/** Figures of the rounds, by peer. */
type Figures = Map<string, number[]>

const targetPeers = ['lmdb', 'lmdb-sync']
let missed = 0

const print = (title: string, figures: Figures, target: Measure['target']) => {
  console.log(title)
  const own = figures.get(ours) ?? []
  for (const [name, theirs] of figures) {
    let line = `  ${name.padEnd(16)}${showSpread(spreadOf(theirs)).padEnd(36)}`
    if (name !== ours) {
      const ratio = spreadOf(theirs.map((rate, i) => (own[i] ?? NaN) / rate))
      line += `ringleader/it ${showSpread(ratio).padEnd(24)}`
      if (target && targetPeers.includes(name)) line += verdict(ratio.median, target)
    }
    console.log(line.trimEnd())
  }
}

const verdict = (ratio: number, { least, aim }: { least: number; aim: number }): string => {
  if (ratio >= aim) return `aim ${aim} reached`
  if (ratio >= least) return `target ${least} reached, aim ${aim} not`
  missed += 1
  return `target ${least} MISSED`
}

const roundAt = (number: number): Round => ({
  some: someRows(readCount, rows, (number * readCount) % rows, number),
  rows,
  seconds,
})

const measureAll = async (
  measures: Readonly<Record<string, Measure>>,
  peers: readonly Peer[],
  state: string,
) => {
  const wanted = Object.entries(measures).filter(([name]) => chosen.has(name))
  const results = new Map<Measure, Figures>()
  for (let number = 1; number <= rounds; number += 1) {
    const round = roundAt(number)
    for (const [, measure] of wanted) {
      const figures = results.get(measure) ?? new Map<string, number[]>()
      results.set(measure, figures)
      for (const peer of peers) {
        const rate = await measure.run(peer, round)
        if (rate === undefined) continue
        figures.set(peer.name, [...(figures.get(peer.name) ?? []), rate])
      }
    }
  }
  for (const [{ title, target }, figures] of results) print(`${title}/s${state}`, figures, target)
}

const openLoaded = async (name: string): Promise<Peer | undefined> => {
  try {
    const peer = await openPeer(name, directory)
    await peer.load(rowsInOrder(rows))
    return peer
  } catch (error) {
    if (name === ours) throw error
    const [reason] = String(error).split('\n')
    console.log(`${name} is left out: ${reason}`)
    return undefined
  }
}

/** A fifth of the rows, rewritten in transactions of 1,000. */
const rewriteSome = async (peer: Peer) => {
  const { keys, values: given } = someRows(Math.ceil(rows / 5), rows, 0, rounds + 1)
  for (let first = 0; first < keys.length; first += 1000) {
    const some = keys.slice(first, first + 1000)
    await peer.putMany(some.map((key, i) => [key, given[first + i] ?? key] as const))
  }
}

const reopenOurs = async (peers: Peer[], options?: { foldIntervalMs: number }) => {
  await peers[0]?.close()
  peers[0] = await openRingleader(join(directory, ours), options)
}

const measureReads = async (all: Peer[]) => {
  const peers = all.filter(({ name }) => !peerKinds[name]?.writesOnly)
  await reopenOurs(peers, { foldIntervalMs: 3_600_000 })
  await peers[0]?.settle?.()
  for (const peer of peers) await reads.scan?.run(peer, roundAt(0)) // brings it into memory
  await measureAll(reads, peers, ', all in the base tree')
  for (const peer of peers) await rewriteSome(peer)
  await measureAll(reads, peers, ', a fifth in the overlay')
  await reopenOurs(peers)
  const [reopened] = peers
  if (reopened) all[0] = reopened
}

const measureProcesses = async (names: readonly string[]) => {
  const kinds = names.filter((name) => peerKinds[name]?.processes)
  const scale = new Map<string, number[]>(kinds.map((name) => [name, []]))
  const sums = new Map<string, number[]>(kinds.map((name) => [name, []]))
  for (let round = 0; round < rounds; round += 1) {
    for (const name of kinds) {
      const alone = await writeInProcesses(1, name, directory, { rows, seconds })
      const together = await writeInProcesses(writers, name, directory, { rows, seconds })
      scale.get(name)?.push(together / alone)
      sums.get(name)?.push(together)
    }
  }
  print(`put, ${writers} processes with 1,000 outstanding each, together/s`, sums, undefined)
  console.log(`  ${writers} processes together against one (target for ringleader 0.8)`)
  for (const [name, ratios] of scale) {
    console.log(`  ${name.padEnd(16)}${showSpread(spreadOf(ratios))}`)
    if (name === ours && spreadOf(ratios).median < 0.8) missed += 1
  }
}

try {
  console.log(`${figure(rows)} rows, medians of ${rounds} rounds (least-most)`)
  const peers: Peer[] = []
  for (const name of [ours, ...values.peers.split(',').filter((given) => given !== '')]) {
    const peer = await openLoaded(name)
    if (peer) peers.push(peer)
  }
  if (Object.keys(reads).some((name) => chosen.has(name))) await measureReads(peers)
  await measureAll(writes, peers, '')
  for (const peer of peers) await peer.close()
  if (chosen.has(processes)) await measureProcesses(peers.map(({ name }) => name))
  console.log(missed === 0 ? 'every target reached' : `${missed} targets missed`)
} finally {
  rmSync(directory, { recursive: true })
}
