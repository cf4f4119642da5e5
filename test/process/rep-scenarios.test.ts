// What Berkeley DB's own replication tests try and the simulated world cannot: those that need real
// environments, several handles or several processes. Each is named by its number there;
// docs/TESTING.md lists them all. One after the other: a process has addresses for some fifty open
// environments.
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import type { RingleaderError } from 'ringleader'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { agreement, Group, until, type Member } from '../support/groups.js'
import { temporaryDirectory } from '../support/logs.js'
import { startProgram } from '../support/programs.js'

const text = { value: 'utf8' } as const
const rowsOf = ({ env }: Member) => env.database<string, string>('rows', text)

const three = async (t: ExecutionContext) => {
  const group = new Group(t)
  const [one, two, three] = await group.start(3, { members: 3 })
  if (!one || !two || !three) throw new Error('not three')
  return { group, one, two, three }
}

/** Who led follows, and another one leads. */
const swap = async (from: Member, to: Member) => {
  await from.rep.start('replica')
  await to.rep.start('primary')
}

// A second process of a member's environment.
const startPeer = async (t: ExecutionContext, { directory }: Member) => {
  const { child, ended } = startProgram(t, 'group-peer', [directory])
  await once(child, 'message')
  return {
    tell: async (...command: (string | number)[]): Promise<unknown> => {
      child.send(command)
      const [answer] = (await once(child, 'message')) as [unknown]
      return answer
    },
    end: async () => {
      child.send(['end'])
      t.is((await ended).code, 0)
    },
  }
}

test.serial('rep008: a copy of the primary becomes a member', async (t) => {
  const { group, one } = await three(t)
  const rows = rowsOf(one)
  for (let i = 0; i < 100; i += 1) await rows.put(`${i}`, 'old', { durability: 'memory' })
  await agreement(group.members)
  const copy = join(temporaryDirectory(t), 'copy')
  await one.env.backup(copy)
  for (let i = 50; i < 150; i += 1) await rows.put(`${i}`, 'new', { durability: 'memory' })
  const four = await group.add(4, { members: 3 }, copy)
  t.is(rowsOf(four).get('99'), 'old')
  await four.rep.start('replica')
  await agreement(group.members)
  t.deepEqual([...rowsOf(four)], [...rows])
  // The log goes on where the copy ends.
  t.false(four.events.includes('snapshotDone'))
})

test.serial('rep011, rep012, rep013: databases stay open while the roles go round', async (t) => {
  const { group, one, two, three: last } = await three(t)
  const expected: Record<string, string> = {}
  await rowsOf(one).put('first', '0')
  await agreement(group.members)
  const handles = new Map(group.members.map((member) => [member, rowsOf(member)]))
  let leading = one
  for (const [i, next] of [two, last, one, last, two, one].entries()) {
    await swap(leading, next)
    leading = next
    await handles.get(leading)?.put(`${i}`, `by ${leading.id}`)
    expected[`${i}`] = `by ${leading.id}`
    await agreement(group.members)
    for (const rows of handles.values()) t.is(rows.get(`${i}`), expected[`${i}`])
  }
  for (const member of group.members) {
    t.is(await rowsOf(member).count({ exact: true }), 7)
    t.false(member.events.includes('rolledBack'))
  }
})

test.serial('rep021: a member of another group is not listened to', async (t) => {
  const { group, one, two } = await three(t)
  await rowsOf(one).put('ours', '1')
  await agreement(group.members)
  const groupId = 'f'.repeat(32)
  const foreign = await openEnvironment(t, { ...smallEnvironment, groupId })
  const stranger = foreign.replication({ memberId: 9, members: 1 })
  stranger.setTransport(group.network.sendOf(9))
  group.network.members.set(9, stranger)
  await stranger.start('primary')
  const theirs = foreign.database<string, string>('rows', text)
  await theirs.put('theirs', '1')
  await until('messages of the stranger', () => two.rep.stat().messagesRefused > 0)
  await rowsOf(one).put('ours', '2')
  await agreement(group.members)
  t.is(rowsOf(two).get('theirs'), undefined)
  t.is(theirs.get('ours'), undefined)
  t.true(stranger.stat().messagesRefused > 0)
  t.is(one.rep.role, 'primary')
  t.is(two.rep.primary, 1)
})

test.serial(
  'rep023, rep036: many processes write at the primary, one carries messages',
  async (t) => {
    const { group, one } = await three(t)
    await rowsOf(one).put('made', 'here')
    const writers = await Promise.all([1, 2, 3].map(() => startPeer(t, one)))
    const answers = await Promise.all(writers.map((writer, i) => writer.tell('fill', `w${i}`, 500)))
    t.deepEqual(answers, ['done', 'done', 'done'])
    for (const writer of writers) await writer.end()
    await agreement(group.members)
    for (const member of group.members) {
      t.is(await rowsOf(member).count({ exact: true }), 1501)
      t.is(rowsOf(member).get('w2-499'), '499')
    }
  },
)

