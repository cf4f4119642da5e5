// Restores through the public interface; what lies below is tested in
// test/native/store_restore_test.cc.
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'
import { Environment, restore, type LoggedTransaction, type Receipt } from 'ringleader'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { temporaryDirectory } from '../support/logs.js'
import { rejection } from '../support/rejection.js'

interface Made {
  directory: string
  backup: string
  archive: string
  /** Of the rows 0 to 99; the backup was made behind row 9. */
  receipts: Receipt[]
  /** From row 10 on. */
  logged: LoggedTransaction[]
}

const endOf = ({ receipts }: Made, i: number) => receipts[i]?.end ?? 0

const { segmentBytes = 0 } = smallEnvironment

const value = (i: number) => `${i} ${'x'.repeat(2000)}`

const make = async (t: ExecutionContext): Promise<Made> => {
  const directory = temporaryDirectory(t)
  const [backup, archive] = [join(directory, 'backup'), join(directory, 'archive')]
  const env = await Environment.open(join(directory, 'first'), { ...smallEnvironment, archive })
  const db = env.database('db', { key: 'tuple', value: 'utf8' })
  const receipts: Receipt[] = []
  for (let i = 0; i < 100; i += 1) {
    receipts.push(await db.put(i, value(i), { durability: 'memory' }))
    if (i === 7) await env.fold() // no way back from here
    if (i === 9) await env.backup(backup)
    await setTimeout(1) // so that their times differ
  }
  const logged: LoggedTransaction[] = []
  for await (const one of env.readLog({ from: receipts[10]?.lsn ?? 0 })) logged.push(one)
  // In the background, and no longer once the environment is closed.
  const end = receipts.at(-1)?.end ?? 0
  await env.waitFor(end, 'flushed')
  while (readdirSync(archive).length < Math.floor(end / segmentBytes)) await setTimeout(5)
  await env.close()
  return { directory, backup, archive, receipts, logged }
}

const rowsOf = async (t: ExecutionContext, directory: string): Promise<number> => {
  const env = await openEnvironment(t, { ...smallEnvironment, create: false }, directory)
  const rows = env.database<number, string>('db', { create: false }).range().toArray()
  t.true(rows.every(({ key, value: there }, i) => key === i && there === value(i)))
  await env.verify()
  await env.close()
  return rows.length
}

test('a backup comes back, alone or with the archive, to a position or a time', async (t) => {
  const made = await make(t)
  const { directory, backup, archive, logged } = made
  const at = (name: string) => join(directory, name)
  const alone = await restore(backup, at('alone'))
  t.is(alone.lsn, endOf(made, 9))
  t.is(await rowsOf(t, at('alone')), 10)

  // Only closed segments are archived: the last rows are not among them.
  const all = await restore(backup, at('all'), { archive })
  const rows = await rowsOf(t, at('all'))
  t.true(rows > 40 && rows <= 100)
  t.is(all.lsn, endOf(made, rows - 1))

  const lsn = endOf(made, 29)
  t.is((await restore(backup, at('lsn'), { archive, lsn })).lsn, lsn)
  t.is(await rowsOf(t, at('lsn')), 30)

  const time = logged[14]?.commitTimeUs ?? 0
  t.deepEqual(await restore(backup, at('time'), { archive, time }), {
    lsn: endOf(made, 24),
    commitTimeUs: time,
  })
  t.is(await rowsOf(t, at('time')), 25)

  const date = new Date(Math.ceil(time / 1000))
  const before = logged.filter(({ commitTimeUs }) => commitTimeUs <= date.getTime() * 1000)
  t.is((await restore(backup, at('date'), { archive, time: date })).lsn, before.at(-1)?.end ?? 0)
})

test('what cannot be restored leaves no environment', async (t) => {
  const made = await make(t)
  const { directory, backup, archive } = made
  const target = join(directory, 'target')
  const tooEarly = { archive, lsn: endOf(made, 5) }
  await rejection(t, 'RL_TRIMMED', () => restore(backup, target, tooEarly))
  await rejection(t, 'RL_TRIMMED', () => restore(backup, target, { archive, time: 1 }))
  const ms = await rejection(t, 'RL_INVALID_ARGUMENT', () =>
    restore(backup, target, { archive, time: Date.now() }),
  )
  t.regex(ms.message, /^time: .*milliseconds.* Date/)
  await rejection(t, 'RL_NOT_FOUND', () => restore(backup, target, { archive, lsn: 2 ** 40 }))
  await rejection(t, 'RL_EXISTS', () => restore(backup, archive, { archive }))
  await rejection(t, 'RL_NOT_FOUND', () => Environment.open(target, { create: false }))
  const open = await openEnvironment(t, smallEnvironment, backup)
  await rejection(t, 'RL_BUSY', () => restore(backup, target))
  await open.close()
})

test('arguments are checked', async (t) => {
  const directory = temporaryDirectory(t)
  const wrong = async (name: RegExp, call: () => unknown) => {
    t.regex((await rejection(t, 'RL_INVALID_ARGUMENT', call)).message, name)
  }
  await wrong(/^backupDirectory: /, () => restore('', directory))
  await wrong(/^targetDirectory: /, () => restore(directory, 7 as never))
  await wrong(/^archive: /, () => restore(directory, directory, { archive: '' }))
  await wrong(/^lsn: /, () => restore(directory, directory, { lsn: -1 }))
  await wrong(/^time: /, () => restore(directory, directory, { time: 0.5 }))
  await wrong(/^time: /, () => restore(directory, directory, { time: new Date(-1) }))
  await wrong(/^time: /, () => restore(directory, directory, { time: new Date(Number.NaN) }))
  await wrong(/^options: |limit/, () => restore(directory, directory, { limit: 1 } as never))
  t.deepEqual(readdirSync(directory), [])
})
