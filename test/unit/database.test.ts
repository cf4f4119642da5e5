// Single rows: what is put comes back, by every way of reading, and goes away.
import { setImmediate } from 'node:timers/promises'

import test from 'ava'
import type { Database, Receipt, WriteBatch } from 'ringleader'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { patternBytes } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('a row is there when its put has resolved, and gone when it has been removed', async (t) => {
  const env = await openEnvironment(t)
  const users = env.database('users')
  t.is(users.get('ada'), undefined)
  t.false(users.has('ada'))
  const receipt = await users.put('ada', { born: 1815, tags: ['a', 'b'] })
  t.true(receipt.lsn < receipt.end)
  t.deepEqual(users.get('ada'), { born: 1815, tags: ['a', 'b'] })
  t.true(users.has('ada'))
  t.deepEqual(users.getEntry('ada')?.version, receipt.end)
  await users.put('ada', 'again')
  t.is(users.get('ada'), 'again')
  await users.remove('ada')
  t.is(users.get('ada'), undefined)
  t.is(users.getEntry('ada'), undefined)
  await users.remove('ada')
})

test('every encoding gives back what it was given', async (t) => {
  const env = await openEnvironment(t)
  const keys = { binary: Buffer.from([0, 255]), utf8: 'κ', tuple: ['a', 1, null] } as const
  const values = {
    binary: patternBytes(300),
    utf8: 'né',
    json: { a: [1, null] },
    msgpack: { b: [1n, true], at: new Date(5) },
    number: -0.5,
  } as const
  for (const key of ['binary', 'utf8', 'tuple'] as const) {
    for (const value of ['binary', 'utf8', 'json', 'msgpack', 'number'] as const) {
      const database = env.database(`${key} ${value}`, { key, value })
      await database.put(keys[key], values[value])
      const got = database.get(keys[key])
      t.deepEqual(got instanceof Uint8Array ? Buffer.from(got) : got, values[value])
      t.is(database.getEntry(keys[key])?.value === undefined, false)
      t.like(database.info, { key, value })
    }
  }
  t.is(env.databases().length, 15)
})

test('puts of one turn share a record, in the order of the calls', async (t) => {
  const env = await openEnvironment(t)
  const [one, two] = [env.database('one'), env.database('two')]
  const before = env.stat().commits
  const receipts = await Promise.all([
    one.put('a', 1),
    one.put('a', 2),
    one.remove('b'),
    two.put('a', 3),
    one.put('a', 4),
  ])
  t.is(receipts[0].end, receipts[2].end)
  t.true(receipts[2].end <= receipts[3].lsn && receipts[3].end <= receipts[4].lsn)
  t.is(env.stat().commits - before, 3)
  t.is(one.get('a'), 4)
  t.is(two.get('a'), 3)
})

test('puts of different durability are settled each in its time', async (t) => {
  const env = await openEnvironment(t, { ...smallEnvironment, flushIntervalMs: 60_000 })
  const database = env.database('a')
  const memory = await database.put('a', 1, { durability: 'memory' })
  t.true(env.stat().log.durable < memory.end)
  await database.put('b', 1, { durability: 'written' })
  t.true(env.stat().log.written >= memory.end)
  const flushed = await database.put('c', 1)
  t.true(env.stat().log.durable >= flushed.end)
  // A flush ends in the middle of these.
  const checks: Promise<void>[] = []
  for (let i = 0; i < 100; i += 1) {
    const put = database.put(`${i}`, 'x'.repeat(20_000))
    checks.push(put.then(({ end }) => void t.true(env.stat().log.durable >= end, `${i}`)))
    await setImmediate()
  }
  await Promise.all(checks)
})

test('puts of one turn with different durability are different commits', async (t) => {
  const env = await openEnvironment(t, { ...smallEnvironment, flushIntervalMs: 60_000 })
  const database = env.database('a')
  const levels = ['memory', 'flushed', 'written', 'memory', 'flushed'] as const
  const puts = levels.map((durability, i) => database.put(`${i}`, i, { durability }))
  const ends = (await Promise.all(puts)).map(({ end }) => end)
  t.deepEqual(
    ends,
    Array.from(new Set(ends)).sort((a, b) => a - b),
  )
  t.true(env.stat().log.durable >= (ends.at(-1) ?? Infinity))
})

