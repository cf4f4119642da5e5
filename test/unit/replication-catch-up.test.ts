// How a member gets what it lacks: from whom, in what pieces, how soon, and what it may not decide.
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import type { ReplicationOptions } from 'ringleader'

import { isOfType, messageTypes, typeOf, type MessageType } from '../support/frames.js'
import { agreement, Group, heard, until, writeBeyondTheLog, type Sent } from '../support/groups.js'
import { rejection } from '../support/rejection.js'

const timeoutMs = 10_000
const KiB = 1_024
const rowBytes = 4 * KiB
const rowsBehind = 40

/**
 * Three members; the third one lacks records which the other two have, and no record of the primary
 * gets to it any more.
 */
const behind = async (t: ExecutionContext, options: Partial<ReplicationOptions>) => {
  const group = new Group(t)
  const asking = { requestWaitMinMs: 2, requestWaitMaxMs: 4, ...options }
  const [one, two, three] = await group.start(3, asking)
  if (!one || !two || !three) throw new Error('not three')
  const rows = one.env.database('rows')
  await rows.put('common', 1)
  await agreement(group.members)
  await two.rep.start('replica') // so that the third one, which came later, knows it
  const sent: Sent[] = []
  group.network.onSend = (message) => sent.push(message)
  group.network.passes = ({ from, control }, to) =>
    from !== 1 || to !== 3 || !isOfType(control, 'records')
  for (let i = 0; i < rowsBehind; i += 1) {
    await rows.put(`${i}`, `${i}`.padEnd(rowBytes), { durability: 'memory' })
  }
  await agreement([one, two])
  const between = (from: number, to: number, type: MessageType) =>
    sent.filter((message) => {
      return message.from === from && message.to === to && isOfType(message.control, type)
    })
  return { group, one, two, three, between }
}

test('a member catches up from a replica, and asks again for each piece', async (t) => {
  const { group, two, three, between } = await behind(t, { limitBytes: 3 * rowBytes })
  await agreement(group.members)
  t.is(three.env.database('rows').get(`${rowsBehind - 1}`), `${rowsBehind - 1}`.padEnd(rowBytes))
  const pieces = between(2, 3, 'records').map(({ record }) => record.byteLength)
  t.true(Math.max(...pieces) <= 3 * rowBytes)
  t.true(pieces.length >= rowsBehind / 3)
  t.true(between(3, 2, 'request').length >= pieces.length)
  t.true(two.rep.stat().requestsReceived >= pieces.length)
})

test('setLimit counts from the next request, and 0 is no limit', async (t) => {
  const { group, two, between } = await behind(t, { limitBytes: 1 })
  const pieces = () => between(2, 3, 'records').map(({ record }) => record.byteLength)
  await until('pieces', () => pieces().length > 2)
  // One message at least, whatever the limit is.
  t.true(pieces().every((bytes) => bytes > 0 && bytes < 2 * rowBytes))
  two.rep.setLimit(0)
  await agreement(group.members)
  t.true(Math.max(...pieces()) > 4 * rowBytes)
})

test('without peerToPeer only the primary is asked', async (t) => {
  const { group, two, three, between } = await behind(t, { peerToPeer: false })
  const asked = three.rep.stat().requestsSent
  await until('requests', () => three.rep.stat().requestsSent > asked + 3)
  t.is(between(3, 2, 'request').length, 0)
  t.is(between(2, 3, 'records').length, 0)
  t.is(two.rep.stat().requestsReceived, 0)
  t.true(three.rep.stat().primaryEnd > three.rep.stat().matched)
  group.network.passes = () => true
  await agreement(group.members)
})

test('what is missing is not asked for before requestWaitMinMs is over', async (t) => {
  const minute = 60_000
  const { three } = await behind(t, { requestWaitMinMs: minute, requestWaitMaxMs: minute })
  await until('it to know what it lacks', () => {
    const { primaryEnd, matched } = three.rep.stat()
    return primaryEnd > matched
  })
  const { requestsSent } = three.rep.stat()
  await sleep(60)
  t.is(three.rep.stat().requestsSent, requestsSent)
})

