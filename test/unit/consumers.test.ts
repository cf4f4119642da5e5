import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import type { Log } from 'ringleader'

import { openLog, patternBytes, readAll, small, temporaryDirectory } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

const KiB = 1024

// Fills about that many segments of 64 KiB.
const fillSegments = async (log: Log, count: number) => {
  const payload = patternBytes(8 * KiB)
  await Promise.all(Array.from({ length: count * 8 }, () => log.append(payload)))
}

const segmentFiles = (log: Log) => readdirSync(join(log.directory, 'log')).sort()

// The log's background thread does what is waited for here; ava gives up if it never does.
const eventually = async (condition: () => boolean) => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

test('consumers are put, told, advanced and removed', async (t) => {
  const log = await openLog(t)
  t.deepEqual(log.consumers(), [])
  await log.putConsumer('tree')
  await log.putConsumer('ß🜁', { position: 0, maxBytes: 1_000_000, maxAgeMs: 1500.5 })
  const fresh = { position: 0, maxBytes: 0, maxAgeMs: 0, broken: false }
  t.deepEqual(log.consumers(), [
    { name: 'tree', ...fresh },
    { name: 'ß🜁', position: 0, maxBytes: 1_000_000, maxAgeMs: 1500.5, broken: false },
  ])
  const { end } = await log.append('a')
  log.advanceConsumer('tree', end)
  log.advanceConsumer('tree', 4096) // a lower one changes nothing
  t.is(log.consumers()[0]?.position, end)
  await log.putConsumer('tree', { position: 0, maxBytes: 5_000_000 }) // keeps its position
  t.like(log.consumers()[0], { position: end, maxBytes: 5_000_000 })
  await log.removeConsumer('tree')
  t.deepEqual(
    log.consumers().map(({ name }) => name),
    ['ß🜁'],
  )
})

test('consumers are there after reopening', async (t) => {
  const log = await openLog(t)
  const { end } = await log.append('a')
  await log.putConsumer('tree', { maxBytes: 77_000, maxAgeMs: 1000 })
  log.advanceConsumer('tree', end)
  const before = log.consumers()
  await log.close()
  const again = await openLog(t, {}, log.directory)
  t.deepEqual(again.consumers(), before)
})

test('names of every length up to 47 bytes are taken, and 32 consumers', async (t) => {
  const log = await openLog(t)
  const names = Array.from({ length: 30 }, (_, i) => `${i}`)
  names.push('x'.repeat(47), 'y'.repeat(46))
  for (const name of names) await log.putConsumer(name)
  t.deepEqual(
    log.consumers().map(({ name }) => name),
    names,
  )
  const error = await rejection(t, 'RL_TOO_LARGE', () => log.putConsumer('one more'))
  t.is(error.fate, 'none')
  await log.removeConsumer('0')
  await log.putConsumer('one more')
})

test('the whole log stays while there is no consumer', async (t) => {
  const log = await openLog(t)
  await fillSegments(log, 12)
  t.is(log.stat().start, 0)
  t.is((await readAll(log)).length, 96)
  t.is(log.stat().segmentsRecycled, 0)
})

test('segments that every consumer has passed are used again', async (t) => {
  const log = await openLog(t)
  await log.putConsumer('fast')
  await log.putConsumer('slow')
  await fillSegments(log, 6)
  log.advanceConsumer('fast', log.stat().visible)
  await fillSegments(log, 6)
  t.is(log.stat().start, 0) // the slow one still needs everything
  const files = segmentFiles(log).length
  const { visible } = log.stat()
  log.advanceConsumer('fast', visible)
  log.advanceConsumer('slow', visible)
  await fillSegments(log, 12)
  await eventually(() => log.stat().segmentsRecycled > 0)
  const { start } = log.stat()
  t.true(start > 0 && start <= visible)
  t.true(segmentFiles(log).length < files + 12)
  const entries = await readAll(log)
  t.true((entries[0]?.lsn ?? 0) >= start)
  t.is(await log.verify(), entries.length)
})

test('what is trimmed is told of, not misread', async (t) => {
  const log = await openLog(t)
  const first = await log.append('first')
  const slowWalk = log.read({ batchBytes: 1 })
  await slowWalk.next()
  await log.putConsumer('tree')
  await fillSegments(log, 6)
  log.advanceConsumer('tree', log.stat().visible)
  await fillSegments(log, 6)
  await eventually(() => log.stat().start > first.end)
  await rejection(t, 'RL_TRIMMED', () => readAll(log, { from: first.lsn }))
  await rejection(t, 'RL_TRIMMED', async () => {
    for await (const { lsn } of slowWalk) t.true(lsn > first.lsn)
  })
  t.deepEqual(await slowWalk.next(), { value: undefined, done: true })
  await rejection(t, 'RL_TRIMMED', () => log.putConsumer('late', { position: first.lsn }))
})

test('a consumer that lags over its cap is given up', async (t) => {
  const log = await openLog(t)
  await log.putConsumer('tree')
  await log.putConsumer('laggard', { maxBytes: 128 * KiB })
  await fillSegments(log, 6)
  log.advanceConsumer('tree', log.stat().visible)
  await fillSegments(log, 6)
  await eventually(() => log.consumers()[1]?.broken === true)
  await rejection(t, 'RL_TRIMMED', () => {
    log.advanceConsumer('laggard', log.stat().visible)
  })
  await fillSegments(log, 2)
  await eventually(() => log.stat().start > 0)
  // It can begin again from what there is.
  await log.putConsumer('laggard', { position: log.stat().visible })
  t.like(log.consumers()[1], { broken: false, position: log.stat().visible })
})

test('errors of consumers', async (t) => {
  const log = await openLog(t)
  await rejection(t, 'RL_NOT_FOUND', () => {
    log.advanceConsumer('nobody', 0)
  })
  await rejection(t, 'RL_NOT_FOUND', () => log.removeConsumer('nobody'))
  await log.putConsumer('tree')
  await rejection(t, 'RL_INVALID_ARGUMENT', () => {
    log.advanceConsumer('tree', log.stat().visible + 8)
  })
})

test('closed segments are archived as they are', async (t) => {
  const archive = join(temporaryDirectory(t), 'archive')
  const log = await openLog(t, { ...small, archive })
  await log.putConsumer('tree') // keeps the segments after they have been archived
  await fillSegments(log, 4)
  const closed = Math.floor(log.stat().durable / (64 * KiB))
  t.true(closed >= 3)
  const names = segmentFiles(log).slice(0, closed)
  await eventually(() => names.every((name) => existsSync(join(archive, name))))
  for (const name of names) {
    const archived = readFileSync(join(archive, name))
    t.true(archived.equals(readFileSync(join(log.directory, 'log', name))), name)
  }
  t.is(log.stat().housekeepingFailures, 0)
  await eventually(() => log.consumers()[0]?.position === closed * 64 * KiB)
  t.is(log.consumers()[0]?.name, 'archive')
})

test('an archive that cannot be written is told of', async (t) => {
  const archive = join(temporaryDirectory(t), 'archive')
  const log = await openLog(t, { ...small, archive })
  const { rmSync, writeFileSync } = await import('node:fs')
  rmSync(archive, { recursive: true })
  writeFileSync(archive, 'in the way')
  await fillSegments(log, 3)
  await eventually(() => log.stat().housekeepingFailures > 0)
  t.regex(log.stat().lastHousekeepingFailure, /^RL_NOT_A_DIRECTORY/)
  await log.append('goes on')
})
