// What goes into a key or value comes out again, keys are in their documented order, and the rest
// is refused.
import { runInNewContext } from 'node:vm'

import { keyCodecs, valueCodecs, valueRoom, writeValue, type KeyCodec } from '#lib/encodings'
import { maxKeyBytes, maxValueBytes } from '#lib/limits'
import test, { type ExecutionContext } from 'ava'
import fc from 'fast-check'
import type { ErrorCode } from 'ringleader'

import { compareTuples, tupleElement } from '../support/key-order.js'
import { rejection } from '../support/rejection.js'

const { binary, utf8, tuple } = keyCodecs

// Written between other bytes, which have to stay.
const encode = (codec: KeyCodec<unknown>, key: unknown): Buffer => {
  const into = Buffer.alloc(maxKeyBytes + 9, 0xee)
  const to = codec.write(key, into, 7)
  if (into.subarray(7 + maxKeyBytes).some((byte) => byte !== 0xee))
    throw new Error('beyond its room')
  return Buffer.from(into.subarray(7, to))
}

// Read out of the middle of a buffer that is used again afterwards.
const decode = <T>(codec: { read: KeyCodec<T>['read'] }, bytes: Uint8Array): T => {
  const around = Buffer.alloc(bytes.length + 20, 0xff)
  around.set(bytes, 10)
  const value = codec.read(around, 10, 10 + bytes.length)
  around.fill(0xaa)
  return value
}

// With a class of its own.
class Holder {
  readonly held: unknown

  constructor(held: unknown) {
    this.held = held
  }
}

const plain = (bytes: Uint8Array | undefined) => bytes && Uint8Array.from(bytes)

const refusesKeys = async (
  t: ExecutionContext,
  codec: KeyCodec<unknown>,
  code: ErrorCode,
  keys: unknown[],
) => {
  for (const key of keys) {
    const error = await rejection(t, code, () => encode(codec, key))
    t.true(error.message.startsWith('key: '), error.message)
  }
}

const isCorrupt = async (
  t: ExecutionContext,
  codec: { read: KeyCodec<unknown>['read'] },
  hex: string,
) => {
  const error = await rejection(t, 'RL_CORRUPTION', () => decode(codec, Buffer.from(hex, 'hex')))
  t.regex(error.message, /^(key|value): /)
}

test('a binary key is its bytes', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (key) => {
      t.deepEqual(plain(encode(binary, key)), key)
      t.deepEqual(decode(binary, key), key)
    }),
  )
  t.is(encode(binary, new Uint8Array(maxKeyBytes)).length, maxKeyBytes)
  await refusesKeys(t, binary, 'RL_INVALID_ARGUMENT', [
    'a',
    5,
    null,
    undefined,
    [1],
    new Uint8Array(),
  ])
  await refusesKeys(t, binary, 'RL_INVALID_ARGUMENT', [new ArrayBuffer(1), new Uint16Array(1)])
  await refusesKeys(t, binary, 'RL_TOO_LARGE', [new Uint8Array(maxKeyBytes + 1)])
})

test('a utf8 key is its UTF-8, in order of code points', (t) => {
  const key = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }),
    fc.string({ minLength: 1, maxLength: 60 }),
  )
  fc.assert(
    fc.property(key, key, (a, b) => {
      t.deepEqual(encode(utf8, a), Buffer.from(a))
      t.is(decode(utf8, Buffer.from(a)), a)
      t.is(Math.sign(encode(utf8, a).compare(encode(utf8, b))), compareTuples(a, b))
    }),
  )
  t.deepEqual(['\u{10000}', '\ue000'].sort(), ['\u{10000}', '\ue000'])
  t.is(encode(utf8, '\u{10000}').compare(encode(utf8, '\ue000')), 1)
})