test('commits that wait for room keep their bytes', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<number, Uint8Array>('a', { key: 'tuple', value: 'binary' })
  const rows = 60
  const rounds = 20
  const bytesOf = (round: number, row: number) => patternBytes(4000, round * rows + row)
  const puts: Promise<Receipt>[] = []
  for (let round = 0; round < rounds; round += 1) {
    for (let row = 0; row < rows; row += 1) {
      puts.push(database.put(round * rows + row, bytesOf(round, row)))
    }
    await setImmediate()
  }
  await Promise.all(puts)
  for (let i = 0; i < rounds * rows; i += 1) {
    t.true(bytesOf(0, i).equals(database.get(i) ?? Buffer.alloc(0)), `${i}`)
  }
})

test('the durability of an environment is that of commits that do not say one', async (t) => {
  const env = await openEnvironment(t, {
    ...smallEnvironment,
    durability: 'memory',
    flushIntervalMs: 60_000,
  })
  const { end } = await env.database('a').put('a', 1)
  t.true(env.stat().log.durable < end)
  await env.waitFor(end)
  t.true(env.stat().log.durable >= end)
})

test('many puts in one turn all arrive', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database<string, number>('a')
  const count = 20_000
  await Promise.all(Array.from({ length: count }, (_, i) => database.put(`${i}`, i)))
  const keys = Array.from({ length: count }, (_, i) => `${i}`)
  t.deepEqual(
    database.getMany(keys),
    keys.map((_, i) => i),
  )
})

test('values of every size, also those beyond the shared memory', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database('a', { key: 'utf8', value: 'binary' })
  const sizes = [0, 1, 65_535, 65_536, 262_143, 262_144, 262_145, 300_000, 3_000_000]
  await Promise.all(sizes.map((size) => database.put(`${size}`, patternBytes(size))))
  for (const size of sizes) {
    t.true(patternBytes(size).equals(database.get(`${size}`) ?? Buffer.alloc(0)), `${size}`)
    t.is(database.getEntry(`${size}`)?.value.length, size)
    const into = Buffer.alloc(size + 3, 9)
    t.is(database.getInto(`${size}`, into), size)
    t.true(into.equals(Buffer.concat([patternBytes(size), Buffer.alloc(3, 9)])))
  }
  const many = database.getMany([...sizes.map(String), 'nothing'])
  t.deepEqual(
    many.map((value) => value?.length),
    [...sizes, undefined],
  )
  await env.fold()
  for (const size of sizes) t.is(database.get(`${size}`)?.length, size)
})

test('keys of every length', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<Uint8Array, number>('a', { key: 'binary' })
  for (const length of [1, 2, 255, 1977, 1978]) {
    const key = Buffer.alloc(length, 255)
    await database.put(key, length)
    t.is(database.get(key), length)
  }
  await rejection(t, 'RL_TOO_LARGE', () => database.put(Buffer.alloc(1979), 0))
  await rejection(t, 'RL_TOO_LARGE', () => database.get(Buffer.alloc(1979)))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => database.put(Buffer.alloc(0), 0))
  t.deepEqual([...database.keys({ reverse: true, limit: 1 })][0]?.length, 1978)
})

test('getMany gives values in the order of the keys, however many', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany(Array.from({ length: 3000 }, (_, i) => [`${i}`, i] as const))
  const keys = Array.from({ length: 9000 }, (_, i) => `${8999 - i}`)
  t.deepEqual(
    database.getMany(keys),
    keys.map((key) => (Number(key) < 3000 ? Number(key) : undefined)),
  )
  t.deepEqual(database.getMany([]), [])
  t.deepEqual(database.getMany(new Set(['5', 'x'])), [5, undefined])
  const long = Array.from({ length: 100 }, (_, i) => `${'k'.repeat(1500)}${i}`)
  t.deepEqual(
    database.getMany(long),
    long.fill('').map(() => undefined),
  )
})

test('getInto says how long a value is that does not fit', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a', { value: 'binary' })
  await database.put('a', patternBytes(100))
  const error = await rejection(t, 'RL_TOO_LARGE', () => database.getInto('a', Buffer.alloc(99)))
  t.regex(error.message, /100 bytes/)
  t.is(database.getInto('b', Buffer.alloc(0)), undefined)
})

