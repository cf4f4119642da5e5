// dump and load: databases as text and back.
import { setTimeout } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import { dump, load, type Database, type Environment, type LoadOptions } from 'ringleader'

import { hardPairs } from '../support/dumps.js'
import { openEnvironment } from '../support/environments.js'
import { rejection } from '../support/rejection.js'

const textOf = async (pieces: AsyncIterable<string>): Promise<string> => {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

const rowsOf = <K, V>(database: Database<K, V>): [K, V][] =>
  database
    .range()
    .toArray()
    .map(({ key, value }) => [key, value])

const header = (...lines: string[]) =>
  ['VERSION=3', 'format=print', 'type=btree', ...lines, 'HEADER=END', ''].join('\n')

const fill = async (env: Environment) => {
  const users = env.database<string, unknown>('users')
  const scores = env.database('scores', { key: 'tuple', value: 'number' })
  const bytes = env.database('ä\n', { key: 'binary', value: 'binary' })
  env.database('empty', { key: 'utf8', value: 'json' })
  await users.putMany([
    ['ada', { born: 1815 }],
    ['é', [1, 'x', null]],
  ])
  await scores.putMany([
    [['ada', 1], 0.5],
    [['ada', -3], -1],
    [null, 7],
  ])
  await bytes.putMany(hardPairs)
  return { users, scores, bytes }
}

const contentOf = (env: Environment) =>
  env.databases().map((info) => [info, rowsOf(env.database(info.name))])

for (const format of ['bytevalue', 'print'] as const) {
  test(`an environment goes out as ${format} and comes in as it was`, async (t) => {
    const from = await openEnvironment(t)
    await fill(from)
    const text = await textOf(dump(from, { format, encodings: true }))
    const to = await openEnvironment(t)
    const rows = 2 + 3 + hardPairs.length
    t.deepEqual(await load(to, [text]), { databases: 4, rows })
    t.deepEqual(contentOf(to), contentOf(from))
    t.is(await textOf(dump(to, { format, encodings: true })), text)
  })
}

test('without encodings, rows come in as bytes, or as options or database say', async (t) => {
  const from = await openEnvironment(t)
  const { users } = await fill(from)
  const text = await textOf(dump(users))
  t.false(text.includes('ringleader') || text.includes('database='))
  const to = await openEnvironment(t)
  await load(to, [text], { database: 'bytes' })
  t.like(to.database('bytes').info, { key: 'binary', value: 'binary' })
  await load(to, [text], { database: 'made', key: 'utf8', value: 'msgpack' })
  t.deepEqual(rowsOf(to.database<string, unknown>('made')), rowsOf(users))
  const there = to.database<string, unknown>('there')
  await there.put('ö', 1)
  await there.put('ada', 'replaced')
  t.deepEqual(await load(there, [text]), { databases: 1, rows: 2 })
  t.deepEqual(rowsOf(there), [...rowsOf(users), ['ö', 1]])
})

test('named databases are dumped in the order asked for', async (t) => {
  const env = await openEnvironment(t)
  await fill(env)
  const text = await textOf(dump(env, { databases: ['users', 'empty'], fields: [['mapsize', 7]] }))
  t.deepEqual(text.match(/^(database|mapsize)=.*$/gm), [
    'database=users',
    'mapsize=7',
    'database=empty',
    'mapsize=7',
  ])
  t.is(await textOf(dump(env, { databases: [] })), '')
})

test('a dump is of the moment at which its loop begins', async (t) => {
  const env = await openEnvironment(t)
  const numbers = env.database('numbers', { key: 'utf8', value: 'utf8' })
  const others = env.database('others', { key: 'utf8', value: 'utf8' })
  const rows = Array.from({ length: 3000 }, (_, i) => [`${10_000 + i}`, 'x'.repeat(50)] as const)
  await numbers.putMany(rows)
  await others.put('a', 'before')
  const pieces = dump(env)
  const before = await textOf(pieces)
  let text = ''
  for await (const piece of pieces) {
    if (text === '') {
      await numbers.clear()
      await others.put('a', 'after')
      await env.fold()
    }
    text += piece
  }
  t.true(text === before)
  t.false((await textOf(pieces)) === before)
  // Whoever removes the rows of what was cleared reads, too.
  for (let looks = 0; env.stat().readers > 0 && looks < 1000; looks += 1) await setTimeout(10)
  t.is(env.stat().readers, 0)
})

test('a loop that is left lets go of its view', async (t) => {
  const env = await openEnvironment(t)
  const rows = Array.from({ length: 5000 }, (_, i) => [`${i}`, 'x'.repeat(50)] as const)
  await env.database<string, string>('numbers').putMany(rows)
  const before = env.stat().readers
  for await (const piece of dump(env)) {
    t.true(piece.length > 0)
    break
  }
  t.is(env.stat().readers, before)
})

test('any bytes come back, in batches of any size', async (t) => {
  const env = await openEnvironment(t)
  const from = env.database('from', { key: 'binary', value: 'binary' })
  const to = env.database('to', { key: 'binary', value: 'binary' })
  const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
  const seed = Date.now() % 2 ** 31
  t.log(`seed ${seed}`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(bytes(1, 40), bytes(0, 300)), { minLength: 1, maxLength: 30 }),
      fc.constantFrom('bytevalue' as const, 'print' as const),
      fc.integer({ min: 1, max: 2000 }),
      async (pairs, format, batchBytes) => {
        await from.clear()
        await to.clear()
        await from.putMany(pairs)
        const { rows } = await load(to, dump(from, { format }), { batchBytes })
        t.is(rows, new Set(pairs.map(([key]) => Buffer.from(key).toString('hex'))).size)
        t.deepEqual(rowsOf(to), rowsOf(from))
      },
    ),
    { seed, numRuns: 40 },
  )
})

