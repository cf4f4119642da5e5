// Closing a member, or its environment, while something waits there.
import test from 'ava'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { isOfType } from '../support/frames.js'
import { agreement, Group, groupId, quickGroup, until, type Sent } from '../support/groups.js'
import { rejection } from '../support/rejection.js'

const patienceMs = 60_000

for (const what of ['member', 'environment'] as const) {
  test(`an election ends when its ${what} is closed`, async (t) => {
    const group = new Group(t)
    const [one] = await group.start(1)
    if (!one) return
    await one.rep.start('replica')
    const election = rejection(t, 'RL_CLOSED', () =>
      one.rep.elect({ members: 2, timeoutMs: patienceMs }),
    )
    await until('the election', () => one.rep.stat().elections > 0)
    await (what === 'member' ? one.rep : one.env).close()
    t.is((await election).fate, 'none')
  })
}

test('messages under way settle when their member is closed', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  const sent: Sent[] = []
  group.network.onSend = (message) => sent.push(message)
  const rows = one.env.database('rows')
  for (let i = 0; i < 20; i += 1) await rows.put(`${i}`, 'v'.repeat(1_000))
  await agreement(group.members)
  const records = sent.filter(({ from, control }) => from === 1 && isOfType(control, 'records'))
  const frames = records.flatMap(({ control, record }) => [control, record])
  const batch = Buffer.concat(Array.from({ length: 20 }, () => frames).flat())
  const calls = Array.from({ length: 200 }, () => two.rep.processMessages(batch, 1))
  const [first] = records
  if (!first) throw new Error('nothing has been shipped')
  const last = two.rep.processMessage(first.control, first.record, 1)
  const closing = two.rep.close()
  const outcomes = await Promise.allSettled([...calls, last])
  const failed = outcomes.flatMap((one) =>
    one.status === 'rejected' ? [one.reason as unknown] : [],
  )
  t.true(failed.length > 0, 'something was under way')
  for (const error of failed) t.like(error, { code: 'RL_CLOSED', fate: 'unknown' })
  await closing
  t.is(two.env.database('rows').get('19'), 'v'.repeat(1_000))
})

test('a commit that waits for copies goes on with the next who takes the part', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2, { members: 3 })
  if (!one || !two) return
  const rows = one.env.database('rows')
  await rows.put('a', 1)
  await agreement(group.members)
  group.network.cut.add(2)
  const waiting = rows.put('b', 1, { durability: 'quorum' })
  await until('the commit', () => rows.get('b') === 1)
  await one.rep.close()
  await rejection(t, 'RL_NOT_PRIMARY', () => rows.put('c', 1))
  let settled = false
  const settle = () => {
    settled = true
  }
  waiting.then(settle, settle)
  await new Promise(setImmediate)
  t.false(settled)
  // Another object of the same environment: the part is free.
  const again = await openEnvironment(t, { ...smallEnvironment, groupId }, one.directory)
  const rep = again.replication({ memberId: 1, members: 3, ...quickGroup })
  rep.setTransport(group.network.sendOf(1))
  group.network.members.set(1, rep)
  group.network.cut.clear()
  await rep.start('primary')
  const { token } = await waiting
  await two.env.waitFor(token, 'quorum', { timeoutMs: 10_000 })
  t.is(two.env.database('rows').get('b'), 1)
})

test('whoever waits for the group is told when the environment is closed', async (t) => {
  const group = new Group(t)
  const [one] = await group.start(2, { members: 3 })
  if (!one) return
  const rows = one.env.database('rows')
  await rows.put('a', 1)
  await agreement(group.members)
  group.network.cut.add(2)
  const commit = rejection(t, 'RL_CLOSED', () => rows.put('b', 1, { durability: 'quorum' }))
  const receipt = await rows.put('c', 1, { durability: 'memory' })
  const waits = [
    rejection(t, 'RL_CLOSED', () => one.env.waitFor(receipt, 'quorum')),
    rejection(t, 'RL_CLOSED', () => one.env.waitFor(receipt.token, { copies: 'all' })),
    rejection(t, 'RL_CLOSED', () => one.env.snapshotAt({ atLeast: receipt, level: 'durable' })),
    rejection(t, 'RL_CLOSED', () => one.env.snapshotAt({ linearizable: true })),
  ]
  await one.env.close()
  const error = await commit
  t.is(error.fate, 'unknown')
  t.truthy(error.token)
  await Promise.all(waits)
})
