import process from 'node:process'

import test from 'ava'

import { openLog, patternBytes, readAll, readTexts, small } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

const KiB = 1024
const MiB = 1024 * KiB
const noBytes = new Uint8Array(0)

test('an append is read back as it was', async (t) => {
  const log = await openLog(t)
  const before = Date.now() * 1000
  const appended = await log.append('hello', { term: 3, type: 'checkpoint', operations: 7 })
  const [entry, ...others] = await readAll(log)
  t.deepEqual(others, [])
  t.like(entry, { ...appended, term: 3, type: 'checkpoint', operations: 7 })
  t.is(Buffer.from(entry?.payload ?? []).toString(), 'hello')
  t.true((entry?.commitTimeUs ?? 0) >= before)
  t.is(appended.lsn, 4096) // behind the header page of the first segment
  t.is(appended.end, 4096 + 48) // header 40, payload 5, up to a multiple of 8
})

test('every type is read back, and the most operations', async (t) => {
  const log = await openLog(t)
  const types = [
    'transaction',
    'termStart',
    'checkpoint',
    'catalogue',
    'configuration',
    'bulkLoad',
  ] as const
  for (const type of types) await log.append(type, { type, operations: 65_535 })
  const entries = await readAll(log)
  t.deepEqual(
    entries.map(({ type }) => type),
    [...types],
  )
  t.true(entries.every(({ operations }) => operations === 65_535))
})

test('payloads of every size around the limits come back whole', async (t) => {
  // 8 KiB is the largest record of these segments, 256 KiB what one batch holds.
  const log = await openLog(t)
  const around = (size: number) => [size - 1, size, size + 1]
  const sizes = [0, 1, 7, 8, 9, ...around(8 * KiB), ...around(64 * KiB), ...around(256 * KiB)]
  const appended = await Promise.all(sizes.map((size) => log.append(patternBytes(size, size))))
  const entries = await readAll(log)
  t.deepEqual(
    entries.map(({ lsn, end }) => ({ lsn, end })),
    appended,
  )
  for (const [i, size] of sizes.entries()) {
    t.true(patternBytes(size, size).equals(entries[i]?.payload ?? noBytes), `${size} bytes`)
  }
})

test('payloads around the largest record of ordinary segments come back whole', async (t) => {
  const log = await openLog(t, {})
  const sizes = [MiB - 1, MiB, MiB + 1, 5 * MiB]
  for (const size of sizes) await log.append(patternBytes(size))
  const entries = await readAll(log)
  for (const [i, size] of sizes.entries()) {
    t.true(patternBytes(size).equals(entries[i]?.payload ?? noBytes), `${size} bytes`)
  }
})

test('a transaction larger than the ring and many segments comes back whole', async (t) => {
  const log = await openLog(t)
  const large = patternBytes(5 * MiB)
  const [, appended] = await Promise.all([log.append('a'), log.append(large), log.append('b')])
  const [a, entry, b] = await readAll(log)
  t.is(Buffer.from(a?.payload ?? []).toString(), 'a')
  t.true(large.equals(entry?.payload ?? noBytes))
  t.like(entry, appended)
  t.is(Buffer.from(b?.payload ?? []).toString(), 'b')
  t.is(await log.verify(), 3)
})

test('strings are stored as UTF-8, in a batch and by themselves', async (t) => {
  const log = await openLog(t)
  const texts = [
    '',
    'æøå',
    '日本語',
    '🜁🜂🜃🜄',
    '\0',
    '\ud800',
    'ß'.repeat(100_000),
    '🜁'.repeat(70_000),
  ]
  await Promise.all(texts.map((text) => log.append(text)))
  const expected = texts.map((text) => Buffer.from(text).toString())
  t.deepEqual(await readTexts(log), expected)
})

test('every kind of byte array is taken', async (t) => {
  const log = await openLog(t)
  const bytes = patternBytes(300 * KiB)
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length))
  shared.set(bytes)
  await log.append(bytes.subarray(5, 10))
  await log.append(new Uint8Array(bytes.buffer, bytes.byteOffset + 7, 3))
  await log.append(shared.subarray(0, 4))
  await log.append(shared)
  const payloads = (await readAll(log)).map(({ payload }) => payload)
  const parts = [bytes.subarray(5, 10), bytes.subarray(7, 10), bytes.subarray(0, 4), bytes]
  t.deepEqual(
    parts.map((part, i) => part.equals(payloads[i] ?? noBytes)),
    [true, true, true, true],
  )
})

test('the payload is copied before append returns', async (t) => {
  const log = await openLog(t)
  const sizes = [10, 10 * KiB, 300 * KiB]
  for (const size of sizes) {
    const bytes = patternBytes(size)
    const appended = log.append(bytes)
    bytes.fill(0)
    await appended
  }
  const payloads = (await readAll(log)).map(({ payload }) => payload)
  t.true(payloads.every((payload) => patternBytes(payload.length).equals(payload)))
  t.deepEqual(
    payloads.map(({ length }) => length),
    sizes,
  )
})

