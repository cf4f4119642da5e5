// Promises that wait for copies, over a group that the test writes down.
import { setTimeout as delay } from 'node:timers/promises'

import test from 'ava'
import { RingleaderError, type Appended } from 'ringleader'

import { hasRule, localOf, rulePositionOf, timeoutOf } from '#lib/durability'

import { FakeGroup, waitsOver } from '../support/fake-group.js'
import { rejection } from '../support/rejection.js'

const outcome = async (promise: Promise<Appended>): Promise<string> => {
  const later = Promise.resolve('pending')
  const told = promise.then(
    ({ end }) => `at ${end}`,
    (error: unknown) => (error instanceof RingleaderError ? error.code : String(error)),
  )
  return Promise.race([told, later.then((text) => text)])
}

const outcomes = async (promises: Promise<Appended>[]): Promise<string[]> => {
  await delay(0)
  return Promise.all(promises.map(outcome))
}

test('a level says how far here, which rule, and for how long', (t) => {
  const { levels } = waitsOver(new FakeGroup())
  t.is(levels.byDefault, 2)
  t.deepEqual([levels.levelOf('memory'), levels.levelOf('written')], [0, 1])
  t.false(hasRule(levels.levelOf('flushed')))
  const quorum = levels.levelOf('quorum')
  t.true(hasRule(quorum))
  t.is(localOf(quorum), 2)
  t.is(timeoutOf(quorum), undefined)
  t.is(levels.levelOf({ copies: 'quorum' }), quorum)
  const timed = levels.levelOf({ copies: 'quorum', local: 'memory', timeoutMs: 2 ** 31 - 1 })
  t.is(localOf(timed), 0)
  t.is(timeoutOf(timed), 2 ** 31 - 1)
  t.is(rulePositionOf(timed), rulePositionOf(quorum))
  t.is(timeoutOf(levels.levelOf({ copies: 2, timeoutMs: 0 })), 0)
})

test('the same rule is defined once, and each has a position of its own', (t) => {
  const group = new FakeGroup()
  const { levels } = waitsOver(group)
  const one = levels.levelOf({ copies: 1, at: 'received' })
  const other = levels.levelOf({ copies: 1, at: 'received', distinctDisks: true })
  t.is(levels.levelOf({ copies: 1, at: 'received', local: 'flushed' }), one)
  levels.levelOf({ copies: 'all', at: 'applied' })
  t.deepEqual(group.rules, ['1 1 1 false', '1 1 1 true', '3 0 4 false'])
  t.not(rulePositionOf(one), rulePositionOf(other))
})

test('the local level of a rule is that of the environment where it says none', (t) => {
  const group = new FakeGroup()
  const { levels } = waitsOver(group, { copies: 1, at: 'received', local: 'memory' })
  t.is(localOf(levels.byDefault), 0)
  t.is(localOf(levels.levelOf({ copies: 2 })), 0)
  t.is(localOf(levels.levelOf('quorum')), 0)
  t.is(localOf(waitsOver(group, 'written').levels.levelOf('quorum')), 1)
  t.is(localOf(waitsOver(group, 'quorum').levels.byDefault), 2)
})

test('copies are refused where there is no group', async (t) => {
  const group = new FakeGroup()
  group.member = false
  const { levels } = waitsOver(group, 'quorum')
  levels.check(2)
  const error = await rejection(t, 'RL_NO_GROUP', () => {
    levels.check(levels.byDefault)
  })
  t.is(error.fate, 'none')
  group.member = true
  t.notThrows(() => {
    levels.check(levels.byDefault)
  })
})

test('a promise waits for the local level and for the rule', async (t) => {
  const group = new FakeGroup()
  const { waits, levels, promise, place } = waitsOver(group)
  const level = levels.levelOf('quorum')
  const promises = [promise(level), promise(level)]
  place(level, 100)
  place(level, 200)
  group.setLocal(200, 200, 0)
  group.setRule(0, 200)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['pending', 'pending'])
  group.setLocal(200, 200, 150)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100', 'pending'])
  group.setLocal(300, 300, 300)
  group.setRule(0, 199)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100', 'pending'])
  group.setRule(0, 200)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100', 'at 200'])
  t.is(waits.size, 0)
})

test('news of the group is listened to while somebody waits for it', async (t) => {
  const group = new FakeGroup()
  const { waits, levels, promise, place } = waitsOver(group)
  const level = levels.levelOf({ copies: 1, local: 'memory' })
  waits.settle()
  t.false(group.watching)
  const promises = [promise(level)]
  waits.settle()
  t.true(group.watching)
  place(level, 100)
  group.setRule(0, 100)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100'])
  t.false(group.watching)
  t.is(group.watched, 1)
})

test('a time that is over rejects with a token, and the others go on', async (t) => {
  const group = new FakeGroup()
  // An environment that somebody waits for keeps the event loop alive; this group does not.
  const awake = setInterval(() => undefined, 1000)
  t.teardown(() => {
    clearInterval(awake)
  })
  const { waits, levels, facts, promise, place, gone } = waitsOver(group)
  const long = levels.levelOf({ copies: 1, local: 'memory', timeoutMs: 60_000 })
  const short = levels.levelOf({ copies: 1, local: 'memory', timeoutMs: 20 })
  const never = levels.levelOf({ copies: 1, local: 'memory' })
  const promises = [promise(long), promise(short), promise(never), promise(short)]
  place(long, 100)
  place(short, 200, 7)
  place(never, 300)
  const began = performance.now()
  const error = await rejection(t, 'RL_TIMEOUT', () => promises[1])
  t.true(performance.now() - began >= 19)
  t.is(error.fate, 'unknown')
  t.is(error.token, facts.tokenOf(200, 7))
  t.is(facts.read(error.token ?? '').end, 200)
  // It has no position yet: nobody can name it.
  const unplaced = await rejection(t, 'RL_TIMEOUT', () => promises[3])
  t.is(unplaced.token, undefined)
  t.true(gone() > 0)
  t.is(waits.size, 4) // empty slots go with what stands before them
  place(short, 400)
  group.setRule(0, 250)
  waits.settle()
  t.is(waits.size, 2)
  group.setRule(0, 300)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100', 'RL_TIMEOUT', 'at 300', 'RL_TIMEOUT'])
  t.is(waits.size, 0)
})