test('batches are transactions, and those before a failure stay', async (t) => {
  const env = await openEnvironment(t)
  const db = env.database('db', { key: 'utf8', value: 'utf8' })
  const { commits } = env.stat()
  const good = Array.from({ length: 100 }, (_, i) => ` ${100 + i}\n value\n`).join('')
  await load(db, [`${header()}${good}DATA=END\n`], { batchBytes: 1 })
  t.is(env.stat().commits - commits, 100)
  await load(db, [`${header()}${good}DATA=END\n`])
  t.is(env.stat().commits - commits, 101)
  await db.clear()
  const torn = [header(), ...good.split(/(?<=value\n)/), ' torn\n']
  await rejection(t, 'RL_CORRUPTION', () => load(db, torn, { batchBytes: 1 }))
  t.is(rowsOf(db).length, 100)
})

interface Refused {
  name: string
  code: 'RL_INVALID_ARGUMENT' | 'RL_UNSUPPORTED' | 'RL_CORRUPTION' | 'RL_TOO_LARGE'
  text: string
  says: RegExp
  options?: LoadOptions
  /** Into a database with these encodings; otherwise into an environment. */
  into?: Parameters<Environment['database']>[1]
}

const refused: Refused[] = [
  {
    name: 'duplicates',
    code: 'RL_UNSUPPORTED',
    text: `${header('database=a', 'duplicates=1')}DATA=END\n`,
    says: /^line 6: duplicates/,
  },
  {
    name: 'a dump that names no database',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header()}DATA=END\n`,
    says: /^line 4: the dump names no database/,
  },
  {
    name: 'two databases for one',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header('database=a')}DATA=END\n${header('database=b')}DATA=END\n`,
    says: /^line 11: a second database/,
    into: { key: 'utf8' },
  },
  {
    name: 'a key that is none of the encoding',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header()} \\ff\n x\nDATA=END\n`,
    says: /^line 5: no row for database db/,
    into: { key: 'utf8', value: 'utf8' },
  },
  {
    name: 'a tuple that is not as it would be written',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header()} zz\n x\nDATA=END\n`,
    says: /^line 5: no row for database db/,
    into: { key: 'tuple', value: 'utf8' },
  },
  {
    name: 'a value that is none of the encoding',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header()} a\n {\nDATA=END\n`,
    says: /^line 5: no row for database db: .*JSON|^line 5: no row for database db: value/,
    into: { key: 'utf8', value: 'json' },
  },
  {
    name: 'an empty key',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header()} \n x\nDATA=END\n`,
    says: /^line 5: .*at least one byte/,
    options: { database: 'db' },
  },
  {
    name: 'a key that is too long',
    code: 'RL_TOO_LARGE',
    text: `${header()} ${'k'.repeat(1979)}\n x\nDATA=END\n`,
    says: /^line 5/,
    options: { database: 'db' },
  },
  {
    name: 'encodings that nobody knows',
    code: 'RL_INVALID_ARGUMENT',
    text: `${header('database=a', 'ringleader_key=rot')}DATA=END\n`,
    says: /^key: one of binary/,
  },
  {
    name: 'nothing at all',
    code: 'RL_CORRUPTION',
    text: '',
    says: /VERSION=3/,
  },
]

for (const { name, code, text, says, options, into } of refused) {
  test(`refused: ${name}`, async (t) => {
    const env = await openEnvironment(t)
    const target = into ? env.database('db', into) : env
    const { message } = await rejection(t, code, () => load(target, [text], options))
    t.regex(message, says)
    const rows = env.databases().flatMap((info) => rowsOf(env.database(info.name)))
    t.deepEqual(rows, [])
  })
}

const wrong = async (t: ExecutionContext, call: () => unknown) =>
  (await rejection(t, 'RL_INVALID_ARGUMENT', call)).message

test('arguments are checked', async (t) => {
  const env = await openEnvironment(t)
  const db = env.database('db')
  t.regex(await wrong(t, () => dump(env, { format: 'xml' as never })), /^format: /)
  t.regex(await wrong(t, () => dump(env, { databases: 'db' as never })), /^databases: /)
  t.regex(await wrong(t, () => dump(db, { databases: ['db'] })), /^databases: /)
  t.regex(await wrong(t, () => dump({} as never)), /^database: /)
  t.regex(await wrong(t, () => load({} as never, [])), /^database: /)
  t.regex(await wrong(t, () => load(env, 5 as never)), /^source: /)
  t.regex(await wrong(t, () => load(env, [5] as never)), /^source: /)
  t.regex(await wrong(t, () => load(env, [], { batchBytes: 0 })), /^batchBytes: /)
  t.regex(await wrong(t, () => load(env, [], { durability: 'soon' as never })), /^durability: /)
  await rejection(t, 'RL_NOT_FOUND', () => dump(env, { databases: ['other'] }))
  const pieces = dump(env)
  await env.close()
  await rejection(t, 'RL_CLOSED', () => dump(env))
  await rejection(t, 'RL_CLOSED', () => textOf(pieces))
  await rejection(t, 'RL_CLOSED', () => load(env, []))
})

test('a source that fails is what the load fails with', async (t) => {
  const env = await openEnvironment(t)
  const db = env.database('db', { key: 'utf8', value: 'utf8' })
  const source = function* () {
    yield `${header()} a\n 1\n`
    throw new Error('the pipe has broken')
  }
  await t.throwsAsync(() => load(db, source(), { batchBytes: 1 }), { message: /pipe has broken/ })
  t.deepEqual(rowsOf(db), [['a', '1']])
})