test.serial('rep033: databases are dropped and made while a replica is away', async (t) => {
  const { group, one, two } = await three(t)
  const old = one.env.database<string, string>('old', text)
  await old.put('a', '1')
  await agreement(group.members)
  const there = two.env.database<string, string>('old', text)
  t.is(there.get('a'), '1')
  group.network.cut.add(2)
  await old.drop()
  await one.env.database<string, string>('new', text).put('b', '2')
  const again = one.env.database<string, number>('old', { value: 'number' })
  await again.put('a', 3)
  group.network.cut.clear()
  await agreement(group.members)
  t.throws(() => there.get('a'), { code: 'RL_DROPPED' })
  t.is(two.env.database<string, number>('old').get('a'), 3)
  t.is(two.env.database<string, string>('new').get('b'), '2')
  t.deepEqual(two.env.databases(), one.env.databases())
})

test.serial(
  'rep035: a replica catches up while both ends fold, verify and are copied',
  async (t) => {
    const { group, one, two } = await three(t)
    const rows = rowsOf(one)
    const copies = temporaryDirectory(t)
    group.network.cut.add(2)
    for (let i = 0; i < 200; i += 1)
      await rows.put(`${i}`, 'x'.repeat(500), { durability: 'memory' })
    group.network.cut.clear()
    let over = false
    const chores = [one, two].map(async ({ env, id }) => {
      for (let i = 0; !over; i += 1) {
        await env.fold()
        await env.verify()
        await env.backup(join(copies, `${id}-${i}`))
      }
    })
    for (let i = 200; i < 400; i += 1) await rows.put(`${i}`, 'y', { durability: 'memory' })
    await agreement(group.members)
    over = true
    await Promise.all(chores)
    t.is(await rowsOf(two).count({ exact: true }), 400)
    await two.env.verify()
  },
)

test.serial('rep040, rep042: a change of role races transactions', async (t) => {
  const { group, one, two } = await three(t)
  const rows = rowsOf(one)
  await rows.put('a', '1')
  await agreement(group.members)
  let go: () => void = () => undefined
  const gate = new Promise<void>((resolve) => {
    go = resolve
  })
  const writing = one.env.transaction(async (tx) => {
    tx.put(rows, 'b', '1')
    await gate
  })
  const removing = one.env.transaction(async (tx) => {
    await gate
    tx.remove(rows, 'a')
  })
  const reading = one.env.transaction(async (tx) => {
    await gate
    return tx.get(rows, 'a')
  })
  await swap(one, two)
  go()
  const refused = { code: 'RL_NOT_PRIMARY', message: /./ }
  const error = await t.throwsAsync<Error & { fate: string; retry: string }>(writing, refused)
  t.like(error, { fate: 'none', retry: 'primary' })
  await t.throwsAsync(removing, refused)
  t.is(await reading, '1')
  await rowsOf(two).put('c', '1')
  await agreement(group.members)
  for (const member of group.members) {
    const keys = [...rowsOf(member).keys()]
    t.deepEqual(keys, ['a', 'c'])
  }
})

test.serial('rep041: replication is switched off and on again', async (t) => {
  const { group, one, two } = await three(t)
  const rows = rowsOf(one)
  await rows.put('before', '1')
  await agreement(group.members)
  one.rep.setTransport(() => true) // takes everything and sends nothing
  await rows.put('meanwhile', '2')
  t.is(rowsOf(two).get('meanwhile'), undefined)
  one.rep.setTransport(group.network.sendOf(1))
  if (one.rep.role !== 'primary') await one.rep.start('primary')
  await rows.put('after', '3')
  await agreement(group.members)
  t.deepEqual(rowsOf(two).getMany(['before', 'meanwhile', 'after']), ['1', '2', '3'])
})

test.serial('rep046: a transaction of many messages is seen whole or not at all', async (t) => {
  const { group, one, two } = await three(t)
  const rows = rowsOf(one)
  await rows.put('0', 'old')
  await agreement(group.members)
  const count = 3000
  const seen = new Set<number>()
  const over = new AbortController()
  const looking = (async () => {
    while (!over.signal.aborted) {
      const snapshot = two.env.snapshot()
      const values = [...snapshot.values(rowsOf(two))]
      seen.add(values.filter((value) => value.startsWith('new')).length)
      snapshot.close()
      await pause(1)
    }
  })()
  await one.env.transaction((tx) => {
    for (let i = 0; i < count; i += 1) tx.put(rows, `${i}`, `new ${'x'.repeat(2000)}`)
  })
  await agreement(group.members)
  over.abort()
  await looking
  seen.add(0)
  seen.add(count)
  t.deepEqual([...seen].sort(), [0, count])
  t.is(await rowsOf(two).count({ exact: true }), count)
})

