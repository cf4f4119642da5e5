// Walks: bounds, directions, limits, and what happens around them meanwhile.
import test, { type ExecutionContext } from 'ava'
import type { Database, Environment, RangeOptions } from 'ringleader'

import { openEnvironment } from '../support/environments.js'
import { patternBytes } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

const key = (i: number) => `${i}`.padStart(5, '0')
const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

const filled = async (
  t: ExecutionContext,
  count: number,
): Promise<{ env: Environment; database: Database<string, number> }> => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  // Neighbours on both sides must never be met.
  await env.database('before').put('zzz', 1)
  const database = env.database<string, number>('rows')
  await env.database('behind').put('\0', 1)
  await database.putMany(numbers(count).map((i) => [key(i), i]))
  return { env, database }
}

const expected = (
  count: number,
  { gt, gte, lt, lte, prefix, reverse, limit }: RangeOptions<string>,
) => {
  const found = numbers(count).filter((i) => {
    const name = key(i)
    if (gt !== undefined && !(name > gt)) return false
    if (gte !== undefined && !(name >= gte)) return false
    if (lt !== undefined && !(name < lt)) return false
    if (lte !== undefined && !(name <= lte)) return false
    return prefix === undefined || name.startsWith(prefix)
  })
  if (reverse) found.reverse()
  return found.slice(0, limit ?? Infinity)
}

const bounds: RangeOptions<string>[] = [
  {},
  { gt: key(10) },
  { gte: key(10) },
  { lt: key(10) },
  { lte: key(10) },
  { gt: key(10), lt: key(20) },
  { gte: key(10), lte: key(20) },
  { gt: key(10), lte: key(11) },
  { gt: key(10), lt: key(11) },
  { gte: key(20), lt: key(10) },
  { gte: 'a' },
  { lt: '0' },
  { gt: key(9999) },
  { prefix: '0' },
  { prefix: '0001' },
  { prefix: '9' },
  { gte: `${key(10)}x` },
]

test('every bound, in both directions, with every limit', async (t) => {
  const { env, database } = await filled(t, 5000)
  for (const folded of [false, true]) {
    if (folded) await env.fold()
    for (const options of bounds) {
      for (const reverse of [false, true]) {
        for (const limit of [undefined, 0, 1, 31, 32, 33, 300]) {
          const all: RangeOptions<string> = { ...options, reverse }
          if (limit !== undefined) all.limit = limit
          const want = expected(5000, all)
          const rows = [...database.range(all)]
          t.deepEqual(
            rows.map(({ value }) => value),
            want,
          )
          t.deepEqual([...database.keys(all)], want.map(key))
          t.deepEqual(database.values(all).toArray(), want)
          t.true(rows.every((row) => row.key === key(row.value)))
        }
      }
    }
  }
})

test('a walk of an empty database, and of one row', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  t.deepEqual([...database], [])
  t.deepEqual([...database.range({ reverse: true })], [])
  await database.put('x', 1)
  t.deepEqual([...database], [{ key: 'x', value: 1 }])
})

test('a walk sees one moment, and every loop a new one', async (t) => {
  const { env, database } = await filled(t, 1000)
  const range = database.range()
  const seen: number[] = []
  for (const { value } of range) {
    if (value % 100 === 0) {
      await database.putMany([
        [key(value + 1), -1],
        [key(2000 + value), -1],
      ])
      await database.remove(key(value + 2))
      await env.fold()
    }
    seen.push(value)
  }
  t.deepEqual(seen, numbers(1000))
  const again = [...range].map(({ value }) => value)
  t.is(again.length, 1000)
  t.is(again.filter((value) => value === -1).length, 20)
})

test('walks and reads that take turns do not disturb each other', async (t) => {
  const { database } = await filled(t, 3000)
  const forward = database.values()[Symbol.iterator]()
  const backward = database.range({ reverse: true })[Symbol.iterator]()
  for (const i of numbers(3000)) {
    t.is(forward.next().value, i)
    t.is(database.get(key(i)), i)
    t.deepEqual(backward.next().value, { key: key(2999 - i), value: 2999 - i })
    if (i % 500 === 0) t.deepEqual(database.getMany([key(1), key(2)]), [1, 2])
  }
  t.true(forward.next().done)
  t.true(backward.next().done)
})

