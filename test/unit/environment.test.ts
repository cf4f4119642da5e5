// Environments as wholes: opening, the catalogue, snapshots, the log, upkeep, the end.
import { EventEmitter, once } from 'node:events'
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'

import test from 'ava'
import { Environment, Log, type Transaction } from 'ringleader'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { openLog, temporaryDirectory } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

test('an environment is there again after closing', async (t) => {
  const env = await openEnvironment(t)
  const users = env.database('users', { key: 'tuple', value: 'json' })
  await users.putMany(Array.from({ length: 3000 }, (_, i) => [['u', i], { i }]))
  await env.close()
  const again = await openEnvironment(t, { create: false }, env.directory)
  t.is(again.environmentId, env.environmentId)
  t.is(again.groupId, env.groupId)
  t.deepEqual(again.databases(), [{ name: 'users', key: 'tuple', value: 'json' }])
  const stored = again.database('users')
  t.is(stored.keyEncoding, 'tuple')
  t.deepEqual(again.database('users', { key: 'tuple' }).get(['u', 7]), { i: 7 })
  t.is(await stored.count({ exact: true }), 3000)
})

test('the encodings of a database are decided when it is made', async (t) => {
  const env = await openEnvironment(t)
  const made = env.database('a', { key: 'binary', value: 'utf8' })
  t.is(env.database('a', { key: 'binary' }), made)
  t.like(env.database('a').info, { name: 'a', key: 'binary', value: 'utf8' })
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database('a', { key: 'utf8' }))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database('a', { value: 'json' }))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database('b', { key: 'ascii' as never }))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database('b', { values: 'utf8' } as never))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database(''))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database('x'.repeat(256)))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.database(5 as never))
  await rejection(t, 'RL_NOT_FOUND', () => env.database('b', { create: false }))
  t.is(env.database('x'.repeat(255)).name.length, 255)
})

test('a database of the same name with other encodings is another one', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const before = env.database('a')
  await before.put('a', 1)
  await other.database('a').drop()
  const there = other.database('a', { value: 'utf8' })
  await there.put('a', 'text')
  await rejection(t, 'RL_DROPPED', () => before.get('a'))
  t.is(env.database('a', { value: 'utf8' }).get('a'), 'text')
  await rejection(t, 'RL_DROPPED', () => before.put('a', 1))
})

test('a snapshot stays as it was', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany([
    ['a', 1],
    ['b', 2],
  ])
  const snapshot = env.snapshot()
  await database.putMany([
    ['a', 10],
    ['c', 3],
  ])
  await database.remove('b')
  await env.fold()
  t.is(snapshot.get(database, 'a'), 1)
  t.deepEqual(snapshot.getMany(database, ['a', 'b', 'c']), [1, 2, undefined])
  t.true(snapshot.has(database, 'b'))
  t.deepEqual([...snapshot.range(database)].length, 2)
  t.deepEqual([...snapshot.keys(database, { reverse: true })], ['b', 'a'])
  t.deepEqual([...snapshot.values(database, { gt: 'a' })], [2])
  t.is(snapshot.getEntry(database, 'a')?.version, snapshot.lsn)
  const later = env.database('later')
  await later.put('a', 1)
  await rejection(t, 'RL_NOT_FOUND', () => snapshot.get(later, 'a'))
  const walk = snapshot.range(database)[Symbol.iterator]()
  walk.next()
  snapshot.close()
  snapshot.close()
  for (const call of [
    () => snapshot.get(database, 'a'),
    () => snapshot.getMany(database, ['a']),
    () => snapshot.has(database, 'a'),
    () => snapshot.range(database),
  ]) {
    await rejection(t, 'RL_TRANSACTION_ENDED', call)
  }
})

