// Reads by level, tokens and receipts in an environment of its own: what a group has an answer to,
// it answers by itself.
import { setTimeout as delay } from 'node:timers/promises'

import test from 'ava'
import { Environment, type Durability, type Receipt } from 'ringleader'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { temporaryDirectory } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('a snapshot of any level shows what has been committed', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.put('a', 1, { durability: 'memory' })
  for (const level of ['local', 'durable'] as const) {
    const snapshot = env.snapshot({ level })
    t.is(snapshot.get(database, 'a'), 1)
    t.deepEqual(snapshot.range(database).toArray(), [{ key: 'a', value: 1 }])
    snapshot.close()
  }
})

test('with readLevel durable every read works as without', async (t) => {
  const env = await openEnvironment(t, { ...smallEnvironment, readLevel: 'durable' })
  const other = await openEnvironment(t, smallEnvironment, env.directory)
  const database = env.database<string, number>('a')
  const theirs = other.database<string, number>('a')
  await theirs.put('a', 1, { durability: 'memory' })
  t.is(database.get('a'), 1)
  t.true(database.has('a'))
  t.deepEqual(database.getMany(['a', 'b']), [1, undefined])
  t.is(database.getEntry('a')?.value, 1)
  t.is(database.getInto('a', new Uint8Array(16)), 1)
  t.deepEqual(database.range().toArray(), [{ key: 'a', value: 1 }])
  await theirs.put('a', 2, { durability: 'memory' })
  t.is(database.get('a'), 2, 'each read sees what was committed before it')
  await theirs.clear()
  t.is(database.get('a'), undefined)
  t.deepEqual(database.keys().toArray(), [])
  await env.close()
  await rejection(t, 'RL_CLOSED', () => database.get('a'))
})

test('a view of an earlier time finds the databases of its time', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.put('a', 1)
  const snapshot = env.snapshot({ level: 'durable' })
  await database.clear()
  env.database('later')
  t.is(snapshot.get(database, 'a'), 1)
  await rejection(t, 'RL_NOT_FOUND', () => snapshot.get(env.database('later'), 'a'))
  snapshot.close()
})

test('without a group a snapshot is as fresh as can be at once', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const receipt = await database.put('a', 1, { durability: 'memory' })
  for (const options of [
    undefined,
    { linearizable: true },
    { maxLagMs: 0 },
    { level: 'durable', atLeast: receipt },
    { atLeast: receipt.token, maxLagMs: 10, timeoutMs: 1000 },
  ] as const) {
    const snapshot = await env.snapshotAt(options)
    t.true(snapshot.lsn >= receipt.end)
    t.is(snapshot.get(database, 'a'), 1)
    snapshot.close()
  }
})

test('a snapshot waits for a position that somebody else has still to commit', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const { end } = await database.put('a', 1, { durability: 'memory' })
  const error = await rejection(t, 'RL_TIMEOUT', () =>
    env.snapshotAt({ atLeast: { end: end + 1 }, timeoutMs: 20 }),
  )
  t.is(error.fate, 'none')
  const waiting = env.snapshotAt({ atLeast: { end: end + 1 }, timeoutMs: 60_000 })
  await database.put('a', 2)
  const snapshot = await waiting
  t.is(snapshot.get(database, 'a'), 2)
  snapshot.close()
  const never = env.snapshotAt({ atLeast: { end: 2 ** 50 } })
  const closed = rejection(t, 'RL_CLOSED', () => never)
  await env.close()
  await closed
  await rejection(t, 'RL_CLOSED', () => env.snapshotAt())
})

test('a receipt says what is known', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const receipt = await database.put('a', 1)
  t.is(receipt.term, 0)
  t.deepEqual(receipt.copies, [])
  t.deepEqual(receipt.survives, { process: true, power: true, anyOneDisk: false, election: false })
  t.false(receipt.permanentFailed)
  t.regex(receipt.token, /^[\w-]{55}$/)
  t.deepEqual(Object.keys(receipt), ['lsn', 'end', 'term'])
  await env.waitFor(receipt)
  await env.waitFor(receipt.token, 'written')
  await env.waitFor(receipt.end, 'memory')
  await env.close()
  await rejection(t, 'RL_CLOSED', () => receipt.survives)
})