test('a utf8 key has 1 to 1978 bytes and no lone surrogate', async (t) => {
  for (const [unit, bytes] of [
    ['a', 1],
    ['é', 2],
    ['€', 3],
    ['😀', 4],
  ] as const) {
    const most = Math.floor(maxKeyBytes / bytes)
    t.is(encode(utf8, unit.repeat(most)).length, most * bytes)
    await refusesKeys(t, utf8, 'RL_TOO_LARGE', [unit.repeat(most + 1)])
  }
  t.is(encode(utf8, 'a'.repeat(maxKeyBytes - 1)).length, maxKeyBytes - 1)
  const lone = ['\ud800', 'a\udc00', '\udc00\ud800', `${'x'.repeat(50)}\ud800`]
  await refusesKeys(t, utf8, 'RL_INVALID_ARGUMENT', ['', 5, null, undefined, ['a'], ...lone])
  for (const hex of ['ff', 'eda080', 'c3', '6180']) await isCorrupt(t, utf8, hex)
  for (const text of ['\ufffd', '\ufeffa']) t.is(decode(utf8, Buffer.from(text)), text)
})

test('a tuple key comes back as it was put', (t) => {
  fc.assert(
    fc.property(tupleElement, (key) => {
      const bytes = encode(tuple, key)
      const back = decode(tuple, bytes)
      t.is(compareTuples(back, key), 0)
      t.deepEqual(encode(tuple, back), bytes)
      if (!Object.is(key, -0) && !Array.isArray(key)) t.deepEqual(back, key as never)
    }),
    { numRuns: 3000 },
  )
})

test('the bytes of tuple keys are in the order of the keys', (t) => {
  fc.assert(
    fc.property(fc.array(tupleElement, { minLength: 2, maxLength: 6 }), (keys) => {
      for (const a of keys) {
        for (const b of keys) {
          t.is(Math.sign(encode(tuple, a).compare(encode(tuple, b))), compareTuples(a, b))
        }
      }
    }),
    { numRuns: 2000 },
  )
})

test('tuple keys that are hard to order are in order', (t) => {
  const { MAX_VALUE, MIN_VALUE } = Number
  const numbers = [
    -Infinity,
    -MAX_VALUE,
    -(2 ** 53),
    -1.5,
    -1,
    -MIN_VALUE,
    0,
    MIN_VALUE,
    0.5,
    1,
    1.5,
  ]
  const bigints = [-(2n ** 64n), -256n, -255n, -1n, 0n, 1n, 255n, 256n, 2n ** 64n]
  const dates = [-8.64e15, -1, 0, 1, 8.64e15].map((time) => new Date(time))
  const texts = [
    '',
    '\0',
    '\0\0',
    '\0a',
    '\u0001',
    'a',
    'a\0',
    'a\0\0',
    'a\u0001',
    'aa',
    '\ue000',
    '😀',
  ]
  const bytes = [[], [0], [0, 0], [0, 255], [1], [255], [255, 0], [255, 255]]
  const arrays = [
    ...[[], [null], [null, null], [0], [0, 'a'], ['a'], ['a', null], ['a', ''], ['a', []]],
    ...[
      ['a', [null]],
      ['a', ['b']],
      ['a\0'],
      ['b'],
      [[]],
      [[], []],
      [[null]],
      [['a']],
      [['a'], 'b'],
    ],
  ]
  const ordered = [
    ...[null, false, true, ...numbers, 2, 2 ** 53, MAX_VALUE, Infinity, ...bigints, ...dates],
    ...[...texts, ...bytes.map((values) => Uint8Array.from(values)), ...arrays],
  ]
  ordered.forEach((key, i) => {
    t.deepEqual(decode(tuple, encode(tuple, key)), key as never)
    const next = ordered[i + 1]
    if (next === undefined) return
    t.is(encode(tuple, key).compare(encode(tuple, next)), -1, `${String(key)} < ${String(next)}`)
    t.is(compareTuples(key, next), -1)
  })
})

