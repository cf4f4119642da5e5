// Interactive transactions: isolation, conflicts, repetition, ends.
import { setImmediate, setTimeout } from 'node:timers/promises'

import test from 'ava'
import type { Receipt, Transaction } from 'ringleader'

import { openEnvironment } from '../support/environments.js'
import { patternBytes } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('a transaction sees its own writes, and nobody else does before it commits', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany([
    ['a', 1],
    ['b', 2],
    ['c', 3],
  ])
  let committed: Promise<Receipt> | undefined
  const result = await env.transaction(async (tx) => {
    committed = tx.committed
    tx.put(database, 'a', 10)
    tx.put(database, 'd', 4)
    tx.remove(database, 'b')
    t.is(tx.get(database, 'a'), 10)
    t.is(tx.getEntry(database, 'a')?.version, 0)
    t.false(tx.has(database, 'b'))
    t.deepEqual(tx.getMany(database, ['a', 'b', 'c', 'd']), [10, undefined, 3, 4])
    t.deepEqual([...tx.keys(database)], ['a', 'c', 'd'])
    t.deepEqual([...tx.values(database, { reverse: true })], [4, 3, 10])
    t.deepEqual([...tx.range(database, { gt: 'a', limit: 1 })], [{ key: 'c', value: 3 }])
    await setImmediate()
    t.is(database.get('a'), 1)
    return 'result'
  })
  t.is(result, 'result')
  t.deepEqual([...database.keys()], ['a', 'c', 'd'])
  const receipt = await committed
  t.is(database.getEntry('a')?.version, receipt?.end)
  t.true(env.stat().log.durable >= (receipt?.end ?? Infinity))
})

test('functions that are not async, and that give nothing', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  t.is(await env.transaction((tx) => tx.get(database, 'x')), undefined)
  t.is(
    await env.transaction((tx) => {
      tx.put(database, 'x', 1)
      return 5
    }),
    5,
  )
  t.is(database.get('x'), 1)
})

test('what throws has not happened', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  const attempts: Transaction[] = []
  for (const late of [false, true]) {
    await t.throwsAsync(
      env.transaction(async (tx) => {
        attempts.push(tx)
        tx.put(database, 'a', 1)
        if (late) await setImmediate()
        throw new Error('no')
      }),
      { message: 'no' },
    )
  }
  await t.throwsAsync(
    env.transaction(() => {
      throw new Error('at once')
    }),
    { message: 'at once' },
  )
  t.false(database.has('a'))
  t.is(attempts.length, 2)
  await rejection(t, 'RL_TRANSACTION_ENDED', () => attempts[0]?.committed)
})

test('transactions that read what others write run again until all have happened', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const count = 100
  await Promise.all(
    Array.from({ length: count }, () =>
      env.transaction(async (tx) => {
        const value = tx.get(database, 'counter') ?? 0
        await setImmediate()
        tx.put(database, 'counter', value + 1)
      }),
    ),
  )
  t.is(database.get('counter'), count)
  const { conflicts, reservations } = env.stat()
  t.true(conflicts > 0)
  t.true(reservations > 0)
})

// Reads, has somebody else write, and tries to commit.
const conflicting = async (
  t: Parameters<typeof openEnvironment>[0],
  read: (tx: Transaction, database: ReturnType<typeof rowsOf>) => unknown,
  write: (database: ReturnType<typeof rowsOf>) => Promise<unknown>,
  isolation: 'serializable' | 'snapshot' = 'serializable',
): Promise<boolean> => {
  const env = await openEnvironment(t)
  const database = rowsOf(env)
  await database.putMany(Array.from({ length: 200 }, (_, i) => [`k${100 + i}`, i]))
  let attempts = 0
  const running = env.transaction(
    async (tx) => {
      attempts += 1
      read(tx, database)
      if (attempts === 1) await write(database)
      tx.put(database, 'mine', attempts)
    },
    { isolation, retry: false },
  )
  const [{ status }] = await Promise.allSettled([running])
  if (status === 'rejected') {
    const error = await rejection(t, 'RL_CONFLICT', () => running)
    t.like(error, { fate: 'none', retry: 'same' })
    t.false(database.has('mine'))
  } else {
    t.is(database.get('mine'), 1)
  }
  t.is(attempts, 1)
  return status === 'rejected'
}

const rowsOf = (env: Awaited<ReturnType<typeof openEnvironment>>) =>
  env.database<string, number>('rows')

test('a row that was read and then written is a conflict', async (t) => {
  const write = (database: ReturnType<typeof rowsOf>) => database.put('k100', 7)
  t.true(await conflicting(t, (tx, rows) => tx.get(rows, 'k100'), write))
  t.true(await conflicting(t, (tx, rows) => tx.has(rows, 'k100'), write))
  t.true(await conflicting(t, (tx, rows) => tx.getMany(rows, ['k200', 'k100']), write))
  t.true(await conflicting(t, (tx, rows) => [...tx.range(rows, { limit: 2 })], write))
  t.false(await conflicting(t, (tx, rows) => tx.get(rows, 'k101'), write))
  t.false(await conflicting(t, (tx, rows) => tx.get(rows, 'k100'), write, 'snapshot'))
})

