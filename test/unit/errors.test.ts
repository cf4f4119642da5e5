// Every code that can be provoked through the package; docs/ERRORS.md names the others.
import { constants } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import test from 'ava'
import {
  Database,
  Environment,
  Log,
  Range,
  RingleaderError,
  Snapshot,
  Transaction,
  WriteBatch,
  type ErrorCode,
  type Retry,
} from 'ringleader'

import { storedCrc } from '../support/crc32c.js'
import { openLog, patternBytes, readAll, small, temporaryDirectory } from '../support/logs.js'
import { runProgram } from '../support/programs.js'
import { rejection } from '../support/rejection.js'

const flipByte = (file: string, at: number) => {
  const bytes = readFileSync(file)
  bytes[at] = (bytes[at] ?? 0) ^ 0x40
  writeFileSync(file, bytes)
}

const firstSegment = (log: Log) => join(log.directory, 'log', `${'0'.repeat(16)}.seg`)

test('an error has a code, a fate, a word on retrying and a stack', (t) => {
  const error = new RingleaderError('RL_NO_SPACE', 'no room', { errno: 28 })
  t.true(error instanceof Error)
  t.like(error, { name: 'RingleaderError', message: 'no room', fate: 'none', retry: 'same' })
  t.is(error.errno, 28)
  t.regex(error.stack ?? '', /^RingleaderError: no room\n/)
  t.false('errno' in new RingleaderError('RL_CLOSED', 'closed'))
  const retries: Partial<Record<ErrorCode, Retry>> = {
    RL_INVALID_ARGUMENT: 'no',
    RL_TIMEOUT: 'same',
    RL_FAILED: 'reopen',
    RL_CLOSED: 'reopen',
    RL_TRIMMED: 'no',
  }
  for (const [code, retry] of Object.entries(retries)) {
    t.is(new RingleaderError(code as ErrorCode, '').retry, retry)
  }
})

test('every code has a heading in docs/ERRORS.md, and no other has', (t) => {
  const page = readFileSync(new URL('../../../docs/ERRORS.md', import.meta.url), 'utf8')
  const headings = [...page.matchAll(/^## (RL_\w+)$/gm)].map(([, code]) => code)
  const source = readFileSync(new URL('../../../lib/errors.ts', import.meta.url), 'utf8')
  const codes = [...source.matchAll(/^ {2}\| '(RL_\w+)'$/gm)].map(([, code]) => code)
  t.true(codes.length > 15)
  t.deepEqual(headings.toSorted(), codes.toSorted())
})

test('RL_NOT_FOUND: no environment, and none is to be made', async (t) => {
  const directory = temporaryDirectory(t)
  const error = await rejection(t, 'RL_NOT_FOUND', () => Log.open(directory, { create: false }))
  t.like(error, { fate: 'none', retry: 'no' })
  t.deepEqual(readdirSync(directory), [])
  const missing = join(directory, 'a', 'b')
  t.is((await rejection(t, 'RL_NOT_FOUND', () => Log.open(missing))).errno, 2)
})

test('RL_NOT_A_DIRECTORY: a file of that name', async (t) => {
  const file = join(temporaryDirectory(t), 'file')
  writeFileSync(file, '')
  await rejection(t, 'RL_NOT_A_DIRECTORY', () => Log.open(file))
  await rejection(t, 'RL_NOT_A_DIRECTORY', () => Log.open(join(file, 'below')))
})

// Later versions of Node have larger arrays than this log has transactions.
const testWithLargeArrays = constants.MAX_LENGTH > 2 ** 32 ? test : test.skip

testWithLargeArrays('RL_TOO_LARGE: a transaction of more than 4 GiB', async (t) => {
  const log = await openLog(t)
  const large = new Uint8Array(2 ** 32 + 1)
  t.is((await rejection(t, 'RL_TOO_LARGE', () => log.append(large))).fate, 'none')
  t.is(log.stat().transactions, 0)
})

test('RL_PERMISSION: a directory of somebody else', async (t) => {
  const directory = join(temporaryDirectory(t), 'locked')
  mkdirSync(directory, { mode: 0o000 })
  t.is(await runProgram(t, 'open-as-nobody', [directory]), 'RL_PERMISSION 13')
})

test('RL_CORRUPTION: stored bytes have changed, found while reading', async (t) => {
  const log = await openLog(t)
  const { lsn } = await log.append('good')
  const bad = await log.append('bad')
  await log.append('behind')
  flipByte(firstSegment(log), bad.lsn + 40)
  const error = await rejection(t, 'RL_CORRUPTION', () => log.verify())
  t.regex(error.message, new RegExp(`${bad.lsn}`))
  const walk = log.read()
  t.like((await walk.next()).value, { lsn })
  await rejection(t, 'RL_CORRUPTION', () => walk.next())
  t.like(await walk.next(), { done: true })
})

test('RL_CORRUPTION: stored bytes have changed, found while opening', async (t) => {
  const log = await openLog(t)
  const { lsn } = await log.append('a')
  await log.append('b')
  await log.close()
  flipByte(firstSegment(log), lsn + 40)
  const before = readFileSync(firstSegment(log))
  await rejection(t, 'RL_CORRUPTION', () => Log.open(log.directory))
  t.true(before.equals(readFileSync(firstSegment(log)))) // nothing is repaired in secret
})

test('RL_CORRUPTION: the control file is gone or of no use', async (t) => {
  const log = await openLog(t)
  await log.close()
  const control = join(log.directory, 'control')
  const good = readFileSync(control)
  writeFileSync(control, patternBytes(good.length))
  await rejection(t, 'RL_CORRUPTION', () => Log.open(log.directory))
  rmSync(control)
  await rejection(t, 'RL_CORRUPTION', () => Log.open(log.directory))
  writeFileSync(control, good)
  await (await Log.open(log.directory)).close()
})

test('RL_NEWER_FORMAT: written by a later version', async (t) => {
  const log = await openLog(t)
  await log.close()
  const control = join(log.directory, 'control')
  const bytes = readFileSync(control)
  for (let slot = 0; slot < bytes.length; slot += 4096) {
    bytes.writeUInt32LE(1000, slot + 8)
    bytes.writeUInt32LE(storedCrc(bytes.subarray(slot, slot + 4092)), slot + 4092)
  }
  writeFileSync(control, bytes)
  await rejection(t, 'RL_NEWER_FORMAT', () => Log.open(log.directory))
})

test('RL_TIMEOUT: not flushed within the time allowed', async (t) => {
  const log = await openLog(t, { flushIntervalMs: 60_000 })
  const payload = patternBytes(8 * 1024 * 1024)
  for (;;) {
    const { end } = await log.append(payload, { level: 'memory' })
    const waited = await log.waitFor(end, 'flushed', { timeoutMs: 0 }).catch((e: unknown) => e)
    if (waited === undefined) continue // the disk was faster than a timer of a millisecond
    t.like(waited, { code: 'RL_TIMEOUT', fate: 'unknown', retry: 'same' })
    await log.waitFor(end)
    break
  }
})

test('RL_FAILED: the log loses its disk', async (t) => {
  const log = await openLog(t, { ...small, flushIntervalMs: 60_000 })
  const first = await log.append('durable')
  // The keeper has made them all, so it brings none back.
  const ahead = () => log.stat().preparedEnd - log.stat().appended
  while (ahead() < 2 * log.stat().segmentBytes) await setTimeout(5)
  // The files of the segments to come: the flusher cannot write there any more.
  const directory = join(log.directory, 'log')
  for (const name of readdirSync(directory)) {
    if (join(directory, name) !== firstSegment(log)) rmSync(join(directory, name))
  }
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, () => log.append(patternBytes(4096))),
  )
  const reasons = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as RingleaderError] : [],
  )
  t.true(reasons.length > 50)
  t.true(reasons.every(({ code }) => code === 'RL_FAILED'))
  t.like(reasons[0], { fate: 'unknown', retry: 'reopen', errno: 2 })
  const late = await rejection(t, 'RL_FAILED', () => log.append('late'))
  t.is(late.fate, 'none')
  const { visible, failedErrno } = log.stat()
  t.is(failedErrno, 2)
  await rejection(t, 'RL_FAILED', () => log.waitFor(visible))
  await rejection(t, 'RL_FAILED', () => log.flush())
  await log.waitFor(first.end) // what is durable stays durable
  t.true((await readAll(log)).length >= 1)
  await rejection(t, 'RL_FAILED', () => Log.open(log.directory))
  await rejection(t, 'RL_FAILED', () => log.close())
  const again = await openLog(t, {}, log.directory)
  const [entry] = await readAll(again)
  t.is(Buffer.from(entry?.payload ?? []).toString(), 'durable')
  await again.append('goes on')
})