test.serial('rep064: what an old primary has open, the new one has dropped', async (t) => {
  const { group, one, two } = await three(t)
  const rows = rowsOf(one)
  await rows.put('a', '1')
  await agreement(group.members)
  const snapshot = one.env.snapshot()
  group.network.cut.add(1)
  await rows.put('b', 'nobody else has it')
  await two.rep.start('primary')
  await rowsOf(two).drop()
  await two.env.database<string, string>('other', text).put('c', '1')
  group.network.cut.clear()
  await until('the roll-back', () => one.events.includes('rolledBack'))
  await agreement(group.members)
  t.throws(() => rows.get('a'), { code: 'RL_DROPPED' })
  await t.throwsAsync(rows.put('a', '2'), { code: 'RL_DROPPED' })
  t.is(snapshot.get(rows, 'a'), '1')
  snapshot.close()
  t.deepEqual(one.env.databases(), two.env.databases())
})

test.serial('rep066, rep071: a second process sees roles, records and roll-backs', async (t) => {
  const { group, one, two } = await three(t)
  await rowsOf(one).put('a', '1')
  await agreement(group.members)
  const [atOne, atTwo] = await Promise.all([startPeer(t, one), startPeer(t, two)])
  t.is(await atTwo.tell('get', 'a'), '1')
  t.is(await atTwo.tell('put', 'b', '1'), 'RL_NOT_PRIMARY')
  t.is(await atOne.tell('put', 'b', '1'), 'done')
  await agreement(group.members)
  t.is(await atTwo.tell('get', 'b'), '1')

  group.network.cut.add(1)
  t.is(await atOne.tell('put', 'b', 'gone'), 'done')
  await two.rep.start('primary')
  t.is(await atTwo.tell('put', 'c', '2'), 'done')
  group.network.cut.clear()
  await until('the roll-back', () => one.events.includes('rolledBack'))
  await agreement(group.members)
  t.is(await atOne.tell('get', 'b'), '1')
  t.is(await atOne.tell('get', 'c'), '2')
  t.is(await atOne.tell('put', 'd', '3'), 'RL_NOT_PRIMARY')
  await swap(two, one)
  t.is(await atOne.tell('put', 'd', '3'), 'done')
  await agreement(group.members)
  t.is(await atTwo.tell('get', 'd'), '3')
  await atOne.end()
  await atTwo.end()
})

test.serial('rep091, rep092: every member says what has become of a commit', async (t) => {
  const { group, one, two, three: last } = await three(t)
  const rows = rowsOf(one)
  await rows.put('a', '1')
  await agreement(group.members)
  group.network.cut.add(3)
  const { token } = await rows.put('b', '2', { durability: 'quorum' })
  await two.env.waitFor(token, 'quorum')
  // Who waits is woken by what arrives, and not by the end of its time.
  const waiting = last.env.waitFor(token, 'quorum')
  await t.throwsAsync(last.env.waitFor(token, 'flushed', { timeoutMs: 20 }), { code: 'RL_TIMEOUT' })
  group.network.cut.clear()
  await waiting
  t.is(rowsOf(last).get('b'), '2')
  const snapshot = await last.env.snapshotAt({ atLeast: token, level: 'durable' })
  t.is(snapshot.get(rowsOf(last), 'b'), '2')
  snapshot.close()

  group.network.cut.add(1)
  const late = rows.put('b', '3', { durability: { copies: 'quorum', timeoutMs: 50 } })
  const unknown = await t.throwsAsync<RingleaderError>(late, { code: 'RL_TIMEOUT' })
  t.is(unknown.fate, 'unknown')
  const gone = unknown.token ?? ''
  await two.rep.start('primary')
  await rowsOf(two).put('c', '4', { durability: 'quorum' })
  const rolledBack = { code: 'RL_ROLLED_BACK' }
  await t.throwsAsync(two.env.waitFor(gone, 'quorum'), rolledBack)
  const pending = t.throwsAsync(one.env.waitFor(gone, 'quorum'), rolledBack)
  group.network.cut.clear()
  await pending
  await agreement(group.members)
  for (const member of group.members) {
    await member.env.waitFor(token, 'quorum')
    await t.throwsAsync(member.env.waitFor(gone, 'flushed'), rolledBack)
    t.is(rowsOf(member).get('b'), '2')
  }
})

test.serial(
  'rep109, repmgr047: a snapshot at a replica stays as it is while records come',
  async (t) => {
    const { group, one, two } = await three(t)
    const rows = rowsOf(one)
    for (let i = 0; i < 100; i += 1) await rows.put(`${i}`, 'old', { durability: 'memory' })
    await agreement(group.members)
    const snapshot = two.env.snapshot()
    for (let i = 0; i < 200; i += 1) await rows.put(`${i}`, 'new', { durability: 'memory' })
    await agreement(group.members)
    await two.env.fold()
    t.deepEqual(new Set(snapshot.values(rowsOf(two))), new Set(['old']))
    t.is([...snapshot.keys(rowsOf(two))].length, 100)
    snapshot.close()
    t.deepEqual(new Set(rowsOf(two).values()), new Set(['new']))
  },
)