test('more snapshots than there are places', async (t) => {
  const env = await openEnvironment(t, { ...smallEnvironment, maxReaders: 16 })
  const database = env.database('a')
  await database.put('a', 1)
  const snapshots: { close: () => void }[] = []
  const error = await rejection(t, 'RL_BUSY', () => {
    for (let i = 0; i < 100; i += 1) snapshots.push(env.snapshot())
  })
  t.is(error.retry, 'same')
  for (const snapshot of snapshots) snapshot.close()
  const again = env.snapshot()
  t.is(again.get(database, 'a'), 1)
  again.close()
})

test('an environment that is open twice is one', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, { generationBytes: 2 ** 22 }, env.directory)
  const [here, there] = [env.database('a'), other.database('a')]
  await Promise.all([here.put('a', 1), there.put('b', 2)])
  t.deepEqual([...here.keys()], ['a', 'b'])
  await other.close()
  await rejection(t, 'RL_CLOSED', () => there.get('a'))
  t.is(here.get('b'), 2)
  await here.put('c', 3)
  await env.close()
  const alone = await openEnvironment(t, {}, env.directory)
  t.is([...alone.database('a')].length, 3)
})

test('opening and closing at the same time, again and again', async (t) => {
  const directory = temporaryDirectory(t)
  for (let round = 0; round < 5; round += 1) {
    const all = await Promise.all(
      Array.from({ length: 4 }, () => Environment.open(directory, smallEnvironment)),
    )
    await Promise.all(all.map((env, i) => env.database('a').put(`${round} ${i}`, i)))
    await Promise.all([
      ...all.map((env) => env.close()),
      Environment.open(directory, smallEnvironment).then((env) => env.close()),
    ])
  }
  const env = await openEnvironment(t, {}, directory)
  t.is(await env.database('a').count({ exact: true }), 20)
})

test('waiting for what somebody else has committed', async (t) => {
  const env = await openEnvironment(t, { ...smallEnvironment, flushIntervalMs: 60_000 })
  const other = await openEnvironment(t, {}, env.directory)
  const receipt = await env.database('a').put('a', 1, { durability: 'memory' })
  await other.waitFor(receipt)
  t.true(env.stat().log.durable >= receipt.end)
  await other.waitFor(receipt.end, 'written', { timeoutMs: 1000 })
  t.true((await env.flush()) >= receipt.end)
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.waitFor(receipt.end + 1))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.waitFor('x'))
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.waitFor(0, 'ever' as never))
})

test('awaiting commits in memory lets the event loop go on', async (t) => {
  const env = await openEnvironment(t, { durability: 'memory' })
  const counts = env.database('counts', { key: 'utf8', value: 'number' })
  const loop = { turned: false }
  const turn = setImmediate().then(() => {
    loop.turned = true
  })
  // Ends only when the loop has turned; far more commits than that should take.
  for (let i = 0; i < 100_000 && !loop.turned; i += 1) await counts.put('n', i)
  t.true(loop.turned)
  await turn
})

test('the log tells what transactions have done', async (t) => {
  const env = await openEnvironment(t)
  const users = env.database<string, number>('users')
  const { lsn } = await users.put('ada', 1)
  await env.transaction((tx) => {
    tx.remove(users, 'ada')
    tx.put(users, 'bob', 2)
  })
  const gone = env.database('gone')
  await gone.put('a', 1)
  await gone.drop()
  const found = []
  for await (const transaction of env.readLog({ from: lsn })) {
    t.is(transaction.type, 'transaction')
    found.push(...transaction.operations)
  }
  t.like(found[0], { kind: 'put', database: 'users', key: 'ada', value: 1 })
  t.like(found[1], { kind: 'remove', database: 'users', key: 'ada' })
  t.like(found[2], { kind: 'put', database: 'users', key: 'bob', value: 2 })
  t.true(found.some(({ database }) => database === ''))
  const raw = found.find(({ database }) => database === undefined)
  t.is(Buffer.from(raw?.key as Uint8Array).toString(), 'a')
})

