// Operations on one row that nobody can come between.
import test from 'ava'

import { openEnvironment } from '../support/environments.js'
import { patternBytes } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('putIfAbsent puts once', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const done = await Promise.all([1, 2, 3].map((i) => database.putIfAbsent('a', i)))
  t.deepEqual(done, [true, false, false])
  t.is(database.get('a'), 1)
  await database.remove('a')
  t.true(await database.putIfAbsent('a', 4))
})

test('compareAndSet by version', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  t.false(await database.compareAndSet('a', { version: 5 }, 1))
  t.true(await database.compareAndSet('a', { version: 0 }, 1))
  t.false(await database.compareAndSet('a', { version: 0 }, 2))
  const version = database.getEntry('a')?.version ?? 0
  t.true(await database.compareAndSet('a', { version }, 2))
  t.false(await database.compareAndSet('a', { version }, 3))
  t.is(database.get('a'), 2)
  await env.fold()
  const folded = database.getEntry('a')?.version ?? 0
  t.true(folded > version)
  t.true(await database.compareAndSet('a', { version: folded }, 4))
})

test('compareAndSet by value', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  t.false(await database.compareAndSet('a', { value: { n: 1 } }, 2))
  await database.put('a', { n: 1 })
  t.false(await database.compareAndSet('a', { value: { n: 2 } }, 2))
  t.true(await database.compareAndSet('a', { value: { n: 1 } }, { n: 2 }))
  t.deepEqual(database.get('a'), { n: 2 })
})

test('compareAndRemove', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  t.false(await database.compareAndRemove('a', { version: 7 }))
  const { end } = await database.put('a', 1)
  t.false(await database.compareAndRemove('a', { version: end - 1 }))
  t.true(await database.compareAndRemove('a', { version: end }))
  t.false(database.has('a'))
})

test('take gives what it removes, once', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  await database.put('a', { x: 1 })
  const taken = await Promise.all([database.take('a'), database.take('b'), database.take('a')])
  t.deepEqual(taken, [{ x: 1 }, undefined, undefined])
  const large = env.database('large', { value: 'binary' })
  await large.put('a', patternBytes(400_000))
  t.true(patternBytes(400_000).equals((await large.take('a')) ?? Buffer.alloc(0)))
})

test('add counts what many add at once', async (t) => {
  const env = await openEnvironment(t)
  const numbers = env.database('n', { value: 'number' })
  const sums = await Promise.all(Array.from({ length: 1000 }, () => numbers.add('a', 1)))
  t.deepEqual(
    sums,
    Array.from({ length: 1000 }, (_, i) => i + 1),
  )
  t.is(numbers.get('a'), 1000)
  t.is(await numbers.add('a', -0.5), 999.5)
  await numbers.put('i', Infinity)
  await rejection(t, 'RL_INVALID_ARGUMENT', () => numbers.add('i', -Infinity))
  t.is(numbers.get('i'), Infinity)
})

test('large values in atomic operations', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database('a', { value: 'binary' })
  const [one, two] = [patternBytes(500_000, 1), patternBytes(500_000, 2)]
  const done = await Promise.all([
    database.putIfAbsent('a', one),
    database.putIfAbsent('a', two),
    database.compareAndSet('a', { value: two }, one),
    database.compareAndSet('a', { value: one }, two),
    database.putIfAbsent('b', Buffer.from('small')),
  ])
  t.deepEqual(done, [true, false, false, true, true])
  t.true(two.equals(database.get('a') ?? Buffer.alloc(0)))
})

test('atomic operations and puts keep the order of the calls', async (t) => {
  const env = await openEnvironment(t)
  const numbers = env.database('n', { value: 'number' })
  const results = await Promise.all([
    numbers.put('a', 10),
    numbers.add('a', 1),
    numbers.put('a', 20),
    numbers.add('a', 2),
    numbers.take('a'),
    numbers.putIfAbsent('a', 5),
  ])
  t.deepEqual(results.slice(1), [11, results[2], 22, 22, true])
  t.is(numbers.get('a'), 5)
})

test('many handles of one environment add to the same number', async (t) => {
  const env = await openEnvironment(t)
  const others = await Promise.all(
    Array.from({ length: 3 }, () => openEnvironment(t, {}, env.directory)),
  )
  const tables = [env, ...others].map((one) => one.database('n', { value: 'number' }))
  await Promise.all(
    Array.from({ length: 100 }, () =>
      tables.map((table) => table.add('a', 1, { durability: 'memory' })),
    ).flat(),
  )
  t.is(tables[0]?.get('a'), 400)
})