test('a commit in memory does not survive the loss of power', async (t) => {
  const options = { ...smallEnvironment, flushIntervalMs: 60_000 }
  const env = await openEnvironment(t, options)
  const database = env.database<string, number>('a')
  const receipt = await database.put('a', 1, { durability: 'memory' })
  t.like(receipt.survives, { process: true, power: false })
  await env.waitFor(receipt, 'flushed')
  t.like(receipt.survives, { process: true, power: true })
})

test('transactions and batches give receipts of the same kind', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const batch = await env.batch((writes) => {
    writes.put(database, 'a', 1)
  })
  t.like(batch, { term: 0, copies: [], permanentFailed: false })
  const committed: Promise<Receipt>[] = []
  await env.transaction((tx) => {
    tx.put(database, 'a', 2)
    committed.push(tx.committed)
  })
  const [receipt] = await Promise.all(committed)
  t.like(receipt, { term: 0, copies: [], permanentFailed: false })
  t.is(receipt?.end, database.getEntry('a')?.version)
  await env.waitFor(receipt?.token ?? '')
})

const copies: Durability[] = [
  'quorum',
  { copies: 1 },
  { copies: 'all', at: 'applied', timeoutMs: 10 },
  { copies: 'quorum', at: 'received', local: 'memory' },
]

test('without a group every write that asks for copies is refused, and does nothing', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a', { value: 'number' })
  for (const durability of copies) {
    const options = { durability }
    const calls = [
      () => database.put('a', 1, options),
      () => database.remove('a', options),
      () => database.putMany([['a', 1]], options),
      () => database.putIfAbsent('a', 1, options),
      () => database.take('a', options),
      () => database.add('a', 1, options),
      () =>
        env.batch((batch) => {
          batch.put(database, 'a', 1)
        }, options),
      () =>
        env.transaction((tx) => {
          tx.put(database, 'a', 1)
        }, options),
      () => env.waitFor(0, durability),
    ]
    for (const call of calls) {
      // Nothing is waited for: they are refused at once.
      const late = delay(2_000, undefined, { ref: false })
      const error = await rejection(t, 'RL_NO_GROUP', () => Promise.race([call(), late]))
      t.like(error, { fate: 'none', retry: 'no' })
    }
  }
  t.is(database.get('a'), undefined)
  await database.put('a', 1)
  t.is(database.get('a'), 1)
})

test('an environment may be opened for a group that it has still to join', async (t) => {
  const directory = temporaryDirectory(t)
  const env = await openEnvironment(t, { ...smallEnvironment, durability: 'quorum' }, directory)
  const database = env.database('a')
  await rejection(t, 'RL_NO_GROUP', () => database.put('a', 1))
  await rejection(t, 'RL_NO_GROUP', () =>
    env.transaction((tx) => {
      tx.put(database, 'a', 1)
    }),
  )
  await database.put('a', 1, { durability: 'flushed' })
  t.is(database.get('a'), 1)
})

test('tokens and options that are wrong are refused', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t)
  const { token } = await other.database('a').put('a', 1)
  const wrong = [
    () => env.waitFor(token),
    () => env.waitFor('token'),
    () => env.waitFor(0, 'quorums' as 'quorum'),
    () => env.snapshot({ level: 'written' as 'local' }),
    () => env.snapshotAt({ atLeast: token }),
    () => env.snapshotAt({ atLeast: -1 as unknown as string }),
    () => env.snapshotAt({ maxLagMs: -1 }),
    () => env.snapshotAt({ timeoutMs: Number.NaN }),
    () => env.snapshotAt({ linearizable: 1 as unknown as boolean }),
    () => env.snapshotAt({ linearizable: true, level: 'local' }),
    () => Environment.open(env.directory, { readLevel: 'newest' as 'local' }),
    () => Environment.open(env.directory, { durability: { copies: 0 } }),
  ]
  for (const call of wrong) await rejection(t, 'RL_INVALID_ARGUMENT', call)
})
