// What a member tells its application when it cannot go on, and messages that it cannot take.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'

import { isOfType, ofVersion } from '../support/frames.js'
import {
  agreement,
  Group,
  heard,
  twoAndRecords,
  until,
  writeBeyondTheLog,
  type Member,
  type Sent,
} from '../support/groups.js'
import { rejection } from '../support/rejection.js'

test('a member that needs a snapshot and may not fetch one says so', async (t) => {
  const group = new Group(t)
  const [one] = await group.start(1)
  const two = await group.add(2, { automaticSnapshot: false })
  if (!one) return
  await writeBeyondTheLog(one)
  const told = heard(two.rep, 'joinFailure')
  await two.rep.start('replica')
  await told
  const results = () => group.network.answers.map(({ result }) => result.result)
  await until('the result', () => results().includes('joinFailure'))
  t.true(two.rep.stat().joinFailures > 0)
  t.true(one.rep.stat().outdated > 0)
  // It asks for none, is no nearer, and is there all the same.
  t.like(two.rep.stat(), { snapshots: 0, snapshotPiecesReceived: 0, end: 0, startupDone: false })
  t.is(two.rep.primary, 1)
  t.deepEqual(await two.rep.elect({ members: 2, timeoutMs: 10_000 }), {
    elected: false,
    primary: 1,
  })
})

/** Two that were one group are told that each of them suffices: both go on, and meet again. */
const divide = async (group: Group, one: Member, two: Member): Promise<void> => {
  await one.env.database('rows').put('common', 1)
  await agreement([one, two])
  group.network.cut.add(1)
  for (const [{ rep, env }, elections] of [
    [one, 1],
    [two, 2],
  ] as const) {
    await rep.start('replica')
    for (let i = 0; i < elections; i += 1) {
      const { elected } = await rep.elect({ members: 1, timeoutMs: 10_000 })
      if (!elected) throw new Error('alone, and not elected')
    }
    await rep.start('primary')
    const { end } = await env.database('rows').put('whose', rep.memberId)
    await until('the commit', () => rep.stat().commit >= end)
  }
}

test('a member that would have to take back what is committed halts, and says why', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  await divide(group, one, two)
  const halted = heard(one.rep, 'halted')
  group.network.cut.clear()
  const [reason] = await halted
  t.regex(String(reason), /committed/)
  // It takes nothing of the other one, and leads nobody.
  t.is(one.env.database('rows').get('whose'), 1)
  t.false(one.events.includes('rolledBack'))
  await rejection(t, 'RL_NOT_PRIMARY', () => one.rep.start('primary'))
  await rejection(t, 'RL_NOT_PRIMARY', () => one.env.database('rows').put('a', 1))
  await two.env.database('rows').put('after', 1)
  t.is(two.rep.role, 'primary')
})

test('a member that has failed says with what, and has ended', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  await one.env.database('rows').put('common', 1)
  await agreement(group.members)
  group.network.cut.add(1)
  await one.env.database('rows').put('lost', 1)
  await two.rep.start('primary')
  await two.env.database('rows').put('kept', 1)
  // What is rolled back is kept below this name.
  writeFileSync(join(one.directory, 'discarded'), '')
  const failed = heard(one.rep, 'failed')
  group.network.cut.clear()
  const [error] = await failed
  t.like(error, { name: 'RingleaderError', fate: 'none' })
  t.regex(String(error), /discarded/)
  for (const call of [
    () => one.rep.elect({ timeoutMs: 60_000 }),
    () => one.rep.start('primary'),
    () => one.rep.start('replica'),
  ]) {
    t.like(await rejection(t, 'RL_FAILED', call), { fate: 'none', retry: 'reopen' })
  }
  // It still reads, and can be closed and opened again.
  t.is(one.env.database('rows').get('lost'), 1)
  await one.env.close()
})

test('messages of other wire versions are refused by their names, and counted', async (t) => {
  const { two, records } = await twoAndRecords(t)
  const { control, record } = records
  const before = two.rep.stat()
  const [later, former] = [ofVersion(control, record, 2), ofVersion(control, record, 0)]
  for (const [bytes, code] of [
    [later, 'RL_NEWER_FORMAT'],
    [former, 'RL_UNSUPPORTED'],
  ] as const) {
    const error = await rejection(t, code, () => two.rep.processMessage(bytes, record, 1))
    t.like(error, { fate: 'none', retry: 'no' })
  }
  // Whoever sends one speaks so throughout: nothing of a batch with one in it is taken.
  const same = ofVersion(control, record, 1)
  t.deepEqual(same, Uint8Array.from(control))
  const batch = Buffer.concat([same, record, later, record])
  await rejection(t, 'RL_NEWER_FORMAT', () => two.rep.processMessages(batch, 1))
  t.is((await two.rep.processMessage(same, record, 1)).result, 'permanent')
  const after = two.rep.stat()
  t.is(after.messagesRefused - before.messagesRefused, 3)
  t.is(after.end, before.end)
})

test('more messages than may wait are refused as busy, and nothing is lost', async (t) => {
  const group = new Group(t)
  const [one, two, three] = await group.start(3, { requestWaitMinMs: 1, requestWaitMaxMs: 5 })
  if (!one || !two || !three) return
  const rows = one.env.database('rows')
  await rows.put('a', 'v'.repeat(60_000))
  await agreement(group.members)
  await two.rep.start('replica') // so that the third one, which came later, knows it
  // What one of them is not sent it asks the other one for.
  const sent: Sent[] = []
  group.network.onSend = (message) => sent.push(message)
  for (const away of [2, 3]) {
    group.network.passes = ({ from, control }, to) =>
      from !== 1 || to !== away || !isOfType(control, 'records')
    await rows.put(`${away}`, 'v'.repeat(60_000))
    await agreement(group.members)
  }
  const found = (type: 'request' | 'records') =>
    sent.find(({ from, to, control }) => from === 3 && to === 2 && isOfType(control, type))
  const [asked, records] = [found('request'), found('records')]
  if (!asked || !records) throw new Error('they have not asked each other')
  // What takes long comes first, and what fills the room behind it.
  two.rep.setTransport(() => true)
  const frame = Buffer.concat([records.control, records.record])
  const slow = Array.from({ length: 2_048 }, () => asked.control)
  const room = 2 ** 26 - slow.length * asked.control.byteLength
  const large = Array.from({ length: Math.floor(room / frame.byteLength) }, () => frame)
  const full = two.rep.processMessages(Buffer.concat([...slow, ...large]), 3)
  const error = await rejection(t, 'RL_BUSY', () => two.rep.processMessages(frame, 3))
  t.like(error, { fate: 'none', retry: 'same' })
  t.is(two.rep.stat().messagesRefusedBusy, 1)
  t.like(await full, { processed: slow.length, permanent: large.length })
  t.is((await two.rep.processMessages(frame, 3)).permanent, 1)
})
