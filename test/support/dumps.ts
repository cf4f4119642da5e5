// Dumps as values.
import { readDump, writeDump, type DumpItem, type DumpWriteOptions } from '#lib/dump-format'

export type Pair = [key: Uint8Array, value: Uint8Array]

export interface Database extends Pick<DumpWriteOptions, 'format' | 'database' | 'fields'> {
  pairs: Pair[]
}

export const dumpText = async (databases: Database[]): Promise<string> => {
  let text = ''
  for (const { pairs, ...options } of databases) {
    const rows = pairs.map(([key, value]) => ({ key, value }))
    for await (const piece of writeDump(options, rows)) text += piece
  }
  return text
}

export const readItems = async (chunks: Iterable<Uint8Array | string>): Promise<DumpItem[]> => {
  const items: DumpItem[] = []
  for await (const item of readDump(chunks)) items.push(item)
  return items
}

/** The databases in items, by name. */
export const databasesOf = (items: DumpItem[]): Map<string | undefined, Pair[]> => {
  const databases = new Map<string | undefined, Pair[]>()
  let pairs: Pair[] = []
  for (const item of items) {
    if (item.kind === 'header') {
      pairs = []
      databases.set(item.header.database, pairs)
    } else {
      pairs.push([Uint8Array.from(item.key), Uint8Array.from(item.value)])
    }
  }
  return databases
}

const encode = (text: string) => Uint8Array.from(Buffer.from(text, 'latin1'))

/** In order of keys: every byte value, and what has a meaning in the text of a dump. */
export const hardPairs: Pair[] = [
  ['\0', 'NUL'],
  ['\0\n\r', '\n'],
  [' ', '  blanks  '],
  ['DATA=END', 'HEADER=END'],
  ['\\', '\\\\'],
  ['\\00', '\\5c'],
  ['a', ''],
  ['a\0b', '\x7f\x80'],
  ['bytes', String.fromCharCode(...Array.from({ length: 256 }, (_, byte) => byte))],
  ['long', 'x'.repeat(70_000)],
  ['\xc3\xa9', '\xff\xfe'],
  ['\xff', '\xff'],
].map(([key = '', value = '']): Pair => [encode(key), encode(value)])
