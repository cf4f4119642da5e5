// What the types promise: compiled with the tests, never run.
import { Environment, type Database, type Receipt, type TupleElement } from 'ringleader'
import type {
  DatabaseInfo,
  EnvironmentStat,
  Entry,
  LoggedTransaction,
  Snapshot,
  Transaction,
  Verified,
} from 'ringleader'

interface User {
  born: number
}

export const taken = async (env: Environment) => {
  await Environment.open('directory', {
    generationBytes: 1,
    maxFrozen: 1,
    foldIntervalMs: 1,
    maxReaders: 16,
    hashIndexBytes: 0,
    durability: 'written',
    groupId: new Uint8Array(16),
  })
  const users = env.database<string, User>('users')
  const pairs = env.database<[string, number], number>('pairs', { key: 'tuple', value: 'number' })
  await users.put('ada', { born: 1815 }, { durability: 'memory' })
  await users.putMany(new Map([['ada', { born: 1815 }]]))
  await users.compareAndSet('ada', { version: 5 }, { born: 1 })
  await users.compareAndSet('ada', { value: { born: 1 } }, { born: 2 })
  await env.batch((batch) => {
    batch.put(pairs, ['a', 1], 2)
  })
  return {
    plain: env.database('plain') satisfies Database,
    binary: env.database('b', { key: 'binary', value: 'utf8' }) satisfies Database<
      Uint8Array,
      string
    >,
    tuple: env.database('t', { key: 'tuple' }) satisfies Database<TupleElement>,
    user: users.get('ada') satisfies User | undefined,
    entry: users.getEntry('ada') satisfies Entry<User> | undefined,
    many: users.getMany(['ada']) satisfies (User | undefined)[],
    into: users.getInto('ada', Buffer.alloc(8)) satisfies number | undefined,
    taken: users.take('ada') satisfies Promise<User | undefined>,
    sum: pairs.add(['a', 1], 5) satisfies Promise<number>,
    keys: pairs.keys({ prefix: ['a'] }) satisfies Iterable<[string, number]>,
    values: users.values({ gt: 'a', lte: 'b', reverse: true, limit: 5 }) satisfies Iterable<User>,
    rows: users.range().toArray() satisfies { key: string; value: User }[],
    result: env.transaction(() => 5) satisfies Promise<number>,
    later: env.transaction((tx) => Promise.resolve(tx.get(users, 'ada')?.born), {
      isolation: 'snapshot',
      retry: 3,
      timeoutMs: 5,
    }) satisfies Promise<number | undefined>,
    receipt: env.transaction((tx: Transaction) => tx.committed) satisfies Promise<Receipt>,
    snapshot: env.snapshot() satisfies Snapshot & Disposable,
    list: env.databases() satisfies DatabaseInfo[],
    stat: env.stat() satisfies EnvironmentStat,
    verified: env.verify() satisfies Promise<Verified>,
    log: env.readLog() satisfies AsyncIterable<LoggedTransaction>,
    disposable: env satisfies AsyncDisposable,
  }
}

export const refused = async (env: Environment) => {
  const users = env.database<string, User>('users')
  // @ts-expect-error: an encoding is one of a few
  env.database('a', { key: 'ascii' })
  // @ts-expect-error: keys are strings
  users.get(5)
  // @ts-expect-error: a value may be missing
  const user: User = users.get('ada')
  // @ts-expect-error: values are users
  await users.put('ada', 5)
  // @ts-expect-error: only numbers can be added to
  await users.add('ada', 5)
  // @ts-expect-error: options are known
  users.range({ from: 'a' })
  await env.transaction((tx) => {
    // @ts-expect-error: values are users here too
    tx.put(users, 'ada', 5)
  })
  // @ts-expect-error: made by open only
  new Environment()
  return user
}
