import test from 'ava'
import { Log, type LogOptions } from 'ringleader'

import { openLog, small, temporaryDirectory } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

// Values that TypeScript would refuse.
const any = (value: unknown) => value as never

const refusedByOpen: [keyof LogOptions, unknown[]][] = [
  ['create', [1, 'yes', null]],
  ['segmentBytes', [NaN, -1, 0, 65_535, 65_537, 32_768, 2 ** 31, '65536', 65_536n, null, Infinity]],
  ['ringBytes', [NaN, -65_536, 1, 65_537, 32_768, 2 ** 33, '65536', {}]],
  ['segmentsAhead', [NaN, 0, 65, 1.5, -1, '2']],
  ['groupId', ['', 'ab', 'g'.repeat(32), new Uint8Array(15), new Uint8Array(17), 5, []]],
  ['archive', ['', 'a\0b', 5, null]],
  ['adoptCopy', [0, 'no', null]],
  ['flushIntervalMs', [NaN, 0, 0.5, 60_001, -1, '100', null]],
  ['level', ['', 'durable', 2, null, 'toString']],
]

for (const [name, values] of refusedByOpen) {
  test(`open refuses a wrong ${name} and names it`, async (t) => {
    const directory = temporaryDirectory(t)
    for (const value of values) {
      const error = await rejection(t, 'RL_INVALID_ARGUMENT', () =>
        Log.open(directory, { [name]: value }),
      )
      t.true(error.message.startsWith(`${name}: `), error.message)
      t.is(error.fate, 'none')
    }
  })
}

test('open refuses what is no directory name and no options', async (t) => {
  for (const directory of ['', 'a\0b', 5, undefined, null, new URL('file:///tmp')]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(any(directory)))
    t.true(error.message.startsWith('directory: '), error.message)
  }
  const directory = temporaryDirectory(t)
  for (const options of [null, 5, 'x', []]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(directory, any(options)))
    t.true(error.message.startsWith('options: '), error.message)
  }
})

test('unknown options are refused by name', async (t) => {
  const directory = temporaryDirectory(t)
  const unknown = any({ segmentByte: 65_536 })
  const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(directory, unknown))
  t.regex(error.message, /segmentByte"/)
  const log = await openLog(t)
  for (const call of [
    () => log.append('a', any({ durability: 'flushed' })),
    () => log.waitFor(0, 'flushed', any({ timeout: 5 })),
    () => log.read(any({ live: true })),
    () => log.putConsumer('a', any({ at: 5 })),
  ]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', call)
  }
})

test('append refuses wrong payloads and options with a rejection', async (t) => {
  const log = await openLog(t)
  for (const payload of [undefined, null, 5, {}, [1], new ArrayBuffer(4), new Uint16Array(2)]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => log.append(any(payload)))
    t.regex(error.message, /payload/)
  }
  for (const options of [
    { level: 'disk' },
    { term: -1 },
    { term: 2 ** 32 },
    { term: NaN },
    { term: '1' },
    { type: 'padding' },
    { type: 1 },
    { operations: 65_536 },
    { operations: -1 },
    { operations: 0.5 },
    null,
    'flushed',
  ]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => log.append('a', any(options)))
    const [name = 'options'] = Object.keys(options ?? {})
    if (typeof options === 'object') t.true(error.message.startsWith(`${name}: `), error.message)
  }
  t.is(log.stat().transactions, 0)
  // A call that does not await sees a rejection, never a throw.
  const rejected = log.append(any(undefined))
  await t.throwsAsync(rejected)
})

test('an option that is undefined is absent', async (t) => {
  const log = await openLog(t, any({ ...small, level: undefined, archive: undefined }))
  await log.append('a', any({ level: undefined, term: undefined }))
  t.is(log.stat().flushes, 1)
})

test('positions, names and times are checked', async (t) => {
  const log = await openLog(t)
  for (const end of [-1, NaN, 1.5, 2 ** 53, '0', undefined]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => log.waitFor(any(end)))
    await rejection(t, 'RL_INVALID_ARGUMENT', () => {
      log.advanceConsumer('a', any(end))
    })
  }
  for (const from of [-1, NaN, 1.5, 2 ** 53, '0', null]) {
    t.throws(() => log.read({ from: any(from) }), { code: 'RL_INVALID_ARGUMENT' })
  }
  for (const batchBytes of [0, -1, NaN, 2 ** 26 + 1, '1']) {
    t.throws(() => log.read({ batchBytes: any(batchBytes) }), { code: 'RL_INVALID_ARGUMENT' })
  }
  for (const timeoutMs of [-1, NaN, 2 ** 31, '1', null]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () =>
      log.waitFor(0, 'flushed', { timeoutMs: any(timeoutMs) }),
    )
  }
  for (const name of ['', 'x'.repeat(48), 'ß'.repeat(24), 'a\0', 5, undefined]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => log.putConsumer(any(name)))
    await rejection(t, 'RL_INVALID_ARGUMENT', () => log.removeConsumer(any(name)))
  }
  for (const options of [
    { position: -1 },
    { maxBytes: -1 },
    { maxAgeMs: NaN },
    { maxBytes: '1' },
  ]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => log.putConsumer('a', any(options)))
  }
})

test('limits of the sizes are taken', async (t) => {
  const log = await openLog(t, { ...small, segmentsAhead: 1, flushIntervalMs: 60_000 })
  t.like(log.stat(), { segmentBytes: 65_536, ringBytes: 65_536, ringInFile: false })
  const other = await openLog(t, { ...small, segmentsAhead: 64, flushIntervalMs: 1 })
  t.is(other.stat().segmentBytes, 65_536)
})

test('the group id is taken in both forms and kept', async (t) => {
  const text = '000102030405060708090A0B0C0D0E0F'
  const bytes = Uint8Array.from({ length: 16 }, (_, i) => i)
  const log = await openLog(t, { ...small, groupId: text })
  t.is(log.groupId, text.toLowerCase())
  t.regex(log.environmentId, /^[0-9a-f]{32}$/)
  const same = await openLog(t, { groupId: bytes }, log.directory)
  t.is(same.groupId, log.groupId)
  t.is(same.environmentId, log.environmentId)
  const other = { groupId: 'f'.repeat(32) }
  await rejection(t, 'RL_INVALID_ARGUMENT', () => Log.open(log.directory, other))
})
