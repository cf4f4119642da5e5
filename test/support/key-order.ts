// The documented order of tuple keys, written down a second time and another way than in lib/.
import { types } from 'node:util'

import fc from 'fast-check'

const rankOf = (value: unknown): number => {
  if (value === null) return 0
  if (value === false) return 1
  if (value === true) return 2
  if (typeof value === 'number') return 3
  if (typeof value === 'bigint') return 4
  if (types.isDate(value)) return 5
  if (typeof value === 'string') return 6
  return types.isUint8Array(value) ? 7 : 8
}

const compareWith = <T>(a: T[], b: T[], compare: (a: T, b: T) => number): number => {
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const order = compare(a[i] as T, b[i] as T)
    if (order !== 0) return order
  }
  return Math.sign(a.length - b.length)
}

const byValue = (a: number | bigint, b: number | bigint) => (a < b ? -1 : a > b ? 1 : 0)

const codePoints = (text: string) => Array.from(text, (point) => point.codePointAt(0) ?? 0)

/** -1, 0 or 1. */
export const compareTuples = (a: unknown, b: unknown): number => {
  const rank = rankOf(a)
  if (rank !== rankOf(b)) return byValue(rank, rankOf(b))
  if (rank <= 2) return 0
  if (rank <= 4) return byValue(a as number, b as number)
  if (rank === 5) return byValue((a as Date).getTime(), (b as Date).getTime())
  if (rank === 6) return compareWith(codePoints(a as string), codePoints(b as string), byValue)
  if (rank === 7) return compareWith([...(a as Uint8Array)], [...(b as Uint8Array)], byValue)
  return compareWith(a as unknown[], b as unknown[], compareTuples)
}

// Few values, close to each other and to the bytes that have a meaning, besides all others: what
// goes wrong goes wrong between neighbours.
const nearText = fc.string({
  unit: fc.constantFrom('\0', '\u0001', 'a', '\u00ff', '\ud7ff', '\ue000', '\uffff', '😀'),
})
const text = fc.oneof(nearText, fc.string({ unit: 'binary' }), fc.string({ minLength: 25 }))
const nearBytes = fc
  .array(fc.constantFrom(0, 1, 0x50, 0xfe, 0xff))
  .map((bytes) => Uint8Array.from(bytes))
const number = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.constantFrom(-1, 0, 1, 2 ** 53, Infinity),
)
const bigint = fc.oneof(fc.bigInt(), fc.bigInt({ min: -65_537n, max: 65_537n }))

/** Any element of a tuple that is accepted. */
export const tupleElement = fc.letrec<{ element: unknown }>((tie) => ({
  element: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(null, false, true),
    number,
    bigint,
    fc.date({ noInvalidDate: true }),
    text,
    fc.oneof(nearBytes, fc.uint8Array()),
    fc.array(tie('element'), { maxLength: 4 }),
  ),
})).element
