// The text of dumps: there and back in any pieces, and what is none of it. The tools that have the
// last word on it are asked in test/process/dump-tools.test.ts.
import { DumpParser, readDump, writeDump, type DumpReadOptions } from '#lib/dump-format'
import test from 'ava'
import fc from 'fast-check'
import type { ErrorCode } from 'ringleader'

import { databasesOf, dumpText, hardPairs, readItems, type Pair } from '../support/dumps.js'
import { rejection } from '../support/rejection.js'

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))

const head = 'VERSION=3\nformat=print\ntype=btree\nHEADER=END\n'

test('the text is that of the tools', async (t) => {
  const pairs: Pair[] = [
    [bytes('a\0b'), bytes('x\\ \xff')],
    [bytes('k'), bytes('')],
  ]
  const fields: [string, string | number][] = [['mapsize', 1_048_576]]
  t.is(
    await dumpText([
      { format: 'print', database: 'one', fields, pairs },
      { pairs, database: 'b\\\né' },
    ]),
    'VERSION=3\nformat=print\ntype=btree\ndatabase=one\nmapsize=1048576\nHEADER=END\n' +
      ' a\\00b\n x\\5c \\ff\n k\n \nDATA=END\n' +
      'VERSION=3\nformat=bytevalue\ntype=btree\ndatabase=b\\5c\\0aé\nHEADER=END\n' +
      ' 610062\n 785c20ff\n 6b\n \nDATA=END\n',
  )
})

test('a header says what it holds', async (t) => {
  const text =
    'VERSION=3\nformat=bytevalue\ndatabase=o\\\\n\\c3\\a9é\n' +
    'type=hash\nh_ffactor=40\nduplicates=1\n' +
    'db_pagesize=4096\nempty=\nHEADER=END\nDATA=END'
  const fields = new Map(
    Object.entries({ h_ffactor: '40', duplicates: '1', db_pagesize: '4096', empty: '' }),
  )
  t.deepEqual(await readItems([text]), [
    {
      kind: 'header',
      header: { format: 'bytevalue', type: 'hash', database: 'o\\néé', duplicates: true, fields },
      line: 9,
    },
  ])
})

test('rows come with their lines', async (t) => {
  const items = await readItems([
    `${head} a\n b\n c\\00\\\\\\5C\n d é\nDATA=END\n${head}DATA=END\n`,
  ])
  const rows = items.flatMap<unknown>((item) =>
    item.kind === 'row' ? [[item.line, String(item.key), String(item.value)]] : [item.line],
  )
  t.deepEqual(rows, [4, [5, 'a', 'b'], [7, 'c\0\\\\', 'd é'], 13])
})

const pair = fc.tuple(
  fc.uint8Array({ minLength: 1, maxLength: 40 }),
  fc.uint8Array({ maxLength: 60 }),
)
const database = fc.record({
  format: fc.constantFrom('bytevalue' as const, 'print' as const),
  database: fc.string({ unit: 'binary' }),
  pairs: fc.array(pair),
})

const cutAt = (text: Buffer, cuts: number[]): Buffer[] => {
  const places = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length]
  const ordered = places.sort((a, b) => a - b)
  return ordered.slice(1).map((to, i) => text.subarray(ordered[i], to))
}

test('databases come back in any pieces', async (t) => {
  const databases = fc.uniqueArray(database, {
    minLength: 1,
    maxLength: 3,
    selector: (d) => d.database,
  })
  await fc.assert(
    fc.asyncProperty(databases, fc.array(fc.nat(), { maxLength: 30 }), async (given, cuts) => {
      const text = Buffer.from(await dumpText(given))
      const expected = new Map(given.map(({ database, pairs }) => [database, pairs]))
      t.deepEqual(databasesOf(await readItems(cutAt(text, cuts))), expected)
    }),
  )
})

test('a dump may come byte by byte, and its chunks be used again', async (t) => {
  for (const format of ['bytevalue', 'print'] as const) {
    const text = Buffer.from(await dumpText([{ format, pairs: hardPairs }]))
    const parser = new DumpParser()
    const chunk = Buffer.alloc(1)
    const items = [...text].flatMap((byte) => {
      chunk[0] = byte
      return parser.write(chunk)
    })
    parser.end()
    t.deepEqual(databasesOf(items), new Map([[undefined, hardPairs]]))
  }
})