test('tuple keys have the bytes that docs/FORMATS.md says', (t) => {
  const golden: [unknown, string][] = [
    [null, '08'],
    [false, '10'],
    [true, '11'],
    [0, '208000000000000000'],
    [-0, '208000000000000000'],
    [1, '20bff0000000000000'],
    [-1, '20400fffffffffffff'],
    [Infinity, '20fff0000000000000'],
    [0n, '288000'],
    [258n, '2880020102'],
    [-1n, '287ffefe'],
    [new Date(1), '30bff0000000000000'],
    ['', '4000'],
    ['a\0é', '406100ffc3a900'],
    [Uint8Array.of(0, 255), '4800ffff00'],
    [[], '50'],
    [[[], 'a', [null]], '505000406100500800'],
  ]
  for (const [key, hex] of golden) t.is(encode(tuple, key).toString('hex'), hex)
})

test('tuple keys refuse what would not come back or has no order', async (t) => {
  const wrong = [undefined, NaN, new Date(NaN), '\ud800', {}, new Map(), Symbol('a'), () => 1]
  await refusesKeys(t, tuple, 'RL_INVALID_ARGUMENT', [...wrong, new Uint16Array(1), /a/])
  await refusesKeys(t, tuple, 'RL_INVALID_ARGUMENT', [
    ...wrong.map((key) => ['a', [key]]),
    new Array(1),
  ])
  const cycle: unknown[] = []
  cycle.push(cycle)
  await refusesKeys(t, tuple, 'RL_TOO_LARGE', [cycle])
})

const repeated = (length: number, element: unknown) => Array.from({ length }, () => element)

test('tuple keys have at most 1978 bytes', async (t) => {
  // Bytes of the key besides those of the repeated element.
  const cases: [(count: number) => unknown, number, number][] = [
    [(count) => 'a'.repeat(count), 2, 1],
    [(count) => 'é'.repeat(count), 2, 2],
    [(count) => '\0'.repeat(count), 2, 2],
    [(count) => new Uint8Array(count), 2, 2],
    [(count) => new Uint8Array(count).fill(1), 2, 1],
    [(count) => repeated(count, 1.5), 1, 9],
    [(count) => repeated(count, null), 1, 1],
    [(count) => repeated(count, []), 1, 2],
    [(count) => repeated(count, ''), 1, 2],
    [(count) => repeated(count, new Date(5)), 1, 9],
    [(count) => -(256n ** BigInt(count - 1)), 3, 1],
    [(count) => repeated(count, 7n), 1, 4],
  ]
  for (const [make, fixed, each] of cases) {
    const most = Math.floor((maxKeyBytes - fixed) / each)
    t.is(encode(tuple, make(most - 1)).length, fixed + each * (most - 1))
    t.is(encode(tuple, make(most)).length, fixed + each * most)
    await refusesKeys(t, tuple, 'RL_TOO_LARGE', [make(most + 1)])
  }
})

test('bytes that are no tuple key are corruption, whatever they are', async (t) => {
  const damaged = ['', '00', 'ff', '09', '0808', '20', '2080', '20ffffffffffffffff', '28', '288001']
  const more = [
    '30fff0000000000000',
    '40',
    '4061',
    '4061006100',
    '40ff00',
    '4800ff',
    '5000',
    '5050',
    '500009',
  ]
  for (const hex of [...damaged, ...more]) await isCorrupt(t, tuple, hex)
  fc.assert(
    fc.property(fc.uint8Array(), tupleElement, fc.nat(), (noise, key, at) => {
      const bytes = encode(tuple, key)
      for (const hostile of [noise, bytes.subarray(0, at % bytes.length)]) {
        try {
          decode(tuple, hostile)
        } catch (error) {
          t.is((error as { code?: string }).code, 'RL_CORRUPTION')
        }
      }
    }),
  )
  t.pass()
})