test('leaving a loop lets go of what the walk holds', async (t) => {
  const { env, database } = await filled(t, 3000)
  await env.fold()
  const iterators = numbers(20).map(() => database.range()[Symbol.iterator]())
  for (const iterator of iterators) numbers(50).forEach(() => iterator.next())
  const { readers } = env.stat()
  t.true(readers >= 20)
  for (const iterator of iterators) t.true(iterator.return().done)
  for (const iterator of iterators) t.true(iterator.next().done)
  for (const { value } of database.range()) if (value === 40) break
  // Places stay for the next ones: walks use them instead of taking more.
  numbers(100).forEach(() => t.is([...database.range()].length, 3000))
  t.true(env.stat().readers <= readers + 1)
})

test('large rows come one by one', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database('a', { value: 'binary' })
  const sizes = [10, 400_000, 20, 262_144, 262_143, 30, 600_000]
  await Promise.all(sizes.map((size, i) => database.put(`${i}`, patternBytes(size, i))))
  for (const reverse of [false, true]) {
    const order = reverse ? sizes.toReversed() : sizes
    const rows = [...database.range({ reverse })]
    t.deepEqual(
      rows.map(({ value }) => value.length),
      order,
    )
    t.true(rows.every((row) => patternBytes(row.value.length, Number(row.key)).equals(row.value)))
    t.deepEqual(
      [...database.values({ reverse, limit: 3 })].map(({ length }) => length),
      order.slice(0, 3),
    )
  }
  t.is([...database.keys()].length, 7)
})

test('tuples: ranges and prefixes', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<[string, number], number>('a', { key: 'tuple' })
  for (const name of ['a', 'b', 'c']) {
    await database.putMany(numbers(5).map((i) => [[name, i - 2], i] as const))
  }
  t.deepEqual(
    [...database.keys({ prefix: ['b'] })],
    numbers(5).map((i) => ['b', i - 2]),
  )
  t.deepEqual([...database.values({ gte: ['b', 0], lt: ['c', -1] })], [2, 3, 4, 0])
  t.deepEqual([...database.values({ prefix: ['b', 1] })], [3])
})

test('bounds at the largest keys', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<Uint8Array, number>('a', { key: 'binary' })
  const largest = Buffer.alloc(1978, 255)
  const below = Buffer.concat([Buffer.alloc(1977, 255), Buffer.from([254])])
  await database.putMany([
    [below, 1],
    [largest, 2],
  ])
  t.deepEqual([...database.values({ gt: below })], [2])
  t.deepEqual([...database.values({ gte: below })], [1, 2])
  t.deepEqual([...database.values({ gt: largest })], [])
  t.deepEqual([...database.values({ lte: largest, reverse: true })], [2, 1])
  t.deepEqual([...database.values({ lte: below })], [1])
  t.deepEqual([...database.values({ prefix: Buffer.from([255]) })], [1, 2])
})

test('options of the wrong kind are refused when the range is made', async (t) => {
  const { database } = await filled(t, 1)
  const wrong: unknown[] = [
    { gt: 'a', gte: 'a' },
    { lt: 'a', lte: 'a' },
    { prefix: 'a', gt: 'a' },
    { gt: 5 },
    { prefix: 5 },
    { reverse: 1 },
    { limit: -1 },
    { limit: 0.5 },
    { from: 'a' },
    5,
  ]
  for (const options of wrong) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => database.range(options as never))
  }
  await rejection(t, 'RL_TOO_LARGE', () => database.range({ gt: 'x'.repeat(1979) }))
})

test('a walk ends with its environment', async (t) => {
  const { env, database } = await filled(t, 3000)
  const walk = database.range()[Symbol.iterator]()
  t.is(walk.next().value?.value, 0)
  const unused = database.range()
  await env.close()
  await rejection(t, 'RL_CLOSED', () => {
    while (!walk.next().done);
  })
  t.true(walk.next().done)
  await rejection(t, 'RL_CLOSED', () => [...unused])
  await rejection(t, 'RL_CLOSED', () => database.range())
})
