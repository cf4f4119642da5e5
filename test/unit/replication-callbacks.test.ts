// What listeners and transports may do from inside: anything.
import test from 'ava'
import type { Send } from 'ringleader'

import { openEnvironment } from '../support/environments.js'
import { fakeMember } from '../support/fake-replication.js'
import { agreement, Group, quickGroup, until } from '../support/groups.js'
import { rejection } from '../support/rejection.js'

const none = new Uint8Array(0)

test('what waits when a member fails is told, with the failure', async (t) => {
  const { native, rep } = await fakeMember(t)
  const election = rejection(t, 'RL_FAILED', () => rep.elect({ timeoutMs: 2_000 }))
  const start = rejection(t, 'RL_FAILED', () => rep.start('primary'))
  await until('the call', () => native.calls.includes('lead'))
  const failure = Object.assign(new Error('no disk'), { code: 'RL_IO' }) as never
  native.tell({ kind: 'failed', failure })
  t.like(await election, { fate: 'none', message: 'replication has failed: no disk' })
  t.like(await start, { fate: 'unknown', retry: 'reopen' })
})

test('an election asks again when nothing is under way, and not before', async (t) => {
  const { native, rep } = await fakeMember(t, 20)
  const calls = () => native.calls.filter((call) => call === 'elect').length
  native.electing = true
  const election = rep.elect({ timeoutMs: 60_000 })
  election.catch(() => undefined) // where the test fails before
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.is(calls(), 1)
  native.electing = false
  await until('another call', () => calls() > 1, 2_000)
  native.tell({ kind: 'elected' })
  t.deepEqual(await election, { elected: true, primary: 1 })
  const made = calls()
  await new Promise((resolve) => setTimeout(resolve, 60))
  t.is(calls(), made)
})

test('listeners may call the member that tells them, and close it', async (t) => {
  const { native, rep } = await fakeMember(t)
  const outcomes: unknown[] = []
  const note = (outcome: unknown) => outcomes.push(outcome)
  rep.on('holdElection', () => void rep.elect({ timeoutMs: 60_000 }).then(note, note))
  rep.on('elected', () => void rep.start('primary').then(note, note))
  rep.on('primary', () => void rep.close().then(() => note('closed'), note))
  rep.on('newMember', () => t.fail('of a member that is closed'))
  native.tell({ kind: 'holdElection' })
  native.tell({ kind: 'elected' })
  await until('the call', () => native.calls.includes('lead elected'))
  // All that is told at once; what comes behind the close is not.
  native.tell({ kind: 'role', role: 'primary' }, { kind: 'newMember', member: 2 })
  await until('the end', () => outcomes.includes('closed'))
  t.deepEqual(outcomes, [{ elected: true, primary: 1 }, undefined, 'closed'])
  t.deepEqual(native.calls, ['follow', 'elect', 'lead elected', 'close'])
})

test('a transport may call anything of the member whose messages it carries', async (t) => {
  const group = new Group(t)
  const one = await group.add(1)
  const two = await group.add(2)
  const inside: Promise<unknown>[] = []
  let calls = 0
  const carry = group.network.sendOf(1)
  const busy: Send = (to, control, record, lsn, flags) => {
    calls += 1
    const { rep, env } = one
    if (inside.length < 200) {
      rep.stat()
      rep.sync()
      rep.setLimit(2 ** 20)
      rep.setTransport(busy)
      inside.push(
        rep.start('primary').then(
          () => 'leads',
          () => undefined,
        ),
        rejection(t, 'RL_CORRUPTION', () => rep.processMessage(none, none, 2)),
        env.database('rows').put(`${calls}`, calls, { durability: 'memory' }),
      )
    }
    return carry(to, control, record, lsn, flags)
  }
  one.rep.setTransport(busy)
  await two.rep.start('replica')
  await one.rep.start('primary')
  await until('calls', () => inside.length >= 200)
  await Promise.all(inside)
  await agreement(group.members)
  t.is(one.rep.role, 'primary')
  t.is(two.env.database('rows').get('1'), 1)
  t.is(one.rep.stat().sendFailures, 0)
})

for (const what of ['member', 'environment'] as const) {
  test(`a transport may close its ${what} while it sends`, async (t) => {
    const env = await openEnvironment(t)
    const rep = env.replication({ memberId: 1, ...quickGroup })
    let calls = 0
    const closed = new Promise<void>((resolve) => {
      rep.setTransport(() => {
        calls += 1
        resolve(what === 'member' ? rep.close() : env.close())
      })
    })
    const started = rep.start('primary')
    await closed
    t.is(calls, 1)
    // It had begun before.
    const [{ status }] = await Promise.allSettled([started])
    if (status === 'rejected') await rejection(t, 'RL_CLOSED', () => started)
    await rejection(t, 'RL_CLOSED', () => rep.elect())
    if (what === 'member') t.deepEqual(env.databases(), [])
  })
}

test('a transport that hangs can be replaced: the next one has none of its debts', async (t) => {
  const { native, rep } = await fakeMember(t)
  let sent = 0
  rep.setTransport({ sendBatch: () => new Promise<boolean>(() => undefined) })
  const message = { to: 2, bytes: new ArrayBuffer(8), count: 1, lsn: 0, flags: 0 }
  native.batches.push(...Array.from({ length: 1_025 }, () => message))
  native.onProgress?.()
  await until('a message to be refused', () => rep.stat().sendsRefused === 1)
  t.is(rep.stat().sendsUnsettled, 1_024)
  rep.setTransport({ sendBatch: () => (sent += 1) })
  t.is(rep.stat().sendsUnsettled, 0)
  native.batches.push(message)
  native.onProgress?.()
  t.is(sent, 1)
  t.is(rep.stat().sendsRefused, 1)
})

test('what a transport does with thenables and messages is its own business', async (t) => {
  const group = new Group(t)
  const [one, two] = await group.start(2)
  if (!one || !two) return
  const carry = group.network.sendOf(1)
  const outcomes = [
    {
      then: (settle: (sent: boolean) => void) => {
        settle(true)
        settle(false)
      },
    },
    {
      get then(): never {
        throw new Error('a thenable that throws')
      },
    },
    { then: () => undefined }, // never settles
    undefined,
    0,
  ]
  let calls = 0
  one.rep.setTransport((to, control, record, lsn, flags) => {
    carry(to, control, record, lsn, flags)
    // The bytes are the callee's.
    queueMicrotask(() => {
      control.fill(0)
      record.fill(0)
    })
    calls += 1
    return outcomes[calls % outcomes.length]
  })
  const rows = one.env.database('rows')
  for (let i = 0; i < 20; i += 1) await rows.put(`${i}`, i)
  await agreement(group.members)
  t.is(two.env.database('rows').get('19'), 19)
  await until('every outcome', () => calls >= 10)
  const { sendFailures, sendsUnsettled } = one.rep.stat()
  t.true(sendFailures > 0 && sendFailures < calls)
  t.true(sendsUnsettled > 0 && sendsUnsettled < calls)
})
