import path from 'node:path'

import test from 'ava'
import { Log } from 'ringleader'

import {
  openLog,
  patternBytes,
  readAll,
  readTexts,
  small,
  temporaryDirectory,
} from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('a log is there again after closing', async (t) => {
  const log = await openLog(t)
  const appended = await Promise.all(Array.from({ length: 1000 }, (_, i) => log.append(`${i}`)))
  await log.close()
  const again = await openLog(t, { create: false }, log.directory)
  t.is(again.environmentId, log.environmentId)
  t.is(again.directory, log.directory)
  const entries = await readAll(again)
  t.deepEqual(
    entries.map(({ lsn, end }) => ({ lsn, end })),
    appended,
  )
  t.like(again.stat(), { salvagedBytes: 0, recoveredTornTail: false, segmentBytes: 65_536 })
  const next = await again.append('next')
  t.is(next.lsn, appended.at(-1)?.end ?? 0)
})

test('close makes pending appends durable and resolves them first', async (t) => {
  const log = await openLog(t)
  const levels = ['memory', 'written', 'flushed'] as const
  let settled = 0
  const appends = Array.from({ length: 300 }, async (_, i) => {
    const appended = await log.append(`${i}`, { level: levels[i % 3] ?? 'flushed' })
    settled += 1
    return appended
  })
  const waiting = log.waitFor(0)
  await log.close()
  t.is(settled, 300)
  await Promise.all([...appends, waiting])
  const again = await openLog(t, {}, log.directory)
  t.is((await readTexts(again)).length, 300)
})

test('close waits for appends that wait for room', async (t) => {
  const log = await openLog(t, { ...small, segmentsAhead: 1 })
  const appends = Array.from({ length: 500 }, () => log.append(patternBytes(4096)))
  await log.close()
  await Promise.all(appends)
  const again = await openLog(t, {}, log.directory)
  t.is(await again.verify(), 500)
})

test('close lets reads and other calls end first', async (t) => {
  const log = await openLog(t)
  await Promise.all(Array.from({ length: 2000 }, (_, i) => log.append(`${i}`)))
  const walk = log.read({ batchBytes: 10_000 })
  const [count, first] = await Promise.all([
    log.verify(),
    walk.next(),
    log.putConsumer('tree'),
    log.close(),
  ])
  t.is(count, 2000)
  t.is(Buffer.from(first.value?.payload ?? []).toString(), '0')
  // The rest of the batch is in memory; the next read is refused.
  await rejection(t, 'RL_CLOSED', async () => {
    while (!(await walk.next()).done);
  })
})

test('closing again gives the same promise', async (t) => {
  const log = await openLog(t)
  await log.append('a')
  const closing = log.close()
  const closingAgain = log.close()
  t.true(closing === closingAgain)
  await closing
  await log.close()
})

test('a closed log refuses every call', async (t) => {
  const log = await openLog(t)
  const { end } = await log.append('a')
  const closing = log.close()
  const calls: (() => unknown)[] = [
    () => log.append('b'),
    () => log.waitFor(end),
    () => log.flush(),
    () => log.read(),
    () => log.read({ from: 0 }),
    () => log.verify(),
    () => log.stat(),
    () => log.consumers(),
    () => log.putConsumer('a'),
    () => log.putConsumer('a', { position: 0 }),
    () => log.removeConsumer('a'),
    () => {
      log.advanceConsumer('a', 0)
    },
  ]
  for (const call of calls) await rejection(t, 'RL_CLOSED', call)
  await closing
  for (const call of calls) {
    const error = await rejection(t, 'RL_CLOSED', call)
    t.like(error, { fate: 'none', retry: 'reopen' })
  }
})

test('two logs of one directory share everything', async (t) => {
  const first = await openLog(t)
  const second = await openLog(t, {}, first.directory)
  t.is(second.environmentId, first.environmentId)
  await Promise.all(
    Array.from({ length: 1000 }, (_, i) => (i % 2 === 0 ? first : second).append(`${i}`)),
  )
  const texts = await readTexts(first)
  t.deepEqual(await readTexts(second), texts)
  t.is(texts.length, 1000)
  for (const parity of [0, 1]) {
    const own = texts.map(Number).filter((i) => i % 2 === parity)
    t.deepEqual(
      own,
      own.toSorted((a, b) => a - b),
    )
  }
  await second.close()
  await first.append('goes on')
  t.is(await first.verify(), 1001)
})

test('a position of one log can be waited for in another', async (t) => {
  const options = { ...small, flushIntervalMs: 60_000 }
  const first = await openLog(t, options)
  const second = await openLog(t, options, first.directory)
  const { end } = await first.append('a', { level: 'memory' })
  await second.waitFor(end, 'flushed')
  t.true(first.stat().durable >= end)
})

test('logs of different directories have nothing to do with each other', async (t) => {
  const logs = await Promise.all([openLog(t), openLog(t), openLog(t)])
  await Promise.all(logs.map((log, i) => log.append(`${i}`)))
  for (const [i, log] of logs.entries()) t.deepEqual(await readTexts(log), [`${i}`])
  t.is(new Set(logs.map(({ environmentId }) => environmentId)).size, 3)
  t.is(new Set(logs.map(({ groupId }) => groupId)).size, 3)
})

test('a log can be closed by leaving its block', async (t) => {
  const directory = temporaryDirectory(t)
  const log = await Log.open(directory, small)
  await log.append('a')
  await log[Symbol.asyncDispose]()
  await rejection(t, 'RL_CLOSED', () => log.append('b'))
  t.deepEqual(await readTexts(await openLog(t, {}, directory)), ['a'])
})

test('a relative directory is made absolute', async (t) => {
  const directory = temporaryDirectory(t)
  const log = await openLog(t, small, path.relative('.', directory))
  t.is(log.directory, directory)
})

test('the state of a log has every field', async (t) => {
  const log = await openLog(t)
  await log.append('abc', { term: 7 })
  await log.append(patternBytes(20_000))
  const stat = log.stat()
  t.like(stat, {
    start: 0,
    term: 7,
    transactions: 2,
    records: 4, // the second one is three
    payloadBytes: 20_003,
    flushAgeMs: 0,
    writerRepairs: 0,
    flusherTakeovers: 0,
    diskFull: false,
    failedErrno: 0,
    segmentBytes: 65_536,
    ringBytes: 65_536,
    ringInFile: false,
    recoveredRecords: 0,
    salvagedBytes: 0,
    recoveredTornTail: false,
    housekeepingFailures: 0,
    lastHousekeepingFailure: '',
  })
  t.true(stat.flushes >= 2 && stat.writes >= 2)
  t.is(stat.flushedBytes, stat.durable)
  t.is(stat.appended, stat.visible)
  t.true(stat.preparedEnd >= stat.appended)
  t.true(stat.lastFlushMs > 0 && stat.longestFlushMs >= stat.lastFlushMs)
  t.true(stat.recoveryMs > 0)
  for (const [name, value] of Object.entries(stat)) {
    if (typeof value === 'number') t.true(Number.isFinite(value) && value >= 0, name)
  }
})
