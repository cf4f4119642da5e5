// What messages come to, what is refused of them, and what a transport may do wrong.
import { setTimeout as sleep } from 'node:timers/promises'

import test from 'ava'
import { Replication, RingleaderError, sendFlags, type ErrorCode, type Send } from 'ringleader'

import { openEnvironment } from '../support/environments.js'
import { fakeMember } from '../support/fake-replication.js'
import { agreement, Group, Network, quickGroup, twoAndRecords, until } from '../support/groups.js'

const none = new Uint8Array(0)
const codeOf = async (call: Promise<unknown>): Promise<ErrorCode | undefined> => {
  try {
    await call
  } catch (error) {
    if (error instanceof RingleaderError) return error.code
    throw error
  }
  return undefined
}

test('hostile messages are refused, counted, and change nothing', async (t) => {
  const { two, records } = await twoAndRecords(t)
  const { control, record } = records
  const before = two.rep.stat()
  const flipped = control.slice()
  flipped[9] = (flipped[9] ?? 0) ^ 0x40
  const later = control.slice()
  later[4] = 99
  const { rep } = two
  t.is(await codeOf(rep.processMessage(none, none, 1)), 'RL_CORRUPTION')
  t.is(await codeOf(rep.processMessage(control.subarray(0, 20), none, 1)), 'RL_CORRUPTION')
  t.is(await codeOf(rep.processMessage(flipped, record, 1)), 'RL_CORRUPTION')
  t.is(await codeOf(rep.processMessage(later, record, 1)), 'RL_CORRUPTION')
  t.is(await codeOf(rep.processMessage(control, record, 3)), 'RL_INVALID_ARGUMENT')
  t.is(await codeOf(rep.processMessage(control, new Uint8Array(2 ** 25), 1)), 'RL_INVALID_ARGUMENT')
  t.is(await codeOf(rep.processMessages(control.subarray(1), 1)), 'RL_CORRUPTION')
  t.is(await codeOf(rep.processMessages(new Uint8Array(2 ** 26 + 1), 1)), 'RL_INVALID_ARGUMENT')
  // Half a message behind a whole one: nothing of it is taken.
  const whole = Buffer.concat([control, record])
  const torn = Buffer.concat([whole, whole.subarray(0, whole.length - 1)])
  t.is(await codeOf(rep.processMessages(torn, 1)), 'RL_CORRUPTION')
  t.is(rep.stat().messagesRefused - before.messagesRefused, 9)
  // Damage within a message of a batch concerns that one alone.
  const damaged = Uint8Array.from(whole)
  damaged[40] = (damaged[40] ?? 0) ^ 1
  t.like(await rep.processMessages(Buffer.concat([damaged, whole]), 1), {
    refused: 1,
    permanent: 1,
  })
  t.deepEqual(await rep.processMessages(none, 1), {
    processed: 0,
    permanent: 0,
    notPermanent: 0,
    ignored: 0,
    refused: 0,
    lsn: 0,
  })
  // Arguments of the wrong kind.
  t.is(await codeOf(rep.processMessage('a' as never, none, 1)), 'RL_INVALID_ARGUMENT')
  t.is(await codeOf(rep.processMessage(control, record, -1)), 'RL_INVALID_ARGUMENT')
  t.is(rep.stat().end, before.end)
  t.is(two.env.database('rows').get('a'), 1)
  const stranger = await openEnvironment(t)
  const other = stranger.replication({ memberId: 9 })
  other.setTransport(() => true)
  await other.start('replica')
  t.is(await codeOf(other.processMessage(control, record, 1)), 'RL_INVALID_ARGUMENT')
})

test('calls before start, in the wrong role, twice and after close are refused', async (t) => {
  const env = await openEnvironment(t)
  const rep = env.replication({ memberId: 1, priority: 0, ...quickGroup })
  t.throws(() => env.replication({ memberId: 1 }), { code: 'RL_EXISTS' })
  t.is(rep.role, undefined)
  t.is(await codeOf(rep.processMessage(none, none, 2)), 'RL_NOT_STARTED')
  t.is(await codeOf(rep.processMessages(none, 2)), 'RL_NOT_STARTED')
  t.is(await codeOf(rep.elect()), 'RL_NOT_STARTED')
  for (const call of [
    () => rep.stat(),
    () => {
      rep.sync()
    },
    () => {
      rep.setLimit(1)
    },
  ]) {
    t.throws(call, { code: 'RL_NOT_STARTED' })
  }
  t.is(await codeOf(rep.start('replica')), 'RL_INVALID_ARGUMENT')
  t.throws(
    () => {
      rep.setTransport({} as never)
    },
    { code: 'RL_INVALID_ARGUMENT' },
  )
  rep.setTransport(() => true)
  t.is(await codeOf(rep.start('candidate' as never)), 'RL_INVALID_ARGUMENT')
  t.is(await codeOf(rep.start('replica', new Uint8Array(1025))), 'RL_INVALID_ARGUMENT')
  await rep.start('replica')
  await rep.start('replica')
  t.is(await codeOf(rep.start('primary')), 'RL_NOT_PRIMARY')
  const election = rep.elect({ members: 2, timeoutMs: 100 })
  t.is(await codeOf(rep.elect()), 'RL_BUSY')
  t.is(await codeOf(election), 'RL_NO_QUORUM')
  const closing = rep.close()
  t.is(rep.close(), closing)
  await closing
  t.is(await codeOf(rep.processMessage(none, none, 2)), 'RL_CLOSED')
  t.is(await codeOf(rep.start('replica')), 'RL_CLOSED')
  t.throws(() => rep.stat(), { code: 'RL_CLOSED' })
  await env.close()
})

