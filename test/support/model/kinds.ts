// The databases of the model, one of every kind of key. The model knows a key by its place in the
// order and a value by a number.
import type { KeyEncoding, ValueEncoding } from 'ringleader'

export interface Kind {
  name: string
  options: { key: KeyEncoding; value: ValueEncoding }
  /** In their order. */
  keys: readonly unknown[]
  /** Each with the places of the keys that begin with it. */
  prefixes: readonly (readonly [prefix: unknown, from: number, to: number])[]
  valueOf: (number: number) => unknown
  numberOf: (value: unknown) => number
}

// Most are small; some do not fit where others go.
const padding = (number: number): string => {
  if (number % 50 === 49) return 'x'.repeat(1_500_000)
  return 'x'.repeat(number % 10 === 9 ? 5000 : number % 10)
}

const padded = {
  valueOf: (number: number) => ({ number, padding: padding(number) }),
  numberOf: (value: unknown) => {
    const { number, padding: there } = value as { number: number; padding: string }
    if (there !== padding(number)) throw new Error(`value ${number} has changed`)
    return number
  },
}

const bytes = (...values: number[]) => Uint8Array.from(values)

export const kinds: readonly Kind[] = [
  {
    name: 'words',
    options: { key: 'utf8', value: 'msgpack' },
    keys: ['\0', 'a', 'a\0', 'aa', 'ab', 'b', 'c'.repeat(1978), 'é', '\uffff', '\u{10000}'],
    prefixes: [
      ['a', 1, 5],
      ['ab', 4, 5],
      ['c', 6, 7],
      ['d', 7, 7],
      ['\u{10000}', 9, 10],
    ],
    ...padded,
  },
  {
    name: 'places',
    options: { key: 'tuple', value: 'json' },
    keys: [null, false, -1.5, 0, 7, 'x', ['a'], ['a', -3], ['a', 'z'], ['a', 'z', 1], ['b', 0]],
    prefixes: [
      [[], 6, 11],
      [['a'], 6, 10],
      [['a', 'z'], 8, 10],
      [['c'], 11, 11],
    ],
    ...padded,
  },
  {
    name: 'sums',
    options: { key: 'binary', value: 'number' },
    keys: [
      bytes(0),
      bytes(0, 0),
      bytes(0, 1),
      bytes(1),
      bytes(0x7f, 0xff),
      bytes(0xff),
      bytes(0xff, 0xff),
    ],
    prefixes: [
      [bytes(0), 0, 3],
      [bytes(0xff), 5, 7],
      [bytes(2), 4, 4],
    ],
    valueOf: (number) => number,
    numberOf: (value) => value as number,
  },
]

export const mostKeys = Math.max(...kinds.map(({ keys }) => keys.length))