test('a prefix range of a tuple has the arrays that begin with it, and nothing else', (t) => {
  fc.assert(
    fc.property(
      fc.array(tupleElement, { maxLength: 3 }),
      fc.array(tupleElement),
      (prefix, rest) => {
        const { gte, lt } = tuple.prefixRange(prefix)
        const within = (key: unknown) => {
          const bytes = encode(tuple, key)
          return bytes.compare(gte) >= 0 && (lt === undefined || bytes.compare(lt) < 0)
        }
        const begins = (key: unknown) =>
          Array.isArray(key) &&
          key.length >= prefix.length &&
          compareTuples(key.slice(0, prefix.length), prefix) === 0
        for (const key of [prefix, [...prefix, ...rest], rest, [prefix], ...rest, ...prefix]) {
          t.is(within(key), begins(key))
        }
        t.is(within([...prefix.slice(0, -1), 'a\0']), begins([...prefix.slice(0, -1), 'a\0']))
      },
    ),
  )
  const { gte, lt } = tuple.prefixRange(['a'])
  t.deepEqual([gte, lt], [Buffer.from('50406100', 'hex'), Buffer.from('50406100ff', 'hex')])
  t.true(lt && encode(tuple, ['a\0']).compare(lt) > 0, "['a\\0'] does not begin with 'a'")
})

test('bounds of a prefix range are no longer than keys', async (t) => {
  for (const length of [maxKeyBytes - 1, maxKeyBytes]) {
    const prefix = ['x'.repeat(length - 3)]
    const { gte, lt } = tuple.prefixRange(prefix)
    t.is(gte.length, length)
    t.true(lt && lt.length <= maxKeyBytes && gte.compare(lt) < 0)
    t.deepEqual(encode(tuple, prefix), gte)
  }
  await rejection(t, 'RL_TOO_LARGE', () => tuple.prefixRange(['x'.repeat(maxKeyBytes - 2)]))
  for (const prefix of ['a', 5, null, undefined]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => tuple.prefixRange(prefix))
    t.regex(error.message, /^prefix: /)
  }
})

test('prefix ranges of bytes and strings', async (t) => {
  const range = (bytes: number[]) => {
    const { gte, lt } = binary.prefixRange(Uint8Array.from(bytes))
    return [[...gte], lt && [...lt]]
  }
  t.deepEqual(range([1, 2]), [
    [1, 2],
    [1, 3],
  ])
  t.deepEqual(range([1, 255, 255]), [[1, 255, 255], [2]])
  t.deepEqual(range([255, 255]), [[255, 255], undefined])
  t.deepEqual(range([]), [[], undefined])
  const { gte, lt } = utf8.prefixRange('aé')
  t.deepEqual([gte, lt], [Buffer.from('aé'), Buffer.from([0x61, 0xc3, 0xaa])])
  await rejection(t, 'RL_INVALID_ARGUMENT', () => utf8.prefixRange(5))
})

const roundTrip = (encoding: keyof typeof valueCodecs, value: unknown): unknown => {
  const codec = valueCodecs[encoding]
  const prepared = codec.prepare(value)
  const room = valueRoom(prepared)
  const into = Buffer.alloc(room + 3, 0xee)
  const to = writeValue(prepared, into, 3)
  if (to < 3 || to > into.length) throw new Error('does not fit its room')
  return decode(codec, into.subarray(3, to))
}

test('binary and utf8 values come back', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.string({ unit: 'binary', maxLength: 60 }), (bytes, text) => {
      t.deepEqual(roundTrip('binary', bytes), bytes)
      t.is(roundTrip('utf8', text), text)
    }),
  )
  for (const value of ['a', 5, null, undefined, [1], new ArrayBuffer(1)]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => roundTrip('binary', value))
  }
  for (const value of [5, null, undefined, ['a'], '\ud800', Uint8Array.of(1)]) {
    await rejection(t, 'RL_INVALID_ARGUMENT', () => roundTrip('utf8', value))
  }
  await isCorrupt(t, valueCodecs.utf8, '61ff')
})