test('a bulk load fills an empty database', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<number, string>('a', { key: 'tuple' })
  const rows = function* (count: number) {
    for (let i = 0; i < count; i += 1) yield [i, `value ${i}`] as const
  }
  t.is(await env.bulkLoad(database, rows(20_000)), 20_000)
  t.is(await database.count(), 20_000)
  t.is(database.get(12_345), 'value 12345')
  await rejection(t, 'RL_EXISTS', () => env.bulkLoad(database, rows(5)))
  const unordered = env.database<number, string>('b', { key: 'tuple' })
  await rejection(t, 'RL_INVALID_ARGUMENT', () =>
    env.bulkLoad(unordered, [
      [2, 'x'],
      [1, 'y'],
    ]),
  )
  await t.throwsAsync(
    env.bulkLoad(
      unordered,
      (async function* () {
        yield [1, 'x'] as const
        await setImmediate()
        throw new Error('no more')
      })(),
    ),
    { message: 'no more' },
  )
  t.is(await unordered.count({ exact: true }), 0)
  t.is(await env.bulkLoad(unordered, []), 0)
  await env.verify()
})

test('closing waits for a bulk load', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<number, number>('a', { key: 'tuple' })
  const load = env.bulkLoad(
    database,
    Array.from({ length: 1000 }, (_, i) => [i, i] as const),
  )
  await setImmediate()
  await env.close()
  t.is(await load, 1000)
})

test('closing waits for what is under way', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<number, Buffer>('a', { key: 'tuple', value: 'binary' })
  const rows = Array.from({ length: 2000 }, (_, i) => [i, Buffer.alloc(1000, i)] as const)
  await database.putMany(rows)
  const directory = temporaryDirectory(t)
  const jobs = [env.fold(), env.backup(directory), env.verify(), database.count({ exact: true })]
  await setImmediate()
  const closing = env.close()
  const outcomes = await Promise.allSettled(jobs)
  t.deepEqual(
    outcomes.map(({ status }) => status),
    outcomes.map(() => 'fulfilled'),
  )
  await closing
  const copy = await openEnvironment(t, smallEnvironment, directory)
  t.is(await copy.database('a').count({ exact: true }), rows.length)
})

test('a backup is an environment', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany(Array.from({ length: 1000 }, (_, i) => [`${i}`, i]))
  await env.fold()
  await database.put('last', 1)
  const directory = temporaryDirectory(t)
  const lsn = await env.backup(directory)
  t.true(lsn > 0)
  await database.put('after', 1)
  const copy = await openEnvironment(t, smallEnvironment, directory)
  t.is(await copy.database('a').count({ exact: true }), 1001)
  t.false(copy.database('a').has('after'))
  t.true((await copy.verify()).rows >= 1001)
})

test('rolling back undoes what came later', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  const { end } = await database.put('a', 1)
  await database.putMany([
    ['a', 2],
    ['b', 2],
  ])
  const snapshot = env.snapshot()
  await env.rollBack(end)
  t.deepEqual([...database.range()], [{ key: 'a', value: 1 }])
  t.is(snapshot.get(database, 'b'), 2)
  snapshot.close()
  await database.put('c', 3)
  t.deepEqual([...database.keys()], ['a', 'c'])
  await rejection(t, 'RL_INVALID_ARGUMENT', () => env.rollBack(-1))
})

test('promises know what a roll-back has taken back', async (t) => {
  const env = await openEnvironment(t)
  const other = await openEnvironment(t, {}, env.directory)
  const [here, there] = [env.database<string, number>('a'), other.database<string, number>('a')]
  for (let round = 0; round < 10; round += 1) {
    const { end } = await here.put('kept', round)
    const pending = Array.from({ length: 20 }, (_, i) => here.put(`${i}`, round))
    await env.rollBack(end)
    for (const result of await Promise.allSettled(pending)) {
      if (result.status === 'fulfilled') continue
      t.like(result.reason, { code: 'RL_ROLLED_BACK', fate: 'unknown', retry: 'no' })
    }
    t.deepEqual([...there.range()], [{ key: 'kept', value: round }])
    // Who comes later has nothing to do with it.
    await Promise.all([there.put('x', 1), here.put('y', 1)])
    await Promise.all([there.remove('x'), here.remove('y')])
  }
})