test('an environment has one part in its group at a time', async (t) => {
  const env = await openEnvironment(t)
  const again = await openEnvironment(t, undefined, env.directory)
  const [first, second] = [env, again].map((one) => one.replication({ memberId: 1 }))
  if (!first || !second) return
  first.setTransport(() => true)
  second.setTransport(() => true)
  await first.start('primary')
  t.is(await codeOf(second.start('replica')), 'RL_BUSY')
  await first.close()
  await second.start('replica')
  t.is(second.role, 'replica')
})

test('records are permanent, or wait for what is missing before them', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  const rows = one.env.database('rows')
  const { end: before } = await rows.put('a', 1)
  await agreement(group.members)
  const ofRecords = () => group.network.answers.filter(({ lsn }) => lsn > 0)
  t.true(ofRecords().every(({ result }) => result.result === 'permanent'))
  t.true(ofRecords().every(({ flags }) => (flags & sendFlags.permanent) !== 0))
  // One message is lost: the next one waits for it, and nobody hears that it is asked for.
  let lose = true
  let deaf = true
  group.network.passes = ({ from, lsn }) => {
    if (from === 2) return !deaf
    if (lsn <= before || !lose) return true
    lose = false
    return false
  }
  await rows.put('b', 1)
  await until('a message to be lost', () => !lose)
  await rows.put('c', 1)
  const results = () => ofRecords().map(({ result }) => result.result)
  await until('one that waits', () => results().includes('notPermanent'))
  deaf = false
  await agreement(group.members)
  await until('what was missing', () => results().at(-1) === 'permanent')
  const { requestsSent, end, matched } = two.rep.stat()
  t.true(requestsSent > 0)
  t.is(matched, end)
  // The same again is as permanent as before; of another reign it is nothing.
  const [first] = ofRecords()
  if (!first) return
  const again = await two.rep.processMessage(first.control, first.record, 1)
  t.is(again.result, 'permanent')
  t.true((again.lsn ?? 0) >= first.lsn)
  await two.rep.start('primary')
  const stale = await two.rep.processMessage(first.control, first.record, 1)
  t.true(['ignored', 'duplicatePrimary'].includes(stale.result))
})

test('newcomers, elections and a second primary are told of by results and events', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  const three = await group.add(3)
  const contact = Buffer.from('here I am')
  await three.rep.start('replica', contact)
  const results = () => group.network.answers.map(({ result }) => result)
  await until('the newcomer', () => results().some(({ member }) => member === 3))
  const joined = results().find(({ result, member }) => result === 'newMember' && member === 3)
  t.deepEqual(Buffer.from(joined?.contact ?? none), contact)
  await until('the event', () => one.events.includes('newMember'))
  await agreement(group.members)
  // Whoever has flushed less loses to the other one, who would win and not know what for.
  const end = one.env.stat().log.appended
  await until('its flush', () => three.env.stat().log.durable >= end)
  group.network.cut.add(1)
  const election = three.rep.elect({ members: 3, priority: 200, timeoutMs: 60_000 })
  await until('a call for votes', () => two.events.includes('holdElection'))
  const asked = () => results().some(({ result }) => result === 'holdElection')
  await until('the result', asked)
  t.deepEqual(await election, { elected: true, primary: 3 })
  await three.rep.start('primary')
  group.network.cut.clear()
  await until('the old primary to step down', () => one.rep.role === 'replica')
  t.true(one.events.includes('duplicatePrimary'))
  t.true(results().some(({ result }) => result === 'duplicatePrimary'))
  t.deepEqual(await three.rep.elect(), { elected: false, primary: 3 })
  await until('one primary', () => one.rep.primary === 3 && two.rep.primary === 3)
})

const isOf = (error: unknown, code: ErrorCode) =>
  error instanceof RingleaderError && error.code === code

const badTransports: Record<string, Send> = {
  'gives false': () => false,
  throws: () => {
    throw new Error('no transport')
  },
  rejects: () => Promise.reject(new Error('no transport')),
  'gives a promise of false': () => Promise.resolve(false),
}

