// The frames and greetings of the stock ticker: whatever the stream is cut into, and whoever has
// made it.
import { FrameError, frameHead, FrameReader, headBytes, type Frame } from '#lib/demo/ticker/framing'
import {
  decodeHello,
  encodeHello,
  hostAndPort,
  isAddress,
  maxSites,
  type Hello,
} from '#lib/demo/ticker/hello'
import test from 'ava'
import fc from 'fast-check'

const encode = ({ kind, body }: Frame) => Buffer.concat([frameHead(kind, body.length), body])

const readAll = (reader: FrameReader, pieces: Iterable<Buffer>): Frame[] => {
  const frames: Frame[] = []
  for (const piece of pieces) frames.push(...reader.read(piece))
  return frames
}

const frames = fc.array(
  fc.record({
    kind: fc.integer({ min: 0, max: 255 }),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  }),
)

test('frames come out as they went in, however the stream is cut', (t) => {
  fc.assert(
    fc.property(frames, fc.infiniteStream(fc.integer({ min: 1, max: 50 })), (given, sizes) => {
      const stream = Buffer.concat(given.map(encode))
      const pieces: Buffer[] = []
      for (let at = 0; at < stream.length;) {
        const size = sizes.next().value as number
        pieces.push(stream.subarray(at, at + size))
        at += size
      }
      t.deepEqual(readAll(new FrameReader(300), pieces), given)
    }),
  )
  t.pass()
})

test('a body may be as long as the limit, and no longer', (t) => {
  for (const length of [0, 99, 100]) {
    const frame = { kind: 1, body: Buffer.alloc(length, 'x') }
    t.deepEqual(readAll(new FrameReader(100), [encode(frame)]), [frame])
  }
  // Said before the body has come.
  for (const length of [101, 2 ** 32 - 1]) {
    t.throws(() => readAll(new FrameReader(100), [frameHead(1, length)]), {
      instanceOf: FrameError,
      message: new RegExp(`${length} bytes, where 100`),
    })
  }
})

test('a limit that changes between two frames counts for the second one', (t) => {
  const reader = new FrameReader(1)
  const stream = Buffer.concat([
    encode({ kind: 1, body: Buffer.from('x') }),
    encode({ kind: 2, body: Buffer.from('longer') }),
  ])
  const kinds: number[] = []
  for (const { kind } of reader.read(stream)) {
    kinds.push(kind)
    reader.limit = 6
  }
  t.deepEqual(kinds, [1, 2])
})

test('an incomplete head is waited for', (t) => {
  const reader = new FrameReader(100)
  const whole = encode({ kind: 7, body: Buffer.from('x') })
  t.deepEqual([...reader.read(whole.subarray(0, headBytes - 1))], [])
  t.deepEqual(
    [...reader.read(whole.subarray(headBytes - 1))],
    [{ kind: 7, body: Buffer.from('x') }],
  )
})

const hello: Hello = {
  group: 'ticker',
  member: 3,
  address: '10.0.0.3:7003',
  others: [
    [1, 'one.example:7001'],
    [2, '[::1]:7002'],
  ],
}

test('a greeting comes back as it was', (t) => {
  t.deepEqual(decodeHello(encodeHello(hello)), hello)
})

test('no other bytes are a greeting', (t) => {
  const refused = (value: unknown) => {
    t.throws(() => decodeHello(Buffer.from(JSON.stringify(value))), { instanceOf: FrameError })
  }
  for (const value of [null, 1, 'text', [], {}]) refused(value)
  for (const name of Object.keys(hello)) refused({ ...hello, [name]: undefined })
  for (const member of [-1, 0.5, 2 ** 31, '1', null]) refused({ ...hello, member })
  for (const address of ['', 'host', 'host:', ':1', 'host:65536', 'a b:1', 7]) {
    refused({ ...hello, address })
    refused({ ...hello, others: [[1, address]] })
  }
  const others = (count: number) => Array.from({ length: count }, () => [1, 'host:1'])
  t.is(decodeHello(Buffer.from(JSON.stringify({ ...hello, others: others(maxSites) }))).member, 3)
  refused({ ...hello, others: others(maxSites + 1) })
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      t.throws(() => decodeHello(Buffer.from(bytes)), { instanceOf: FrameError })
    }),
  )
})

test('addresses name a host and a port', (t) => {
  t.deepEqual(hostAndPort('host:7001'), { host: 'host', port: 7001 })
  t.deepEqual(hostAndPort('[::1]:0'), { host: '::1', port: 0 })
  t.true(isAddress('host:65535'))
  t.false(isAddress(`${'h'.repeat(201)}:1`))
})