test('a long value is written in pieces', async (t) => {
  const value = new Uint8Array(3_000_001).fill(0xab)
  for (const format of ['bytevalue', 'print'] as const) {
    const pieces: string[] = []
    for await (const piece of writeDump({ format }, [{ key: bytes('k'), value }]))
      pieces.push(piece)
    t.true(pieces.every((piece) => piece.length < 200_000))
    const [, row] = await readItems(pieces)
    t.true(row?.kind === 'row' && Buffer.compare(row.value, value) === 0)
  }
})

const malformed: [reason: RegExp, line: number, text: string][] = [
  [/VERSION=3 is expected/, 1, ''],
  [/VERSION=3 is expected/, 1, '\n'],
  [/VERSION=3 is expected/, 1, 'VERSION=2\n'],
  [/VERSION=3 is expected/, 1, 'VERSION=3\r\n'],
  [/VERSION=3 is expected/, 1, 'VERSION=3'.slice(1)],
  [/before HEADER=END/, 2, 'VERSION=3\n'],
  [/before HEADER=END/, 1, 'VERSION=3'],
  [/before HEADER=END/, 3, 'VERSION=3\nformat=print\ntype=btree'],
  [/without format/, 2, 'VERSION=3\nHEADER=END\n'],
  [/without format/, 4, 'VERSION=3\nformat=hex\ntype=btree\nHEADER=END\n'],
  [/without a type/, 3, 'VERSION=3\nformat=print\nHEADER=END\n'],
  [/second type/, 3, 'VERSION=3\ntype=btree\ntype=hash\n'],
  [/VERSION inside/, 2, 'VERSION=3\nVERSION=3\n'],
  [/HEADER inside/, 2, 'VERSION=3\nHEADER=ENDE\n'],
  [/no name=value/, 2, 'VERSION=3\nformat\n'],
  [/no name=value/, 2, 'VERSION=3\n=print\n'],
  [/no name=value/, 2, 'VERSION=3\nformat=print\r\n'],
  [/no name=value/, 2, 'VERSION=3\n\n'],
  [/too long/, 2, `VERSION=3\ndatabase=${'x'.repeat(5000)}`],
  [
    /too many/,
    102,
    `VERSION=3\n${Array.from({ length: 200 }, (_, i) => `${'a'.repeat(i + 1)}=1\n`).join('')}`,
  ],
  [/\\ and no two/, 2, 'VERSION=3\ndatabase=a\\xy\n'],
  [/middle of a byte/, 2, 'VERSION=3\ndatabase=a\\5\n'],
  [/name of the database is not/, 2, 'VERSION=3\ndatabase=\\ff\n'],
  [/before DATA=END/, 5, head],
  [/before DATA=END/, 7, `${head} a\n b\n`],
  [/before DATA=END/, 7, `${head} a\n b\n c`],
  [/neither a blank/, 7, `${head} a\n b\nDATA=EN`],
  [/neither a blank/, 5, `${head}a\n`],
  [/neither a blank/, 5, `${head}\n`],
  [/neither a blank/, 5, `${head}\ta\n`],
  [/neither a blank/, 5, `${head}DATA=END \n`],
  [/has no value/, 6, `${head} a\nDATA=END\n`],
  [/\\0d without/, 5, `${head} a\r\n`],
  [/\\00 without/, 5, `${head} a\0\n`],
  [/\\7f without/, 5, `${head} \x7f\n`],
  [/middle of a byte/, 5, `${head} a\\\n`],
  [/middle of a byte/, 5, `${head} a\\0\n`],
  [/\\ and no two/, 5, `${head} a\\0g\n`],
  [/\\ and no two/, 5, `${head} a\\n\n`],
  [/hexadecimal/, 5, `${head.replace('print', 'bytevalue')} 6x\n`],
  [/hexadecimal/, 5, `${head.replace('print', 'bytevalue')} x\n`],
  [/hexadecimal/, 5, `${head.replace('print', 'bytevalue')} 61 62\n`],
  [/middle of a byte/, 6, `${head.replace('print', 'bytevalue')} 61\n 6\n`],
  [/VERSION=3 is expected/, 6, `${head}DATA=END\n\n`],
  [/VERSION=3 is expected/, 6, `${head}DATA=END\n a\n`],
]

