// Environments and the tools of Berkeley DB and LMDB: what dump writes they load, what they dump
// load takes.
import test from 'ava'
import { dump, load, type Database } from 'ringleader'

import { berkeley, lmdb, withPrograms } from '../support/dump-tools.js'
import { hardPairs, type Pair } from '../support/dumps.js'
import { openEnvironment } from '../support/environments.js'
import { temporaryDirectory } from '../support/logs.js'

const binary = { key: 'binary', value: 'binary' } as const

const rowsOf = (database: Database<Uint8Array, Uint8Array>): Pair[] =>
  database
    .range()
    .toArray()
    .map(({ key, value }) => [key, value])

const textOf = async (pieces: AsyncIterable<string>): Promise<string> => {
  let text = ''
  for await (const piece of pieces) text += piece
  return text
}

for (const tools of [berkeley, lmdb]) {
  const { fields } = tools
  const { given, needs } = withPrograms(tools)

  for (const format of ['bytevalue', 'print'] as const) {
    given(`a database goes to ${tools.name} as ${format} and comes back${needs}`, async (t) => {
      const env = await openEnvironment(t)
      const from = env.database('from', binary)
      await from.putMany(hardPairs)
      const directory = temporaryDirectory(t)
      tools.load(directory, await textOf(dump(from, { format, fields })))
      const to = env.database('to', binary)
      // mdb_dump -p writes a backslash as it is: nobody can read that back.
      const back = tools.dump(directory, tools === lmdb ? 'bytevalue' : format)
      t.deepEqual(await load(to, [back]), { databases: 1, rows: hardPairs.length })
      t.deepEqual(rowsOf(to), hardPairs)
    })
  }

  given(`an environment goes to ${tools.name} and comes back${needs}`, async (t) => {
    const env = await openEnvironment(t)
    const users = env.database<string, unknown>('users')
    const places = env.database('plätze', { key: 'tuple', value: 'json' })
    await users.putMany(Array.from({ length: 2000 }, (_, i) => [`user ${i}`, { i }]))
    await places.putMany(Array.from({ length: 100 }, (_, i) => [[i - 50, 'x'], { i }]))
    const directory = temporaryDirectory(t)
    tools.load(directory, await textOf(dump(env, { fields })))
    const other = await openEnvironment(t)
    const copies = [
      other.database<string, unknown>('users', { key: 'utf8', value: 'msgpack' }),
      other.database('plätze', { key: 'tuple', value: 'json' }),
    ] as const
    for (const copy of copies) {
      const text = tools.dump(directory, 'bytevalue', copy.name)
      // Berkeley DB and LMDB say the name in such a dump, or not.
      await load(other, [text], { database: copy.name })
    }
    t.deepEqual(copies[0].range().toArray(), users.range().toArray())
    t.deepEqual(copies[1].range().toArray(), places.range().toArray())
  })
}

const { given, needs } = withPrograms(berkeley)

given(`a hash of db5.3 is loaded in whichever order it comes${needs}`, async (t) => {
  const directory = temporaryDirectory(t)
  const rows = Array.from({ length: 500 }, (_, i) => ` key ${i}\n value ${i}\n`).join('')
  berkeley.load(directory, `VERSION=3\nformat=print\ntype=hash\nHEADER=END\n${rows}DATA=END\n`)
  const env = await openEnvironment(t)
  const db = env.database('db', { key: 'utf8', value: 'utf8' })
  t.like(await load(db, [berkeley.dump(directory, 'print')]), { rows: 500 })
  t.is(db.get('key 123'), 'value 123')
  t.is(await db.count({ exact: true }), 500)
})

test('where the tools are missing, the words say which', (t) => {
  const { needs } = withPrograms({ ...berkeley, programs: ['no-such-program'] })
  t.is(needs, ' (needs no-such-program)')
})