test('RL_FOREIGN_HOST: in use by somebody whose memory cannot be seen', async (t) => {
  const log = await openLog(t)
  const { dev, ino } = statSync(join(log.directory, 'lock'), { bigint: true })
  const memory = `/dev/shm/ringleader-${dev.toString(16)}-${ino.toString(16)}-region`
  t.true(existsSync(memory))
  const kept = join(temporaryDirectory(t), 'memory')
  copyFileSync(memory, kept)
  rmSync(memory)
  const error = await rejection(t, 'RL_FOREIGN_HOST', () => Log.open(log.directory))
  t.like(error, { fate: 'none', retry: 'same' })
  await log.append('goes on')
})

// A file system of its own, in a namespace of its own: not everybody may.
const ownMount = ['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']
const canMount = spawnSync('unshare', ownMount).status === 0
const testWithMount = canMount ? test : test.skip

testWithMount('RL_NO_SPACE: a full disk refuses appends and takes them again later', async (t) => {
  const words = await runProgram(t, 'fill-disk', [])
  t.is(words, 'RL_NO_SPACE none same true, goes on')
})

test('RL_ADDON: nothing to load', async (t) => {
  const env = { ...process.env, RINGLEADER_ADDON: '/nowhere/ringleader.node' }
  t.is(await runProgram(t, 'open-and-tell', [temporaryDirectory(t)], { env }), 'RL_ADDON')
})

test('RL_PLATFORM: another system', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'open-and-tell', [directory, 'darwin']), 'RL_PLATFORM')
})

test('objects that only this package makes say who makes them', async (t) => {
  const classes = { Database, Environment, Log, Range, Snapshot, Transaction, WriteBatch }
  for (const [name, made] of Object.entries(classes)) {
    const construct = (): unknown =>
      Reflect.construct(made as unknown as new () => object, ['directory'])
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', construct)
    t.regex(error.message, new RegExp(`^${name}: made by [A-Z][a-z]+[.][a-z]+, not with new$`))
  }
})