for (const [what, send] of Object.entries(badTransports)) {
  test(`a transport that ${what} has not sent; the primary flushes and goes on`, async (t) => {
    const group = new Group(t)
    const [one] = await group.start(2)
    if (!one) return
    await one.env.database('rows').put('a', 1)
    await agreement(group.members)
    const failed: number[] = []
    one.rep.on('permanentFailed', ({ lsn }) => failed.push(lsn))
    one.rep.setTransport(send)
    const { end } = await one.env.database('rows').put('b', 1, { durability: 'memory' })
    await until('the event', () => (failed.at(-1) ?? 0) >= end)
    const stat = one.rep.stat()
    t.true(stat.flushed >= end && stat.permanentFailedLsn >= end)
    t.true(stat.sendFailures > 0 && stat.permanentFailures > 0)
    t.is(one.rep.role, 'primary')
    await one.env.database('rows').put('c', 1)
  })
}

test('a transport that never settles is given so much and no more', async (t) => {
  const { native, rep } = await fakeMember(t)
  let calls = 0
  rep.setTransport(() => {
    calls += 1
    return new Promise<boolean>(() => undefined)
  })
  const sizes = Float64Array.of(8, 0, 0, 0).buffer
  const message = { to: 2, bytes: new ArrayBuffer(8), count: 1, lsn: 0, flags: 0, frames: sizes }
  native.batches.push(...Array.from({ length: 1_030 }, () => message), { ...message, to: 3 })
  native.onProgress?.()
  // Of one destination; another one is given its own.
  await until('all to be offered', () => calls === 1_025)
  t.like(rep.stat(), { sendsRefused: 6, sendsUnsettled: 1_025, sendFailures: 0 })
})

test('a view has the log and no vote; delayed sync waits to be told', async (t) => {
  const group = new Group(t)
  const one = await group.add(1)
  const view = await group.add(2, { view: true })
  const late = await group.add(3, { delayedSync: true })
  await view.rep.start('replica')
  await late.rep.start('replica')
  await one.rep.start('primary')
  await one.env.database('rows').put('a', 1)
  await agreement([one, view])
  t.is(view.env.database('rows').get('a'), 1)
  t.false(one.rep.stat().others.find(({ member }) => member === 2)?.voter)
  t.is(await codeOf(view.rep.start('primary')), 'RL_NOT_PRIMARY')
  await until('the primary to be known', () => late.rep.primary === 1)
  await sleep(100)
  t.is(late.rep.stat().end, 0)
  t.true(
    group.network.answers.some(({ lsn, result }) => lsn > 0 && result.result === 'ignored') ||
      late.rep.stat().recordMessagesReceived === 0,
  )
  late.rep.sync()
  await agreement(group.members)
  t.is(late.env.database('rows').get('a'), 1)
})

test('batches carry a group, and the limit of a request holds', async (t) => {
  const members = new Map<number, Replication>()
  const taken: number[] = []
  const batchesOf = (from: number) => ({
    sendBatch: (to: number, bytes: Uint8Array) => {
      for (const [id, member] of members) {
        if (id === from || (to !== Replication.broadcast && to !== id)) continue
        void member.processMessages(bytes, from).then(
          ({ permanent }) => taken.push(permanent),
          () => undefined,
        )
      }
    },
  })
  const network = new Network()
  const group = new Group(t, network)
  const one = await group.add(1)
  const two = await group.add(2)
  for (const { id, rep } of [one, two]) {
    members.set(id, rep)
    rep.setTransport(batchesOf(id))
  }
  await two.rep.start('replica')
  await one.rep.start('primary')
  one.rep.setLimit(4096)
  const rows = one.env.database('rows')
  await Promise.all(Array.from({ length: 500 }, (_, i) => rows.put(`${i}`, i)))
  await agreement([one, two])
  t.is(two.env.database('rows').get('499'), 499)
  await until('permanent messages', () => taken.some((permanent) => permanent > 0))
  t.true(one.rep.stat().batchesSent > 0)
})

test('a lossy transport delays a group and harms nothing', async (t) => {
  const group = new Group(t, new Network(7))
  const [one] = await group.start(3, { requestWaitMinMs: 5, requestWaitMaxMs: 50 })
  if (!one) return
  group.network.disturbedPercent = 20
  const rows = one.env.database('rows')
  for (let i = 0; i < 100; i += 1) await rows.put(`${i}`, i, { durability: 'memory' })
  await agreement(group.members)
  // What came before the third member had started.
  t.true(group.network.refused.every((error) => isOf(error, 'RL_NOT_STARTED')))
  for (const { env } of group.members) t.is(env.database('rows').get('99'), 99)
})

test('closing the environment ends its part in the group, and messages under way', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  const rows = one.env.database('rows')
  const writes = Array.from({ length: 50 }, (_, i) => rows.put(`${i}`, i))
  await Promise.all([one.env.close(), two.env.close()])
  t.true((await Promise.allSettled(writes)).every(({ status }) => status === 'fulfilled'))
  t.is(await codeOf(one.rep.processMessage(none, none, 2)), 'RL_CLOSED')
  const expected = ['RL_CLOSED', 'RL_NOT_STARTED'] as const
  t.true(group.network.refused.every((error) => expected.some((code) => isOf(error, code))))
})