test('a view has a vote in nothing, and is a copy for those who count copies', async (t) => {
  const group = new Group(t)
  const one = await group.add(1, { members: 3 })
  const two = await group.add(2, { members: 3 })
  const view = await group.add(3, { members: 3, view: true })
  const types = new Set<number>()
  group.network.onSend = ({ from, control }) => {
    if (from === 3) types.add(typeOf(control))
  }
  for (const { rep } of [two, view]) await rep.start('replica')
  await one.rep.start('primary')
  const rows = one.env.database('rows')
  await rows.put('a', 1, { durability: { copies: 'quorum', timeoutMs } })
  await agreement(group.members)
  // A quorum is two voters of three: a view is none of them.
  group.network.cut.add(2)
  const { end, copies } = await rows.put('b', 1, { durability: { copies: 1, timeoutMs } })
  t.deepEqual(
    copies.map(({ member }) => member),
    [1, 3],
  )
  await rejection(t, 'RL_TIMEOUT', () =>
    rows.put('c', 1, { durability: { copies: 'quorum', timeoutMs: 50 } }),
  )
  t.true(one.rep.stat().commit < end)
  // Nor is it one of those that elect, or are elected.
  group.network.cut.clear()
  group.network.cut.add(1)
  await rejection(t, 'RL_NO_QUORUM', () => two.rep.elect({ timeoutMs: 200 }))
  await rejection(t, 'RL_NO_QUORUM', () => view.rep.elect({ timeoutMs: 100 }))
  await rejection(t, 'RL_NOT_PRIMARY', () => view.rep.start('primary'))
  for (const type of ['canvass', 'canvassReply', 'vote', 'voteReply'] as const) {
    t.false(types.has(messageTypes[type]), type)
  }
  t.true(types.has(messageTypes.ack))
})

test('an empty member is filled from a snapshot, no faster than it may be', async (t) => {
  const group = new Group(t)
  const bytesPerSecond = 400_000
  const [one] = await group.start(1, { snapshotBytesPerSecond: bytesPerSecond })
  if (!one) return
  one.rep.setLimit(16 * KiB)
  await writeBeyondTheLog(one)
  const pieces: number[] = []
  let begun = 0
  group.network.onSend = ({ control, record }) => {
    if (!isOfType(control, 'snapshotPiece')) return
    begun ||= performance.now()
    pieces.push(record.byteLength)
  }
  const two = await group.add(2)
  const done = heard(two.rep, 'snapshotDone')
  await two.rep.start('replica')
  await done
  const seconds = (performance.now() - begun) / 1000
  const bytes = pieces.reduce((sum, piece) => sum + piece, 0)
  t.true(Math.max(...pieces) <= 16 * KiB)
  // The first piece is not waited for.
  t.true(seconds >= ((bytes - 16 * KiB) / bytesPerSecond) * 0.95, `${bytes} bytes in ${seconds} s`)
  await agreement(group.members)
  t.deepEqual([...two.env.database('rows')], [...one.env.database('rows')])
  await until('its startup', () => two.rep.stat().startupDone)
  t.is(two.rep.stat().snapshots, 1)
  t.is(two.rep.stat().snapshotPiecesReceived, one.rep.stat().snapshotPiecesSent)
  // It is a member like any other.
  group.network.cut.add(1)
  await two.rep.start('primary')
  await two.env.database('rows').put('after', 1)
})

test('delayed sync holds off snapshots, and sync says where none may be fetched', async (t) => {
  const group = new Group(t)
  const [one] = await group.start(1)
  if (!one) return
  await writeBeyondTheLog(one)
  const two = await group.add(2, { delayedSync: true })
  const three = await group.add(3, { delayedSync: true, automaticSnapshot: false })
  for (const { rep } of [two, three]) {
    await rep.start('replica')
    if (rep.primary === undefined) await heard(rep, 'newPrimary')
  }
  await sleep(60)
  for (const { rep } of [two, three]) {
    t.like(rep.stat(), { end: 0, snapshotPiecesReceived: 0, joinFailures: 0 })
  }
  const refused = heard(three.rep, 'joinFailure')
  const filled = heard(two.rep, 'snapshotDone')
  two.rep.sync()
  three.rep.sync()
  await Promise.all([refused, filled])
  await agreement([one, two])
  t.is(three.rep.stat().end, 0)
})
