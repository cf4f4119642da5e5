// Levels, receipts, tokens and reads in a group of three environments.
import { setTimeout as delay } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import type { Database, Environment, EnvironmentOptions } from 'ringleader'

import { smallEnvironment } from '../support/environments.js'
import { Group, Network } from '../support/groups.js'
import { rejection } from '../support/rejection.js'

type Three<T> = [T, T, T]
type Letters = Database
const timeoutMs = 30_000 // of what has to come, on a busy machine

interface OpenGroup {
  group: Group
  envs: Three<Environment>
  databases: Three<Letters>
  /** Each environment with its database. */
  pairs: (readonly [Environment, Letters])[]
}

/** Three members, of which the first leads, with a database `a` that all of them have. */
const openGroup = async (
  t: ExecutionContext,
  options: EnvironmentOptions = smallEnvironment,
): Promise<OpenGroup> => {
  const group = new Group(t, new Network(), options)
  // Of two that are equally fresh the second one is elected.
  const members = [
    await group.add(1, { members: 3 }),
    await group.add(2, { members: 3, priority: 100 }),
    await group.add(3, { members: 3, priority: 50 }),
  ] as const
  const [first, second, third] = members.map(({ env }) => env) as Three<Environment>
  await members[1].rep.start('replica')
  await members[2].rep.start('replica')
  await members[0].rep.start('primary')
  const made: Letters = first.database('a')
  const { token } = await made.put('made', true, { durability: { copies: 'quorum', timeoutMs } })
  const databaseOf = async (env: Environment): Promise<Letters> => {
    const snapshot = await env.snapshotAt({ atLeast: token, timeoutMs })
    snapshot.close()
    return env.database('a', { create: false })
  }
  const databases: Three<Letters> = [made, await databaseOf(second), await databaseOf(third)]
  const envs: Three<Environment> = [first, second, third]
  const pairs = envs.map((env, i) => [env, databases[i] ?? made] as const)
  return { group, databases, envs, pairs }
}

/** The second member takes over. */
const takeOver = async (group: Group): Promise<void> => {
  const [, member] = group.members
  if (!member) throw new Error('there is no second member')
  const { rep } = member
  for (let elected = false; !elected;) {
    const outcome = await rep
      .elect({ members: 3, votes: 2, timeoutMs: 3000 })
      .catch(() => ({ elected: false }))
    elected = outcome.elected
  }
  await rep.start('primary')
}

test('a commit resolves when the copies asked for are there', async (t) => {
  const { databases } = await openGroup(t)
  const [database] = databases
  const durabilities = [
    { copies: 1 },
    { copies: 2 },
    { copies: 'all' },
    { copies: 'all', at: 'applied' },
    { copies: 1, at: 'received', local: 'memory' },
    { copies: 'quorum', at: 'written', local: 'memory' },
  ] as const
  for (const durability of durabilities) {
    const receipt = await database.put('a', 1, { durability: { ...durability, timeoutMs } })
    const others = receipt.copies.filter(({ member }) => member !== 1)
    t.true(others.length >= (durability.copies === 1 || durability.copies === 'quorum' ? 1 : 2))
  }
  const receipt = await database.put('a', 2, { durability: 'quorum' })
  t.true(receipt.term > 0)
  t.like(receipt.survives, { process: true, power: true, election: true })
  const own = receipt.copies.find(({ member }) => member === 1)
  t.like(own, { level: 'flushed', applied: true })
})

test('copies that nobody can have time out, and the token tells on every member', async (t) => {
  const { databases, envs } = await openGroup(t)
  const [database] = databases
  for (const durability of [
    { copies: 3, timeoutMs: 100 },
    { copies: 1, distinctDisks: true, timeoutMs: 100 }, // all of them are on one
  ]) {
    const error = await rejection(t, 'RL_TIMEOUT', () => database.put('a', 1, { durability }))
    t.is(error.fate, 'unknown')
    const token = error.token ?? ''
    for (const env of envs) await env.waitFor(token, 'quorum', { timeoutMs })
  }
})

test('a member that does not lead refuses writes, whatever is asked for', async (t) => {
  const { databases } = await openGroup(t)
  const [, replica] = databases
  for (const durability of ['memory', 'quorum', { copies: 1 }] as const) {
    const error = await rejection(t, 'RL_NOT_PRIMARY', () => replica.put('a', 1, { durability }))
    t.like(error, { fate: 'none', retry: 'primary' })
  }
})