test('bytes that are read are their own, whatever their length', (t) => {
  // Around the lengths at which they get memory of their own, and often enough for several pools.
  const lengths = Array.from(
    { length: 400 },
    (_, i) => [0, 64, 65, 100, 2047, 2048, 2049][i % 7] ?? 0,
  )
  const given = lengths.map((length, i) => new Uint8Array(length).fill(i))
  const values = given.map((bytes) => decode(valueCodecs.binary, bytes))
  t.deepEqual(values, given)
  for (const [i, value] of values.entries()) {
    value.fill(0xee)
    t.deepEqual(values.slice(i + 1), given.slice(i + 1), `after a change of value ${i}`)
  }
})

test('a value cannot be transferred away with those beside it', (t) => {
  const given = [1, 2].map((byte) => new Uint8Array(100).fill(byte))
  const values = given.map((bytes) => decode(valueCodecs.binary, bytes))
  const transfer = values.map(({ buffer }) => buffer as ArrayBuffer).slice(0, 1)
  try {
    structuredClone(values[0], { transfer }) // refused, or before Node.js 21 copied
  } catch (error) {
    t.like(error, { name: 'DataCloneError' })
  }
  t.deepEqual(values, given)
})

test('json values come back, and what JSON cannot hold is refused', async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      t.deepEqual(roundTrip('json', value), JSON.parse(JSON.stringify(value)))
    }),
  )
  t.is(roundTrip('json', '\ud800'), '\ud800')
  const cycle: Record<string, unknown> = {}
  cycle.cycle = cycle
  for (const value of [undefined, () => 1, Symbol('a'), 5n, { a: [1n] }, cycle]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => roundTrip('json', value))
    t.regex(error.message, /^value: /)
  }
  for (const hex of ['', '7b', '6e756c6c7d', '22ff22']) await isCorrupt(t, valueCodecs.json, hex)
})

test('msgpack values come back', (t) => {
  const value = fc.anything({
    withBigInt: true,
    withDate: true,
    maxDepth: 3,
    key: fc.string({ unit: 'grapheme' }),
  })
  fc.assert(
    fc.property(value, (given) => {
      if (given === undefined) return
      const once = roundTrip('msgpack', given)
      t.deepEqual(roundTrip('msgpack', once), once)
    }),
  )
  const dates = [0, -1, 1, 8.64e15, -8.64e15, 1.6e12 + 7].map((time) => new Date(time))
  const bigints = [0n, -1n, 5n, 2n ** 63n, -(2n ** 63n) - 1n, 2n ** 64n, 2n ** 300n]
  const numbers = [1, -1, 0.1, 2 ** 53, 2 ** 64, NaN, -Infinity, 1e300, 4_294_967_296]
  const values = { a: [null, true, 'é😀', [], {}], u: undefined, dates, bigints, numbers }
  t.deepEqual(roundTrip('msgpack', values), values)
  t.deepEqual(roundTrip('msgpack', new Map([['a', new Map([[1, 2]])]])), { a: { 1: 2 } })
  t.deepEqual(plain(roundTrip('msgpack', Uint8Array.of(1, 2)) as Buffer), Uint8Array.of(1, 2))
  t.deepEqual(roundTrip('msgpack', [{ a: 1 }, { a: 1 }]), [{ a: 1 }, { a: 1 }])
})

test('a msgpack value stands alone, in plain MessagePack', (t) => {
  const hex = (value: unknown) =>
    Buffer.from(valueCodecs.msgpack.prepare(value) as Uint8Array).toString('hex')
  const rows = [{ a: 1, b: 'x' }, { a: 1, b: 'x' }, { b: 'x' }]
  t.deepEqual(rows.map(hex), ['82a16101a162a178', '82a16101a162a178', '81a162a178'])
  t.is(hex(Uint8Array.of(7, 8)), 'c4020708')
  t.is(hex(new Date(0)), 'd6ff00000000')
})

