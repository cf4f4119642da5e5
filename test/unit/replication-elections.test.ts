// Elections that do not go as they should: somebody does not do his part.
import { checkReplicationOptions } from '#lib/replication-options'
import test, { type ExecutionContext } from 'ava'

import { isOfType } from '../support/frames.js'
import { agreement, Group, until } from '../support/groups.js'
import { rejection } from '../support/rejection.js'

// Nobody waits that long: what ends later has ended by chance.
const patienceMs = 60_000

/** Three members of which the third one alone has what the first one wrote last, and then died. */
const unequal = async (t: ExecutionContext) => {
  const group = new Group(t)
  const [one, two, three] = await group.start(3, { members: 3, electionTimeoutMs: 300 })
  if (!one || !two || !three) throw new Error('not three')
  await one.env.database('rows').put('everywhere', 1)
  await agreement(group.members)
  group.network.passes = (_sent, to) => to !== 2
  await one.env.database('rows').put('there', 1, { durability: { copies: 1, timeoutMs: 10_000 } })
  group.network.passes = () => true
  group.network.cut.add(1)
  return { group, two, three }
}

test('a fresher member that does not care leaves an election without a winner', async (t) => {
  const { two, three } = await unequal(t)
  const begun = performance.now()
  const error = await rejection(t, 'RL_NO_QUORUM', () => two.rep.elect({ timeoutMs: 400 }))
  t.like(error, { fate: 'none', retry: 'same' })
  t.true(performance.now() - begun >= 390)
  t.true(two.events.includes('electionFailed'))
  t.true(three.events.includes('holdElection'))
  t.false(three.events.includes('elected'))
  // It wins when it does.
  t.deepEqual(await three.rep.elect({ timeoutMs: patienceMs }), { elected: true, primary: 3 })
})

test('who has lost the canvass to a member that dies asks again in the same call', async (t) => {
  const { group, two } = await unequal(t)
  let answered = false
  group.network.passes = (sent) => {
    answered ||= sent.from === 3 && sent.to === 2 && isOfType(sent.control, 'canvassReply')
    return true
  }
  const election = two.rep.elect({ votes: 1, timeoutMs: patienceMs })
  await until('an answer', () => answered)
  group.network.cut.add(3)
  t.deepEqual(await election, { elected: true, primary: 2 })
})

test('who has voted for a member that never leads asks again in the same call', async (t) => {
  const { group, two, three } = await unequal(t)
  const elections = [
    three.rep.elect({ timeoutMs: patienceMs }),
    two.rep.elect({ votes: 1, timeoutMs: patienceMs }),
  ] as const
  t.deepEqual(await elections[0], { elected: true, primary: 3 })
  group.network.cut.add(3)
  t.deepEqual(await elections[1], { elected: true, primary: 2 })
})

test('an election where somebody leads says who does', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(3, { members: 3 })
  if (!one || !two) return
  await until('its primary', () => two.rep.primary === 1)
  const { term } = one.rep.stat()
  t.deepEqual(await two.rep.elect({ timeoutMs: patienceMs }), { elected: false, primary: 1 })
  t.is(one.rep.role, 'primary')
  t.is(one.rep.stat().term, term)
  t.is(two.rep.stat().promisedTerm, term)
})

test('any time for elections has a heartbeat that fits', (t) => {
  for (const electionTimeoutMs of [10, 10.5, 100, 449, 450.1, 2_000, 86_400_000]) {
    const { heartbeatIntervalMs } = checkReplicationOptions({ memberId: 1, electionTimeoutMs })
    t.true(heartbeatIntervalMs >= 1 && heartbeatIntervalMs * 3 <= electionTimeoutMs)
  }
})
