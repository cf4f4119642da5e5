import test from 'ava'

import { openLog, patternBytes, readAll, readTexts, small } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

const appendTexts = async (log: Awaited<ReturnType<typeof openLog>>, count: number) =>
  Promise.all(Array.from({ length: count }, (_, i) => log.append(`${i}`)))

test('an empty log has nothing to read', async (t) => {
  const log = await openLog(t)
  t.deepEqual(await readAll(log), [])
  t.is(await log.verify(), 0)
})

test('a walk begins where it is told to', async (t) => {
  const log = await openLog(t)
  const appended = await appendTexts(log, 1000)
  const at = appended[500]
  t.deepEqual((await readTexts(log, { from: at?.lsn ?? 0 }))[0], '500')
  t.deepEqual((await readTexts(log, { from: at?.end ?? 0 }))[0], '501')
  t.is((await readTexts(log, { from: 0 })).length, 1000)
  t.deepEqual(await readTexts(log, { from: appended[999]?.end ?? 0 }), [])
})

test('a walk refuses a position at which nothing begins', async (t) => {
  const log = await openLog(t)
  const [first] = await appendTexts(log, 3)
  const from = (first?.lsn ?? 0) + 8
  await rejection(t, 'RL_INVALID_ARGUMENT', () => readAll(log, { from }))
  const beyond = log.stat().appended + 8
  await rejection(t, 'RL_INVALID_ARGUMENT', () => readAll(log, { from: beyond }))
})

test('batches of every size give the same entries', async (t) => {
  const log = await openLog(t)
  await appendTexts(log, 300)
  const whole = await readTexts(log)
  for (const batchBytes of [1, 64, 65, 1000, 1_000_000]) {
    t.deepEqual(await readTexts(log, { batchBytes }), whole, `${batchBytes} bytes`)
  }
})

test('a walk sees what is not flushed yet', async (t) => {
  const log = await openLog(t, { ...small, flushIntervalMs: 60_000 })
  await log.append('a', { level: 'memory' })
  t.deepEqual(await readTexts(log), ['a'])
  t.is(log.stat().flushes, 0)
})

test('leaving a walk early ends it', async (t) => {
  const log = await openLog(t)
  await appendTexts(log, 100)
  const walk = log.read({ batchBytes: 64 })
  for await (const { payload } of walk) {
    if (Buffer.from(payload).toString() === '10') break
  }
  t.deepEqual(await walk.next(), { value: undefined, done: true })
})

test('a walk that is returned from while it reads ends', async (t) => {
  const log = await openLog(t)
  await appendTexts(log, 100)
  const walk = log.read()
  const next = walk.next()
  t.like(await walk.return?.(), { done: true })
  t.like(await next, { done: true })
})

test('overlapping calls of next get one entry each, in order', async (t) => {
  const log = await openLog(t)
  await appendTexts(log, 50)
  const walk = log.read({ batchBytes: 500 })
  const results = await Promise.all(Array.from({ length: 52 }, () => walk.next()))
  const texts = results.map(({ value }) => value && Buffer.from(value.payload).toString())
  t.deepEqual(texts, [...Array.from({ length: 50 }, (_, i) => `${i}`), undefined, undefined])
})

test('entries keep their bytes when the walk has gone on', async (t) => {
  const log = await openLog(t)
  const payloads = Array.from({ length: 200 }, (_, i) => patternBytes(i * 7, i))
  await Promise.all(payloads.map((payload) => log.append(payload)))
  const entries = await readAll(log, { batchBytes: 1000 })
  t.deepEqual(
    entries.map(({ payload }) => Buffer.from(payload)),
    payloads,
  )
})

test('many walks at once see the same', async (t) => {
  const log = await openLog(t)
  await appendTexts(log, 500)
  const walks = await Promise.all(Array.from({ length: 12 }, () => readTexts(log)))
  for (const texts of walks) t.is(texts.length, 500)
})

test('a walk goes on while others append', async (t) => {
  const log = await openLog(t)
  const appending = (async () => {
    for (let i = 0; i < 300; i += 1) await log.append(`${i}`)
  })()
  let from = 0
  const seen: string[] = []
  while (seen.length < 300) {
    for await (const { payload, end } of log.read({ from })) {
      seen.push(Buffer.from(payload).toString())
      from = end
    }
  }
  await appending
  t.deepEqual(
    seen,
    Array.from({ length: 300 }, (_, i) => `${i}`),
  )
})