test('the state of an environment has every field', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.putMany(Array.from({ length: 100 }, (_, i) => [`${i}`, i]))
  await env.fold()
  const { log, ...stat } = env.stat()
  t.true(log.durable > 0)
  t.like(stat, { overlayInFile: false, foldFailures: 0, lastFoldFailure: '', rollBacks: 0 })
  t.true(stat.baseRows >= 100 && stat.folds >= 1 && stat.foldedRows >= 100)
  t.true(stat.applied === log.visible)
  t.true(stat.maxReaders === 4096 && stat.generations >= 1 && stat.commits >= 2)
  for (const [name, value] of Object.entries(stat)) {
    if (typeof value === 'number') t.true(Number.isFinite(value) && value >= 0, name)
  }
})

test('close settles what is pending and ends what is open', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database<string, number>('a')
  await database.put('a', 1)
  const snapshot = env.snapshot()
  let open: Transaction | undefined
  const gate = new EventEmitter()
  const running = env.transaction(async (tx) => {
    open = tx
    tx.put(database, 'never', 1)
    await once(gate, 'open')
  })
  await setImmediate()
  const puts = Array.from({ length: 500 }, (_, i) => database.put(`${i}`, i))
  const added = database.putIfAbsent('a', 2)
  const ended = rejection(t, 'RL_CLOSED', () => running)
  const closing = env.close()
  t.is(env.close(), closing)
  const calls: (() => unknown)[] = [
    () => database.get('a'),
    () => database.getMany(['a']),
    () => database.has('a'),
    () => database.put('b', 1),
    () => database.remove('b'),
    () => database.putIfAbsent('b', 1),
    () => database.putMany([]),
    () => database.range(),
    () => database.count(),
    () => database.clear(),
    () => database.drop(),
    () => env.database('a'),
    () => env.databases(),
    () => env.batch(() => undefined),
    () => env.transaction(() => undefined),
    () => env.snapshot(),
    () => snapshot.get(database, 'a'),
    () => open?.get(database, 'a'),
    () => env.waitFor(0),
    () => env.flush(),
    () => env.fold(),
    () => env.rollBack(0),
    () => env.backup(env.directory),
    () => env.verify(),
    () => env.stat(),
    () => env.readLog(),
    () => env.bulkLoad(database, []),
  ]
  for (const call of calls) await rejection(t, 'RL_CLOSED', call)
  await closing
  for (const call of calls) await rejection(t, 'RL_CLOSED', call)
  t.is((await Promise.all(puts)).length, 500)
  t.false(await added)
  await ended
  gate.emit('open')
  await setImmediate()
  const again = await openEnvironment(t, {}, env.directory)
  t.is(await again.database('a').count({ exact: true }), 501)
  t.false(again.database('a').has('never'))
})

test('close ends a transaction that has begun in its turn', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  await database.put('a', 1)
  const gate = new EventEmitter()
  const running = env.transaction(async (tx) => {
    tx.put(database, 'never', 1)
    await once(gate, 'open')
  })
  const ended = rejection(t, 'RL_CLOSED', () => running)
  await env.close()
  await setImmediate() // when a guard would have been made for it
  gate.emit('open')
  await ended
})

test('close rejects transactions whose functions never end', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  const attempts: Transaction[] = []
  const running = [undefined, { timeoutMs: 10_000 }].map((options) =>
    env.transaction(async (tx) => {
      attempts.push(tx)
      tx.put(database, 'never', 1)
      await new Promise(() => undefined)
    }, options),
  )
  const committed = attempts[0]?.committed
  await setImmediate()
  const committing = env.transaction(async (tx) => {
    tx.put(database, 'committing', 1)
    await Promise.resolve()
  })
  // Handed over, but not settled: what close says must not be said of it.
  for (let i = 0; i < 10; i += 1) await Promise.resolve()
  const closing = env.close()
  for (const ended of [...running, committed, attempts[0]?.committed, attempts[1]?.committed]) {
    const error = await rejection(t, 'RL_CLOSED', () => ended)
    t.is(error.fate, 'none')
  }
  await committing
  await closing
  const again = await openEnvironment(t, {}, env.directory)
  t.deepEqual([...again.database('a').keys()], ['committing'])
})