test('a row that was not there and then is, is a conflict', async (t) => {
  const write = (database: ReturnType<typeof rowsOf>) => database.put('new', 7)
  t.true(await conflicting(t, (tx, rows) => tx.get(rows, 'new'), write))
  t.true(await conflicting(t, (tx, rows) => [...tx.range(rows, { gt: 'k9' })], write))
  t.true(await conflicting(t, (tx, rows) => [...tx.keys(rows, { reverse: true, limit: 1 })], write))
  t.false(await conflicting(t, (tx, rows) => [...tx.range(rows, { lt: 'k9' })], write))
})

test('a walk that was left early has read only what it was given', async (t) => {
  const readFirst = (tx: Transaction, rows: ReturnType<typeof rowsOf>) => {
    tx.range(rows)[Symbol.iterator]().next()
  }
  t.true(await conflicting(t, readFirst, (rows) => rows.remove('k100')))
  t.false(await conflicting(t, readFirst, (rows) => rows.put('k299', 7)))
})

test('snapshot isolation: who writes the same row second is refused', async (t) => {
  const write = (database: ReturnType<typeof rowsOf>) => database.put('mine', 7)
  const env = await openEnvironment(t)
  const rows = rowsOf(env)
  const running = env.transaction(
    async (tx) => {
      tx.get(rows, 'other')
      await write(rows)
      tx.put(rows, 'mine', 1)
    },
    { isolation: 'snapshot', retry: false },
  )
  await rejection(t, 'RL_CONFLICT', () => running)
  t.is(rows.get('mine'), 7)
})

test('a number of repetitions', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  let attempts = 0
  const disturbed = (retry: number) =>
    env.transaction(
      async (tx) => {
        attempts += 1
        tx.get(database, 'a')
        // Reservations hold others up: this one would wait for itself.
        if (attempts <= 2) await database.put('a', attempts, { durability: 'memory' })
        tx.put(database, 'b', attempts)
      },
      { retry },
    )
  await rejection(t, 'RL_CONFLICT', () => disturbed(1))
  t.is(attempts, 2)
  attempts = 0
  await disturbed(2)
  t.is(attempts, 3)
  t.is(database.get('b'), 3)
})

test('a transaction that only reads commits nothing', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  await database.put('a', 1)
  const { commits } = env.stat()
  let committed: Promise<Receipt> | undefined
  const lsn = await env.transaction(async (tx) => {
    committed = tx.committed
    const before = tx.get(database, 'a')
    await database.put('a', 2)
    t.is(tx.get(database, 'a'), before)
    return tx.lsn
  })
  t.like(await committed, { lsn, end: lsn, term: 0 })
  t.is(env.stat().commits, commits + 1)
})

test('a transaction sees what was committed before it began, and nothing later', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const database = env.database<string, number>('a')
  const seenBy = (tx: Transaction) => tx.get(database, 'a')
  const writers = [database, other.database<string, number>('a')]
  await env.transaction(async (first) => {
    for (const [i, writer] of writers.entries()) {
      await env.transaction(async (before) => {
        await writer.put('a', i, { durability: 'memory' })
        // Both begin in the same turn, and read from one view.
        t.deepEqual(await Promise.all([env.transaction(seenBy), env.transaction(seenBy)]), [i, i])
        t.is(seenBy(before), i === 0 ? undefined : i - 1)
      })
    }
    t.is(seenBy(first), undefined)
    t.true(first.lsn < env.stat().log.visible)
  })
})

test('a transaction that has ended refuses everything', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  const ended: Transaction[] = []
  await env.transaction((tx) => {
    ended.push(tx)
    tx.put(database, 'a', 1)
  })
  await env.transaction((tx) => ended.push(tx))
  await env
    .transaction((tx) => {
      ended.push(tx)
      throw new Error('no')
    })
    .catch(() => undefined)
  // Others take the places of those that have ended.
  await env.transaction(async (other) => {
    for (const tx of ended) {
      const calls: (() => unknown)[] = [
        () => tx.get(database, 'a'),
        () => tx.getEntry(database, 'a'),
        () => tx.getMany(database, ['a']),
        () => tx.has(database, 'a'),
        () => [...tx.range(database)],
        () => [...tx.keys(database)],
        () => {
          tx.put(database, 'a', 1)
        },
        () => {
          tx.remove(database, 'a')
        },
      ]
      for (const call of calls) await rejection(t, 'RL_TRANSACTION_ENDED', call)
    }
    t.is(other.get(database, 'a'), 1)
  })
  t.is(database.get('a'), 1)
})