test('ten thousand concurrent appends keep their order', async (t) => {
  const log = await openLog(t)
  const settled: number[] = []
  const appended = await Promise.all(
    Array.from({ length: 10_000 }, async (_, i) => {
      const result = await log.append(`${i}`)
      settled.push(i)
      return result
    }),
  )
  const order = Array.from({ length: 10_000 }, (_, i) => i)
  t.deepEqual(settled, order)
  t.true(appended.every(({ lsn, end }, i) => lsn < end && end <= (appended[i + 1]?.lsn ?? end)))
  t.deepEqual(
    await readTexts(log),
    order.map((i) => `${i}`),
  )
})

test('appends of mixed sizes and levels keep their order', async (t) => {
  const log = await openLog(t)
  const levels = ['memory', 'written', 'flushed'] as const
  const order = Array.from({ length: 2000 }, (_, i) => i)
  const lastOf: Record<string, number> = {}
  await Promise.all(
    order.map(async (i) => {
      const level = levels[i % 3] ?? 'flushed'
      await log.append(`${i}`.padStart((i % 50) * 500), { level })
      // Resolutions of one level come in order.
      t.true((lastOf[level] ?? -1) < i)
      lastOf[level] = i
    }),
  )
  const texts = await readTexts(log)
  t.deepEqual(
    texts.map((text) => Number(text)),
    order,
  )
})

test('a level that is reached is seen in the positions', async (t) => {
  const log = await openLog(t)
  const memory = await log.append('a', { level: 'memory' })
  t.true(log.stat().visible >= memory.end)
  const written = await log.append('b', { level: 'written' })
  t.true(log.stat().written >= written.end)
  const flushed = await log.append('c', { level: 'flushed' })
  t.true(log.stat().durable >= flushed.end)
  const { visible, durable } = log.stat()
  t.is(visible, flushed.end)
  t.is(durable, visible)
})

test('the level of the log counts where an append says none', async (t) => {
  const log = await openLog(t, { ...small, level: 'memory', flushIntervalMs: 60_000 })
  await log.append('a')
  t.is(log.stat().flushes, 0)
  await log.append('b', { level: 'flushed' })
  t.is(log.stat().flushes, 1)
})

test('appends that nobody waits for are flushed by themselves', async (t) => {
  const log = await openLog(t, { ...small, flushIntervalMs: 1 })
  const { end } = await log.append('a', { level: 'memory' })
  while (log.stat().durable < end) await new Promise((resolve) => setTimeout(resolve, 5))
  t.true(log.stat().flushes >= 1)
})

test('waitFor takes the log to a level', async (t) => {
  const log = await openLog(t, { ...small, flushIntervalMs: 60_000 })
  const { end } = await log.append('a', { level: 'memory' })
  await log.waitFor(end, 'memory')
  t.true(log.stat().written < end)
  await log.waitFor(end, 'written')
  t.true(log.stat().written >= end)
  await Promise.all([log.waitFor(end), log.waitFor(0), log.waitFor(end, 'flushed')])
  t.true(log.stat().durable >= end)
  await log.waitFor(end, 'flushed', { timeoutMs: 0 }) // reached already
})

test('waitFor refuses a position that does not exist yet', async (t) => {
  const log = await openLog(t)
  const { end } = await log.append('a')
  await rejection(t, 'RL_INVALID_ARGUMENT', () => log.waitFor(end + 1))
})

test('flush makes everything before it durable', async (t) => {
  const log = await openLog(t, { ...small, flushIntervalMs: 60_000 })
  t.is(await log.flush(), 0)
  const appended = log.append('a', { level: 'memory' })
  const large = log.append(patternBytes(MiB), { level: 'memory' })
  const durable = await log.flush()
  t.true(durable >= (await appended).end)
  t.true(durable >= (await large).end)
  t.is(log.stat().durable, durable)
})

test('a term below that of the log is refused, and nothing else is', async (t) => {
  const log = await openLog(t)
  await log.append('a', { term: 5 })
  const results = await Promise.allSettled([
    log.append('b'),
    log.append('c', { term: 4 }),
    log.append('d', { term: 4_294_967_295 }),
    log.append('e'),
  ])
  t.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled', 'fulfilled'],
  )
  const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => log.append('f', { term: 4 }))
  t.is(error.fate, 'none')
  const entries = await readAll(log)
  t.deepEqual(
    entries.map(({ term, payload }) => [Buffer.from(payload).toString(), term]),
    [
      ['a', 5],
      ['b', 5],
      ['d', 4_294_967_295],
      ['e', 4_294_967_295],
    ],
  )
})

test('the event loop turns while the log makes room', async (t) => {
  const log = await openLog(t, { ...small, segmentsAhead: 1 })
  const records = 5000
  const payload = patternBytes(KiB)
  const all = Promise.all(
    Array.from({ length: records }, () => log.append(payload, { level: 'memory' })),
  )
  // Behind the appends' own tick, which hands them over.
  await new Promise((resolve) => {
    process.nextTick(resolve)
  })
  // Eighty segments had to be made: had any call waited for them, they would be here.
  const { appended } = log.stat()
  t.true(appended < records * KiB)
  await all
  t.true(log.stat().appended > records * KiB)
  t.is(await log.verify(), records)
})