test('putMany is one commit', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database<string, number>('a')
  const before = env.stat().commits
  await database.putMany(new Map([['a', 1]]))
  await database.putMany(Array.from({ length: 50_000 }, (_, i) => [`k${i}`, i]))
  await database.putMany([])
  t.is(env.stat().commits - before, 3)
  t.is(await database.count({ exact: true }), 50_001)
  await rejection(t, 'RL_INVALID_ARGUMENT', () =>
    database.putMany([
      ['z', 1],
      ['', 2],
    ]),
  )
  t.false(database.has('z'))
})

test('a batch writes to several databases, all or nothing', async (t) => {
  const env = await openEnvironment(t)
  const [one, two] = [env.database('one'), env.database<number, number>('two', { key: 'tuple' })]
  await one.put('old', 1)
  let receipt: Receipt | undefined
  receipt = await env.batch((batch) => {
    batch.put(one, 'a', 1)
    batch.put(two, 7, 2)
    batch.remove(one, 'old')
  })
  t.is(one.getEntry('a')?.version, receipt.end)
  t.is(two.getEntry(7)?.version, receipt.end)
  t.false(one.has('old'))
  receipt = await env.batch(() => undefined)
  t.true(receipt.end > 0)
  await t.throwsAsync(
    env.batch((batch) => {
      batch.put(one, 'b', 1)
      throw new Error('no')
    }),
    { message: 'no' },
  )
  t.false(one.has('b'))
  let kept: Parameters<Parameters<typeof env.batch>[0]>[0] | undefined
  await env.batch((batch) => {
    kept = batch
  })
  await rejection(t, 'RL_TRANSACTION_ENDED', () => {
    kept?.put(one, 'c', 1)
  })
  await rejection(t, 'RL_TRANSACTION_ENDED', () => {
    kept?.remove(one, 'c')
  })
})

test('rows are counted', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  t.is(await database.count(), 0)
  await database.putMany(Array.from({ length: 500 }, (_, i) => [`${i}`.padStart(3, '0'), i]))
  await database.put('000', 7)
  await database.remove('499')
  t.is(await database.count({ exact: true }), 499)
  t.is(await database.count({ prefix: '1' }), 100)
  t.is(await database.count({ gte: '100', lt: '110' }), 10)
  t.is(await database.count({ gte: '100', lt: '110', limit: 3 }), 3)
  t.is(await database.count({ gt: 'x', lt: 'a' }), 0)
  await env.fold()
  t.is(await database.count(), 499)
})

test('clearing takes all rows at once, for everybody', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const [here, there] = [env.database('a'), other.database('a')]
  await here.put('a', 1)
  t.is(there.get('a'), 1)
  const snapshot = other.snapshot()
  const pending = here.put('b', 2)
  await here.clear()
  await pending
  t.false(here.has('a'))
  t.false(here.has('b'))
  t.is(there.get('a'), undefined)
  t.is(snapshot.get(there, 'a'), 1)
  t.deepEqual([...snapshot.keys(there)], ['a'])
  await there.put('c', 3)
  t.deepEqual([...here.keys()], ['c'])
  snapshot.close()
  await env.fold()
  t.deepEqual([...here.keys()], ['c'])
  t.is(await here.count(), 1)
})

test('writes of a turn find a database that somebody else has cleared', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const [here, there] = [env.database<string, number>('a'), other.database<string, number>('a')]
  const numbers = other.database('n', { value: 'number' })
  for (let round = 0; round < 5; round += 1) {
    await here.clear()
    await Promise.all([
      there.put('a', round),
      there.remove('b'),
      numbers.add('n', 1),
      there.putMany([['c', round]]),
      there.putIfAbsent('d', round),
      other.transaction((tx) => {
        tx.put(there, 'e', round)
      }),
    ])
    t.deepEqual([...here.keys()], ['a', 'c', 'd', 'e'])
    t.deepEqual(here.getMany(['a', 'c', 'd', 'e']), [round, round, round, round])
  }
  t.is(numbers.get('n'), 5)
})