test.serial('many deadlines share few timers, and none comes too early', async (t) => {
  const group = new FakeGroup()
  const { levels, promise, place } = waitsOver(group)
  // A promise keeps the event loop alive, not its deadline; here nobody does.
  const alive = setInterval(() => undefined, 1000)
  const set = globalThis.setTimeout
  let timers = 0
  globalThis.setTimeout = new Proxy(set, {
    apply: (target, self, args: Parameters<typeof set>): NodeJS.Timeout => {
      timers += 1
      return Reflect.apply(target, self, args)
    },
  })
  t.teardown(() => {
    globalThis.setTimeout = set
    clearInterval(alive)
  })
  const early: number[] = []
  const promises: Promise<void>[] = []
  for (let i = 0; i < 1000; i += 1) {
    const ms = 200 + (i % 50)
    const level = levels.levelOf({ copies: 1, local: 'memory', timeoutMs: ms })
    const due = performance.now() + ms
    const told = promise(level).catch(() => {
      early.push(due - performance.now())
    })
    promises.push(told.then(() => undefined))
    place(level, 100 + i)
  }
  await Promise.all(promises)
  t.is(early.length, 1000)
  t.true(Math.max(...early) <= 1)
  t.true(timers <= 100, `${timers} timers`)
})

test('a promise that is kept in time is not rejected later', async (t) => {
  const group = new FakeGroup()
  const { waits, levels, promise, place } = waitsOver(group)
  const level = levels.levelOf({ copies: 1, local: 'memory', timeoutMs: 30 })
  for (let round = 0; round < 3; round += 1) {
    const promises = Array.from({ length: 100 }, () => promise(level))
    for (const [i] of promises.entries()) place(level, 100 + i)
    group.setRule(0, 1000)
    waits.settle()
    t.is((await Promise.all(promises)).length, 100)
  }
  // Without a time, in slots that had one before.
  const patient = levels.levelOf({ copies: 1, local: 'memory' })
  const waiting = promise(patient)
  place(patient, 2000)
  await delay(60)
  t.deepEqual(await outcomes([waiting]), ['pending'])
})

test('a roll-back rejects what it takes back, and nothing else', async (t) => {
  const group = new FakeGroup()
  const { waits, levels, promise, place } = waitsOver(group)
  const level = levels.levelOf({ copies: 'all', local: 'memory' })
  const promises = [promise(level), promise(level)]
  place(level, 100)
  place(level, 200)
  waits.rejectWhere(
    (end) => end > 150,
    new RingleaderError('RL_ROLLED_BACK', 'gone', { fate: 'unknown' }),
  )
  t.deepEqual(await outcomes(promises), ['pending', 'RL_ROLLED_BACK'])
  group.setRule(0, 100)
  waits.settle()
  t.deepEqual(await outcomes(promises), ['at 100', 'RL_ROLLED_BACK'])
  t.is(waits.size, 0)
})

test('the end of everything settles everything', async (t) => {
  const group = new FakeGroup()
  const { waits, levels, promise, place } = waitsOver(group)
  const level = levels.levelOf({ copies: 1, local: 'memory', timeoutMs: 10 })
  const promises = [promise(level), promise(level)]
  place(level, 100)
  place(level, 200)
  const never = () => new RingleaderError('RL_TIMEOUT', 'too late')
  const condition = waits.until(() => false, 10_000, never).catch((error: unknown) => error)
  waits.reject((end) => new RingleaderError('RL_CLOSED', `closed at ${end}`))
  t.deepEqual(await outcomes(promises), ['RL_CLOSED', 'RL_CLOSED'])
  t.like(await condition, { code: 'RL_CLOSED' })
  t.is(waits.size, 0)
})

test('a condition is looked at with every news, and what it throws is told', async (t) => {
  const group = new FakeGroup()
  const { waits } = waitsOver(group)
  const never = () => new RingleaderError('RL_TIMEOUT', 'too late')
  let there = false
  const reached = waits.until(() => there, undefined, never)
  const failing = waits.until(
    () => {
      if (there) throw new RingleaderError('RL_ROLLED_BACK', 'gone')
      return false
    },
    10_000,
    never,
  )
  t.is(waits.size, 2)
  waits.settle()
  t.true(group.watching)
  there = true
  waits.settle()
  await reached
  await rejection(t, 'RL_ROLLED_BACK', () => failing)
  t.is(waits.size, 0)
  t.false(group.watching)
  await rejection(t, 'RL_TIMEOUT', () => waits.until(() => false, 5, never))
  t.is(waits.size, 0)
})

test('durabilities that are none are refused', async (t) => {
  const { levels } = waitsOver(new FakeGroup())
  const wrong: unknown[] = [
    'quorums',
    null,
    3,
    {},
    { copies: 0 },
    { copies: 65 },
    { copies: 1.5 },
    { copies: 'most' },
    { copies: 1, at: 'memory' },
    { copies: 1, local: 'applied' },
    { copies: 1, distinctDisks: 1 },
    { copies: 1, timeoutMs: -1 },
    { copies: 1, timeoutMs: 2 ** 31 },
    { copies: 1, timeout: 5 },
  ]
  for (const durability of wrong) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => levels.levelOf(durability))
  }
})
