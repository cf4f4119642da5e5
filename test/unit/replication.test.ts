// The base API with real environments in one process: roles, shipping, elections, what messages
// come to.
import test from 'ava'

import { agreement, Group, heard, until } from '../support/groups.js'

test('what a primary commits gets to its replicas', async (t) => {
  const group = new Group(t)
  const [one, two, three] = await group.start(3)
  if (!one || !two || !three) return
  t.deepEqual([one.rep.role, two.rep.role, three.rep.role], ['primary', 'replica', 'replica'])
  const rows = one.env.database('rows')
  for (let i = 0; i < 50; i += 1) await rows.put(`${i}`, { i }, { durability: 'memory' })
  await agreement(group.members)
  for (const { env } of [two, three]) t.deepEqual(env.database('rows').get('49'), { i: 49 })
  t.is(two.rep.primary, 1)
  await t.throwsAsync(two.env.database('rows').put('a', 1), { code: 'RL_NOT_PRIMARY' })
  t.true(two.events.includes('newPrimary') && two.events.includes('startupDone'))
})

test('the best of those that elect wins, leads, and the old primary rolls back', async (t) => {
  const group = new Group(t)
  const [one, two, three] = await group.start(3, { members: 3 })
  if (!one || !two || !three) return
  const rows = one.env.database('rows')
  await rows.put('kept', 1)
  await agreement(group.members)
  group.network.cut.add(1)
  await rows.put('lost', 1)
  const elections = [two, three].map(({ rep }) => rep.elect({ timeoutMs: 60_000 }))
  const won = Promise.race(
    [two, three].map(async ({ rep }) => {
      await heard(rep, 'elected')
      await rep.start('primary')
      return rep
    }),
  )
  const winner = await won
  const results = await Promise.all(elections)
  t.deepEqual(
    results.map(({ primary }) => primary),
    [winner.memberId, winner.memberId],
  )
  t.is(results.filter(({ elected }) => elected).length, 1)
  const ahead = winner === two.rep ? two : three
  await ahead.env.database('rows').put('after', 1)
  group.network.cut.clear()
  await until('the roll-back', () => one.events.includes('rolledBack'))
  t.is(one.rep.role, 'replica')
  await agreement(group.members)
  const after = one.env.database('rows')
  t.deepEqual([after.get('kept'), after.get('lost'), after.get('after')], [1, undefined, 1])
  await until('the old primary follows', () => one.rep.primary === winner.memberId)
})