test('a dropped database refuses everything until there is one again', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const [here, there] = [env.database('a'), other.database('a')]
  await here.put('a', 1)
  await here.drop()
  t.deepEqual(env.databases(), [])
  for (const database of [here, there]) {
    const calls: (() => unknown)[] = [
      () => database.get('a'),
      () => database.getEntry('a'),
      () => database.getMany(['a']),
      () => database.getInto('a', Buffer.alloc(9)),
      () => database.has('a'),
      () => [...database.range()],
      () => database.put('a', 1),
      () => database.remove('a'),
      () => database.putMany([['a', 1]]),
      () => database.putIfAbsent('a', 1),
      () => database.count(),
      () => database.clear(),
      () => database.drop(),
    ]
    for (const call of calls) await rejection(t, 'RL_DROPPED', call)
  }
  const again = env.database('a')
  t.false(again.has('a'))
  await again.put('a', 2)
  t.is(again.get('a'), 2)
  await rejection(t, 'RL_NOT_FOUND', () => env.database('b', { create: false }))
})

test('a write to what somebody else has just dropped is refused', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const [here, there, stays] = [env.database('a'), other.database('a'), other.database('b')]
  await here.drop()
  const [gone, kept] = await Promise.allSettled([there.put('a', 1), stays.put('a', 2)])
  t.is(gone.status, 'rejected')
  t.is(kept.status, 'fulfilled')
  t.is(stays.get('a'), 2)
  await rejection(t, 'RL_DROPPED', () => there.put('a', 1))
})

test('arguments of the wrong kind are refused', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  const numbers = env.database('n', { value: 'number' })
  const wrong = undefined as never
  const calls: (() => unknown)[] = [
    () => database.get(5 as never),
    () => database.put(wrong, 1),
    () => database.put('a', undefined),
    () => database.put('a', 1, { durability: 'disk' as never }),
    () => database.put('a', 1, { level: 'memory' } as never),
    () => database.remove('a', 5 as never),
    () => database.getMany(5 as never),
    () => database.getInto('a', 'b' as never),
    () => database.putMany(5 as never),
    () => database.putMany([5] as never),
    () => database.putMany(['ab'] as never),
    () => env.bulkLoad(database, 5 as never),
    () => env.bulkLoad(database, [5] as never),
    () => database.putMany([['a', 1]], { durability: 1 as never }),
    () => database.compareAndSet('a', {} as never, 1),
    () => database.compareAndSet('a', { version: 1, value: 1 }, 1),
    () => database.compareAndSet('a', { version: -1 }, 1),
    () => database.compareAndRemove('a', { version: 0.5 }),
    () => (database as Database<string, number>).add('a', 1),
    () => numbers.add('a', NaN),
    () => numbers.add('a', '1' as never),
    () => numbers.put('a', '1' as never),
    () => database.count({ exact: 1 as never }),
    () => database.count({ reverse: true }),
    () => env.batch(5 as never),
    () => env.batch(() => 5),
    () =>
      env.batch((batch) => {
        batch.put({} as never, 'a', 1)
      }),
  ]
  for (const call of calls) t.is((await rejection(t, 'RL_INVALID_ARGUMENT', call)).fate, 'none')
})

test('bytes that have been taken away are refused', async (t) => {
  const env = await openEnvironment(t)
  const binary = env.database('b', { key: 'binary', value: 'binary' })
  const tuples = env.database('t', { key: 'tuple' })
  const detached = new Uint8Array(8)
  structuredClone(detached, { transfer: [detached.buffer] })
  const there = Buffer.from('a')
  const calls: (() => unknown)[] = [
    () => binary.put(there, detached),
    () => binary.put(detached, there),
    () => binary.get(detached),
    () => binary.getInto(there, detached),
    () => binary.putMany([[there, detached]]),
    () => tuples.put(detached, 1),
    () => tuples.put(['a', detached], 1),
  ]
  await binary.put(there, new Uint8Array())
  for (const call of calls) t.is((await rejection(t, 'RL_INVALID_ARGUMENT', call)).fate, 'none')
  t.is(binary.get(there)?.length, 0)
  await rejection(t, 'RL_INVALID_ARGUMENT', () =>
    binary.getInto(there, new Uint8Array(new SharedArrayBuffer(8))),
  ).then(({ message }) => t.regex(message, /not shared/))
})

// A tuple of which reading the last element does something.
const keyThat = (does: () => unknown): unknown[] =>
  Object.defineProperty(['k', 1, 2], 2, {
    get: () => {
      does()
      return 2
    },
  })