test('a walk ends with its transaction or snapshot, whatever it has fetched', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany(Array.from({ length: 10 }, (_, i) => [`${i}`, i]))
  const walks = [{}, { limit: 5 }].map((options) => {
    const snapshot = env.snapshot()
    const walk = snapshot.range(database, options)[Symbol.iterator]()
    t.is(walk.next().value?.value, 0)
    snapshot.close()
    return walk
  })
  for (const fails of [false, true]) {
    const ended = env.transaction((tx) => {
      for (const options of [{}, { reverse: true }]) {
        const walk = tx.range(database, options)[Symbol.iterator]()
        t.false(walk.next().done)
        walks.push(walk)
      }
      if (fails) throw new Error('no')
    })
    await ended.catch(() => undefined)
  }
  t.is(walks.length, 6)
  for (const walk of walks) {
    await rejection(t, 'RL_TRANSACTION_ENDED', () => walk.next())
    t.true(walk.return().done)
    t.true(walk.next().done)
  }
})

test('databases of another environment are refused', async (t) => {
  const [env, other] = await Promise.all([openEnvironment(t), openEnvironment(t)])
  const foreign = other.database('a')
  const own = env.database('a')
  await env.transaction(async (tx) => {
    const calls: (() => unknown)[] = [
      () => tx.get(foreign, 'a'),
      () => tx.range(foreign),
      () => {
        tx.put(foreign, 'a', 1)
      },
      () => tx.get({} as never, 'a'),
      () => tx.get(undefined as never, 'a'),
    ]
    for (const call of calls) await rejection(t, 'RL_INVALID_ARGUMENT', call)
    tx.put(own, 'a', 1)
  })
  t.is(own.get('a'), 1)
})

test('a transaction that takes too long is given up', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  let late: Transaction | undefined
  const error = await rejection(t, 'RL_TIMEOUT', () =>
    env.transaction(
      async (tx) => {
        late = tx
        tx.put(database, 'a', 1)
        await setTimeout(200)
      },
      { timeoutMs: 20 },
    ),
  )
  t.is(error.fate, 'none')
  await rejection(t, 'RL_TRANSACTION_ENDED', () => late?.get(database, 'a'))
  await setTimeout(250)
  t.false(database.has('a'))
  t.is(await env.transaction(() => 'in time', { timeoutMs: 10_000 }), 'in time')
})

test('large rows, and many of them, in one transaction', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database('a', { value: 'binary' })
  await env.transaction((tx) => {
    for (let i = 0; i < 20; i += 1) tx.put(database, `${i}`, patternBytes(200_000, i))
    for (let i = 0; i < 2000; i += 1) tx.put(database, `small ${i}`, patternBytes(100, i))
    t.true(patternBytes(200_000, 3).equals(tx.get(database, '3') ?? Buffer.alloc(0)))
    t.is([...tx.keys(database)].length, 2020)
    t.is(tx.getMany(database, ['3', '4', '5'])[2]?.length, 200_000)
  })
  t.true(patternBytes(200_000, 19).equals(database.get('19') ?? Buffer.alloc(0)))
  t.is(await database.count({ exact: true }), 2020)
})

test('a thousand transactions at once', async (t) => {
  const env = await openEnvironment(t, { ringBytes: 2 ** 20, segmentBytes: 2 ** 20 })
  const database = env.database<string, number>('a')
  const rounds = Array.from({ length: 1000 }, (_, i) => i)
  for (let round = 1; round <= 3; round += 1) {
    await Promise.all(
      rounds.map((i) =>
        env.transaction(async (tx) => {
          const value = tx.get(database, `${i}`) ?? 0
          await setImmediate()
          tx.put(database, `${i}`, value + 1)
        }),
      ),
    )
    t.deepEqual(
      database.getMany(rounds.map(String)),
      rounds.map(() => round),
    )
  }
})

test('a database that is cleared while a transaction is open', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const database = env.database<string, number>('a')
  await database.put('old', 1)
  let attempts = 0
  await env.transaction(async (tx) => {
    attempts += 1
    if (attempts === 1) await other.database('a').clear()
    tx.put(database, 'new', tx.get(database, 'old') ?? 0)
  })
  t.is(attempts, 2)
  t.deepEqual([...database.range()], [{ key: 'new', value: 0 }])
  await rejection(t, 'RL_DROPPED', () =>
    env.transaction(async (tx) => {
      if (other.databases().length > 0) await other.database('a').drop()
      tx.put(database, 'new', 2)
    }),
  )
})

test('options of the wrong kind are refused', async (t) => {
  const env = await openEnvironment(t)
  const wrong: unknown[] = [
    { isolation: 'none' },
    { retry: -1 },
    { retry: 'yes' },
    { timeoutMs: -1 },
    { durability: 'never' },
    { level: 'memory' },
    5,
  ]
  for (const options of wrong) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () =>
      env.transaction(() => undefined, options as never),
    )
  }
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.transaction(5 as never))
})