test('everything else is corruption, and the message has the line', async (t) => {
  for (const [reason, line, text] of malformed) {
    for (const chunks of [[text], text.split('')]) {
      const { message } = await rejection(t, 'RL_CORRUPTION', () => readItems(chunks))
      t.regex(message, reason, JSON.stringify(text))
      t.true(message.startsWith(`line ${line}: `), `${message} for ${JSON.stringify(text)}`)
    }
  }
  const notUtf8 = Buffer.from('VERSION=3\ndatabase=\xff\n', 'latin1')
  await rejection(t, 'RL_CORRUPTION', () => readItems([notUtf8]))
})

test('a dump that is cut off is never taken for a whole one', async (t) => {
  const text = await dumpText([{ format: 'print', pairs: hardPairs.slice(0, 9) }])
  for (let length = 0; length < text.length - 1; length += 1) {
    await rejection(t, 'RL_CORRUPTION', () => readItems([text.slice(0, length)]))
  }
  t.is((await readItems([text.slice(0, -1)])).length, 10)
})

test('records without keys are not supported', async (t) => {
  for (const type of ['recno', 'queue', 'heap', '']) {
    const text = head.replace('btree', type)
    const { message } = await rejection(t, 'RL_UNSUPPORTED', () => readItems([text]))
    t.regex(message, /^line 4: type=/)
  }
})

test('a key or value over its limit is refused before it has arrived', async (t) => {
  const refusedAfter = async (options: DumpReadOptions, start: string, piece: string) => {
    const parser = new DumpParser(options)
    parser.write(start)
    let pieces = 0
    await rejection(t, 'RL_TOO_LARGE', () => {
      for (; pieces < 10_000; pieces += 1) parser.write(piece)
    })
    return pieces
  }
  t.is(await refusedAfter({}, `${head} `, 'x'), 1978)
  t.is(await refusedAfter({ maxKeyBytes: 5 }, `${head} `, 'x'), 5)
  t.is(await refusedAfter({ maxValueBytes: 5 }, `${head} a\n `, '\\00'), 5)
  const bytevalue = head.replace('print', 'bytevalue')
  t.is(await refusedAfter({ maxValueBytes: 5 }, `${bytevalue} 61\n `, 'ff'), 5)
  const most = new DumpParser({ maxKeyBytes: 3, maxValueBytes: 4 })
  t.is(most.write(`${head} abc\n abcd\nDATA=END\n`).length, 2)
  most.end()
})

test('noise is refused, and nothing else happens', async (t) => {
  const line = fc.constantFrom(
    'VERSION=3',
    'format=print',
    'type=btree',
    'HEADER=END',
    ' 61',
    ' \\',
    'DATA=END',
    '',
  )
  const noise = fc.oneof(
    fc.array(line).map((lines) => lines.join('\n')),
    fc.string({ unit: 'binary' }),
  )
  await fc.assert(
    fc.asyncProperty(noise, async (text) => {
      try {
        await readItems([text])
      } catch (error) {
        t.is((error as { code?: ErrorCode }).code, 'RL_CORRUPTION')
      }
    }),
    { numRuns: 2000 },
  )
  t.pass()
})

test('wrong options are refused', async (t) => {
  const write = async (options: unknown) => {
    for await (const piece of writeDump(options as never, [])) t.is(typeof piece, 'string')
  }
  for (const fields of [[['a b', 1]], [['a', 'x\ny']], [['type', 'hash']], [['', '']]]) {
    const { message } = await rejection(t, 'RL_INVALID_ARGUMENT', () => write({ fields }))
    t.regex(message, /^fields: /)
  }
  await rejection(t, 'RL_INVALID_ARGUMENT', () => write({ format: 'hex' }))
  for (const maxKeyBytes of [0, 1979, 1.5, '5']) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => readDump([], { maxKeyBytes } as never).next())
  }
})