test('code that a key runs while it is encoded cannot use a database', async (t) => {
  const env = await openEnvironment(t)
  const numbers = env.database<unknown, number>('numbers', { key: 'tuple', value: 'number' })
  const others = env.database<unknown, unknown>('others', { key: 'tuple' })
  await others.put('there', 1)
  const snapshot = env.snapshot()
  let batch: WriteBatch | undefined
  const inner: (() => unknown)[] = [
    () => numbers.put(['inner'], 7),
    () => others.put('inner', { a: 1 }),
    () => others.remove('there'),
    () => numbers.putMany(Array.from({ length: 500 }, (_, i) => [['inner', i], i])),
    () => numbers.putIfAbsent('inner', 7),
    () => batch?.put(others, 'inner', 'x'.repeat(100_000)) ?? others.take('there'),
    () =>
      env.transaction((tx) => {
        tx.put(others, 'inner', 1)
      }),
    () => others.get('there'),
    () => others.getMany(['there']),
    () => snapshot.has(others, 'there'),
    () => others.range().toArray(),
    () => others.range({ gte: 'there' }),
    () => others.count({ prefix: [] }),
  ]
  const outer: ((key: unknown) => unknown)[] = [
    (key) => numbers.put(key, 5),
    (key) => numbers.putMany([[key, 5]]),
    (key) => numbers.putIfAbsent(key, 5),
    (key) =>
      env.transaction((tx) => {
        tx.put(numbers, key, 5)
      }),
    (key) =>
      env.batch((given) => {
        batch = given
        given.put(numbers, key, 5)
      }),
  ]
  for (const write of outer) {
    for (const call of inner) {
      const tried: Promise<unknown>[] = []
      const key = keyThat(() => {
        tried.push(rejection(t, 'RL_INVALID_ARGUMENT', call))
      })
      await write(key)
      await Promise.all(tried)
      t.true(tried.length > 0)
      const rows = numbers.range().toArray()
      t.deepEqual(rows, [{ key: ['k', 1, 2], value: 5 }])
      t.deepEqual(others.range().toArray(), [{ key: 'there', value: 1 }])
      await numbers.remove(['k', 1, 2])
      batch = undefined
    }
  }
  snapshot.close()
})

test('a key may hand over what was written before it', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<unknown, number>('a', { key: 'tuple', value: 'number' })
  const key = keyThat(() => env.flush())
  for (const write of [() => database.put(key, 5), () => database.remove(key)]) {
    const before = database.put('before', 1)
    const written = write()
    const after = database.put('after', 2)
    await Promise.all([before, written, after])
  }
  t.deepEqual([...database.keys()], ['after', 'before'])
  await Promise.all([database.put('before', 3), database.put(key, 5), database.put('after', 4)])
  t.deepEqual([...database.values()], [4, 3, 5])
  const logged: unknown[] = []
  for await (const { operations } of env.readLog()) {
    const own = operations.filter((operation) => operation.database === 'a')
    logged.push(...own.map((operation) => operation.key))
  }
  t.deepEqual(
    logged,
    Array(3)
      .fill(['before', ['k', 1, 2], 'after'])
      .flat(),
  )
})

test('code that a value runs while it is encoded may write', async (t) => {
  const env = await openEnvironment(t)
  for (const value of ['json', 'msgpack'] as const) {
    const database = env.database<string, unknown>(value, { value })
    const inner: Promise<unknown>[] = []
    const given = (name: string) => ({
      before: 'b'.repeat(100),
      get at() {
        inner.push(database.put(name, { inner: 'i'.repeat(200) }))
        return 1
      },
      after: 'a'.repeat(100),
    })
    const stored = { before: 'b'.repeat(100), at: 1, after: 'a'.repeat(100) }
    await database.put('outer', given('1'))
    await env.batch((batch) => {
      batch.put(database, 'batch', given('2'))
    })
    await env.transaction((tx) => {
      tx.put(database, 'transaction', given('3'))
    })
    await Promise.all(inner)
    t.deepEqual(database.getMany(['outer', 'batch', 'transaction']), [stored, stored, stored])
    t.deepEqual(database.getMany(['1', '2', '3']), Array(3).fill({ inner: 'i'.repeat(200) }))
  }
})