test('a write during which the environment is closed is refused', async (t) => {
  const env = await openEnvironment(t)
  const database = env.database('a')
  let closing: Promise<void> | undefined
  const value = {
    get closes() {
      closing = env.close()
      return 1
    },
  }
  await rejection(t, 'RL_CLOSED', () => database.put('a', value))
  await closing
  await setImmediate()
  const again = await openEnvironment(t, {}, env.directory)
  const rows = function* () {
    yield ['a', 1] as const
    closing = again.close()
    yield ['b', 1] as const
  }
  await rejection(t, 'RL_CLOSED', () => again.database('a').putMany(rows()))
  await closing
  await setImmediate()
  const last = await openEnvironment(t, {}, env.directory)
  t.deepEqual(last.database('a').range().toArray(), [])
})

test('options of the wrong kind are refused', async (t) => {
  const directory = temporaryDirectory(t)
  const wrong: unknown[] = [
    { generationBytes: 2 ** 20 - 1 },
    { generationBytes: 2 ** 32 + 1 },
    { maxFrozen: 0 },
    { maxFrozen: 9 },
    { foldIntervalMs: 0 },
    { maxReaders: 15 },
    { maxReaders: 65_537 },
    { hashIndexBytes: -1 },
    { hashIndexBytes: 2 ** 34 + 1 },
    { durability: 'disk' },
    { level: 'memory' },
    { segmentBytes: 5 },
    { create: 1 },
    5,
  ]
  for (const options of wrong) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => Environment.open(directory, options as never))
  }
  await rejection(t, 'RL_INVALID_ARGUMENT', () => Environment.open(5 as never))
  await rejection(t, 'RL_NOT_FOUND', () => Environment.open(directory, { create: false }))
  t.false(existsSync(`${directory}/base`))
})

test('Log.open refuses an environment with databases', async (t) => {
  const env = await openEnvironment(t)
  const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(env.directory))
  t.regex(error.message, /Environment\.open/)
  await env.close()
  await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(env.directory))
  const log = await openLog(t)
  await log.append('of its own')
})

test('an environment can be closed by leaving its block', async (t) => {
  const env = await openEnvironment(t)
  await env[Symbol.asyncDispose]()
  await rejection(t, 'RL_CLOSED', () => env.stat())
  const again = await openEnvironment(t, {}, env.directory)
  const snapshot = again.snapshot()
  snapshot[Symbol.dispose]()
  await rejection(t, 'RL_TRANSACTION_ENDED', () => snapshot.get(again.database('a'), 'a'))
})

test('a directory whose small files are damaged is refused in words that fit', async (t) => {
  const env = await openEnvironment(t)
  await env.database('a').put('a', 1)
  await env.close()
  const copies = temporaryDirectory(t)
  const copy = (name: string) => {
    cpSync(env.directory, join(copies, name), { recursive: true })
    return join(copies, name)
  }
  const control = readFileSync(join(env.directory, 'control'))
  const half = control.length / 2
  // The sequence numbers say which half counts; the other one tells of the opening.
  const newest = control.readBigUInt64LE(12) > control.readBigUInt64LE(half + 12) ? 0 : half
  const damaged = Buffer.from(control)
  damaged[newest + 100] = (damaged[newest + 100] ?? 0) ^ 1
  writeFileSync(join(copy('control'), 'control'), damaged)
  const first = await rejection(t, 'RL_CORRUPTION', () => Environment.open(join(copies, 'control')))
  t.regex(first.message, /"control" is damaged/)
  const locked = copy('lock')
  rmSync(join(locked, 'lock'))
  mkdirSync(join(locked, 'lock'))
  const second = await rejection(t, 'RL_CORRUPTION', () => Environment.open(locked))
  t.regex(second.message, /lock is a directory/)
})