test('every member can be made to see a commit', async (t) => {
  const { databases, pairs } = await openGroup(t)
  const [database] = databases
  for (let i = 0; i < 5; i += 1) {
    const { token, end } = await database.put('a', i, { durability: 'memory' })
    for (const [env, theirs] of pairs) {
      for (const level of ['local', 'durable'] as const) {
        const snapshot = await env.snapshotAt({ atLeast: token, level, timeoutMs })
        t.true(snapshot.lsn >= end)
        t.is(snapshot.get(theirs, 'a'), i)
        snapshot.close()
      }
      const fresh = await env.snapshotAt({ maxLagMs: 1000, timeoutMs })
      fresh.close()
    }
  }
})

test('a linearizable read on any member sees what had been acknowledged', async (t) => {
  const { databases, pairs } = await openGroup(t)
  const [database] = databases
  for (let i = 0; i < 5; i += 1) {
    await database.put('a', i, { durability: 'quorum' })
    for (const [env, theirs] of pairs) {
      const snapshot = await env.snapshotAt({ linearizable: true, timeoutMs })
      t.is(snapshot.get(theirs, 'a'), i)
      snapshot.close()
    }
  }
})

test('durable reads do not see what the group has not committed', async (t) => {
  const { group, databases, envs } = await openGroup(t, {
    ...smallEnvironment,
    readLevel: 'durable',
  })
  const [database] = databases
  const [env] = envs
  await database.put('a', 'before', { durability: 'quorum' })
  group.network.cut.add(1)
  const { token } = await database.put('a', 'after', { durability: 'flushed' })
  t.is(database.get('a'), 'before')
  t.deepEqual(database.values().toArray(), ['before', true])
  const local = env.snapshot({ level: 'local' })
  t.is(local.get(database, 'a'), 'after')
  local.close()
  const durable = env.snapshot()
  t.is(durable.get(database, 'a'), 'before')
  durable.close()
  const late = { atLeast: token, timeoutMs: 50 }
  t.is((await rejection(t, 'RL_TIMEOUT', () => env.snapshotAt(late))).fate, 'none')
  await rejection(t, 'RL_TIMEOUT', () => env.snapshotAt({ linearizable: true, timeoutMs: 200 }))
})

test('a reign that ends leaves promises open until the group has decided', async (t) => {
  const { group, databases, envs } = await openGroup(t)
  const [database, next] = databases
  const [env, nextEnv] = envs
  // Of all: the second member must not be less fresh than the third, or it is not elected.
  const kept = await database.put('a', 'kept', { durability: { copies: 'all', timeoutMs } })
  group.network.cut.add(1)
  const lost = rejection(t, 'RL_ROLLED_BACK', () =>
    database.put('a', 'lost', { durability: 'quorum' }),
  )
  const late = await rejection(t, 'RL_TIMEOUT', () =>
    database.put('b', 'lost', { durability: { copies: 'quorum', timeoutMs: 50 } }),
  )
  const token = late.token ?? ''
  const flushed = await database.put('c', 'lost', { durability: 'flushed' })
  t.like(flushed.survives, { process: true, power: true, election: false })
  await takeOver(group)
  await next.put('a', 'next', { durability: 'quorum' })
  // It is known there already: the new primary has committed.
  const error = await rejection(t, 'RL_ROLLED_BACK', () =>
    nextEnv.waitFor(token, 'quorum', { timeoutMs: 2_000 }),
  )
  t.is(error.fate, 'none')
  const waiting = rejection(t, 'RL_ROLLED_BACK', () => env.waitFor(token, 'quorum'))
  group.network.cut.clear()
  t.is((await lost).fate, 'unknown')
  t.is((await waiting).fate, 'none')
  await rejection(t, 'RL_ROLLED_BACK', () => env.waitFor(flushed, 'flushed', { timeoutMs }))
  t.deepEqual(flushed.copies, [])
  for (const one of envs) await one.waitFor(kept.token, 'quorum', { timeoutMs })
  const seen = await env.snapshotAt({ linearizable: true, timeoutMs })
  t.is(seen.get(database, 'a'), 'next')
  seen.close()
})

test('closing settles whoever waits for the group, with a token', async (t) => {
  const { databases, envs } = await openGroup(t)
  const [database] = databases
  const [env, other] = envs
  const waiting = rejection(t, 'RL_CLOSED', () =>
    database.put('a', 1, { durability: { copies: 3 } }),
  )
  const reading = rejection(t, 'RL_CLOSED', () => env.snapshotAt({ atLeast: { end: 2 ** 50 } }))
  await delay(100)
  await env.close()
  const error = await waiting
  t.is(error.fate, 'unknown')
  await reading
  await other.waitFor(error.token ?? '', 'memory', { timeoutMs })
})
