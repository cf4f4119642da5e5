// Dumps from and for the tools whose format it is: db_dump, db_load (Berkeley DB 5.3) and mdb_dump,
// mdb_load (LMDB).
import { berkeley, lmdb, withPrograms } from '../support/dump-tools.js'
import { databasesOf, dumpText, hardPairs, readItems, type Pair } from '../support/dumps.js'
import { temporaryDirectory } from '../support/logs.js'

const hasBackslash = ([key, value]: Pair) => key.includes(0x5c) || value.includes(0x5c)

for (const tools of [berkeley, lmdb]) {
  const { fields } = tools
  const { given, needs } = withPrograms(tools)

  for (const format of ['bytevalue', 'print'] as const) {
    given(`${tools.name} loads our ${format}${needs}`, async (t) => {
      const directory = temporaryDirectory(t)
      tools.load(directory, await dumpText([{ format, fields, pairs: hardPairs }]))
      const items = await readItems([tools.dump(directory, 'bytevalue')])
      t.deepEqual(databasesOf(items), new Map([[undefined, hardPairs]]))
    })

    given(`we read the ${format} of ${tools.name}${needs}`, async (t) => {
      const directory = temporaryDirectory(t)
      // mdb_dump -p writes a backslash as it is.
      const ambiguous = tools === lmdb && format === 'print'
      const pairs = ambiguous ? hardPairs.filter((pair) => !hasBackslash(pair)) : hardPairs
      tools.load(directory, await dumpText([{ fields, pairs }]))
      const text = tools.dump(directory, format)
      const items = await readItems([text.subarray(0, 500), text.subarray(500)])
      t.deepEqual(databasesOf(items), new Map([[undefined, pairs]]))
      const [first] = items
      t.true(first?.kind === 'header' && first.header.format === format && !first.header.duplicates)
    })
  }

  given(`several databases go to ${tools.name} and come back${needs}`, async (t) => {
    const directory = temporaryDirectory(t)
    const one: Pair[] = hardPairs.slice(0, 3)
    const two: Pair[] = hardPairs.slice(3)
    const dump = await dumpText([
      { database: 'one', fields, pairs: one },
      { database: 'zwei ä', format: 'print', fields, pairs: two },
      { database: 'empty', fields, pairs: [] },
    ])
    tools.load(directory, dump)
    for (const [database, pairs] of [
      ['one', one],
      ['zwei ä', two],
      ['empty', []],
    ] as const) {
      const items = await readItems([tools.dump(directory, 'bytevalue', database)])
      t.deepEqual([...databasesOf(items).values()], [pairs], database)
    }
  })
}

const { given, needs } = withPrograms(berkeley)

for (const type of ['duplicates=1\ntype=btree', 'type=hash']) {
  given(`a ${type.replace('\n', ' ')} of db5.3 says so${needs}`, async (t) => {
    const directory = temporaryDirectory(t)
    berkeley.load(
      directory,
      `VERSION=3\nformat=print\n${type}\nHEADER=END\n k\n 1\n k\n 2\nDATA=END\n`,
    )
    const [first, ...rows] = await readItems([berkeley.dump(directory, 'print')])
    const header = first?.kind === 'header' ? first.header : undefined
    t.is(header?.type, type === 'type=hash' ? 'hash' : 'btree')
    t.is(header?.duplicates, type !== 'type=hash')
    t.is(rows.length, type === 'type=hash' ? 1 : 2)
  })
}