test('msgpack refuses what it cannot hold, and goes on working', async (t) => {
  const cycle: unknown[] = []
  cycle.push(cycle)
  for (const value of [undefined, () => 1, { a: () => 1 }, [Symbol('a')], cycle]) {
    const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => roundTrip('msgpack', value))
    t.regex(error.message, /^value: /)
    t.deepEqual(roundTrip('msgpack', { a: [1] }), { a: [1] })
  }
  for (const hex of ['', '81', 'a5', '0000', '82a161', 'd47200', 'dfffffffff']) {
    await isCorrupt(t, valueCodecs.msgpack, hex)
  }
})

test('msgpack refuses what would come back as something else', async (t) => {
  const elsewhere = (code: string): unknown => runInNewContext(code)
  class Names extends Map<string, number> {}
  const refused: unknown[] = [
    new Map([[{}, 1]]),
    new Map([[1n, 1]]),
    new Map([[undefined, 1]]),
    new Map<unknown, number>([
      [1, 1],
      ['1', 2],
    ]),
    new Names([['a', 1]]),
    new Set([1]),
    /a/g,
    new Error('no'),
    Promise.resolve(1),
    new WeakMap(),
    new WeakSet(),
    new Float32Array([1.5]),
    new Uint8ClampedArray(1),
    new DataView(new ArrayBuffer(1)),
    new ArrayBuffer(1),
    new SharedArrayBuffer(1),
    Object(1),
    Object('a'),
    Object(true),
    Object(1n),
    elsewhere('new Date(0)'),
    elsewhere('Uint8Array.of(1)'),
    elsewhere('new Map([[{}, 1]])'),
  ]
  for (const value of refused) {
    const nested = [value, [value], { a: { b: value } }, new Map([['a', value]])]
    for (const given of [...nested, { toJSON: undefined, a: value }, new Holder(value)]) {
      const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => roundTrip('msgpack', given))
      t.regex(error.message, /^value: cannot be encoded as msgpack: it has /)
    }
    t.deepEqual(roundTrip('msgpack', { a: [1] }), { a: [1] })
  }
  const bare = Object.assign(Object.create(null), { a: 1 }) as unknown
  for (const value of [bare, elsewhere('({ a: 1 })'), { toJSON: 1, a: 1 }]) {
    t.is((roundTrip('msgpack', value) as { a: number }).a, 1)
  }
  t.deepEqual(roundTrip('msgpack', new Map<unknown, unknown>([[1, new Map([[true, 2]])]])), {
    1: { true: 2 },
  })
})

test('a msgpack value may encode others while it is encoded', (t) => {
  const other = new Map([['other', Uint8Array.of(1)]])
  const given = {
    before: 'before',
    get inner() {
      roundTrip('msgpack', other)
      return new Map([['a', 1]])
    },
    after: 'after',
  }
  t.deepEqual(roundTrip('msgpack', given), { before: 'before', inner: { a: 1 }, after: 'after' })
})

test('a value that does not fit is written when there is room', (t) => {
  for (const [encoding, value] of [
    ['binary', new Uint8Array(100)],
    ['utf8', '€'.repeat(33)],
    ['json', '€'.repeat(33)],
    ['msgpack', '€'.repeat(33)],
  ] as const) {
    const prepared = valueCodecs[encoding].prepare(value)
    const room = valueRoom(prepared)
    t.is(writeValue(prepared, Buffer.alloc(room + 4), 5), -1)
    const into = Buffer.alloc(room + 5)
    t.deepEqual(
      decode(valueCodecs[encoding], into.subarray(5, writeValue(prepared, into, 5))),
      value,
    )
  }
})

test('a value has at most 1 GiB', async (t) => {
  // Never touched, so never in memory.
  t.is(valueRoom(new Uint8Array(maxValueBytes)), maxValueBytes)
  await rejection(t, 'RL_TOO_LARGE', () => valueRoom(new Uint8Array(maxValueBytes + 1)))
})
