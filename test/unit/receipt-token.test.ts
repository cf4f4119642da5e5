// Tokens: what they hold, and what is refused.
import test from 'ava'

import { readToken, writeToken } from '#lib/token'

import { rejection } from '../support/rejection.js'

const group = '00112233445566778899aabbccddeeff'
const body = () => {
  const bytes = Buffer.alloc(20)
  bytes.writeBigUInt64LE(123_456_789n)
  bytes.writeUInt32LE(7, 8)
  bytes.writeBigUInt64LE(2n ** 64n - 1n, 12)
  return bytes
}

test('a token is text that a member of the group reads as it was written', (t) => {
  const text = writeToken(group, body())
  t.regex(text, /^[\w-]{55}$/)
  const token = readToken(text, group)
  t.is(token.end, 123_456_789)
  t.is(token.text, text)
  t.deepEqual(Buffer.from(token.body), body())
})

test('what is no token is refused', async (t) => {
  const text = writeToken(group, body())
  const changed = Array.from({ length: text.length }, (_, at) => {
    const other = text[at] === 'A' ? 'B' : 'A'
    return text.slice(0, at) + other + text.slice(at + 1)
  })
  let refused = 0
  for (const wrong of [...changed, '', ' ', text + 'A', text + '=', `${text} `, text.slice(1)]) {
    const error = await t.throwsAsync(async () => {
      readToken(wrong, group)
      await Promise.resolve()
    })
    // The first byte says that it is of a later version.
    t.regex((error as Error & { code: string }).code, /^RL_(INVALID_ARGUMENT|NEWER_FORMAT)$/)
    refused += 1
  }
  t.is(refused, text.length + 6)
})

test('a token of another group is refused', async (t) => {
  const text = writeToken(group, body())
  const other = group.replace('0', '1')
  const error = await rejection(t, 'RL_INVALID_ARGUMENT', () => readToken(text, other))
  t.regex(error.message, /another group/)
})

test('a token of a later version says so', async (t) => {
  const bytes = Buffer.from(writeToken(group, body()), 'base64url')
  bytes[0] = 2
  await rejection(t, 'RL_NEWER_FORMAT', () => readToken(bytes.toString('base64url'), group))
})

test('a token of no position is refused', async (t) => {
  const bytes = body()
  bytes.writeBigUInt64LE(2n ** 60n)
  await rejection(t, 'RL_INVALID_ARGUMENT', () => readToken(writeToken(group, bytes), group))
})
