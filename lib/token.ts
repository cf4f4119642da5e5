// Tokens: a commit's name, as text, which every member of the group understands.
//
//   format u8 | group id 16 bytes | end u64 | term counter u32 | incarnation u64 | crc u32
//
// in base64url, all numbers with their lowest byte first. The three in the middle are what the
// addon knows a transaction by (native/engine/copy_rule.h). No two transactions of a group have the
// same.
import { crc32 } from 'node:zlib'

import { invalidArgument, RingleaderError } from './errors.js'

const format = 1
const groupBytes = 16
const bodyAt = 1 + groupBytes
const bodyBytes = 20
const crcAt = bodyAt + bodyBytes
const tokenBytes = crcAt + 4

/** A token, read. */
export interface ReadToken {
  /** As the addon takes it. */
  body: Uint8Array
  end: number
  text: string
}

export const writeToken = (groupId: string, body: Uint8Array): string => {
  const bytes = Buffer.alloc(tokenBytes)
  bytes[0] = format
  bytes.write(groupId, 1, 'hex')
  bytes.set(body, bodyAt)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, crcAt)), crcAt)
  return bytes.toString('base64url')
}

const asBytes = (text: string): Buffer => {
  const bytes = Buffer.from(text, 'base64url')
  // What Buffer passes over, and does not take, is not there when it is written again.
  const whole = bytes.toString('base64url') === text && bytes.length > 0
  if (whole && (bytes[0] ?? 0) > format) {
    throw new RingleaderError('RL_NEWER_FORMAT', 'token: of a later version of this library')
  }
  const good =
    whole &&
    bytes.length === tokenBytes &&
    bytes[0] === format &&
    bytes.readUInt32LE(crcAt) === crc32(bytes.subarray(0, crcAt))
  if (!good) throw invalidArgument('token: not one that a receipt or an error has given')
  return bytes
}

/** RL_INVALID_ARGUMENT for what is no token, or is one of another group. */
export const readToken = (text: string, groupId: string): ReadToken => {
  const bytes = asBytes(text)
  if (bytes.toString('hex', 1, bodyAt) !== groupId) {
    throw invalidArgument('token: of another group')
  }
  const end = Number(bytes.readBigUInt64LE(bodyAt))
  if (!Number.isSafeInteger(end)) throw invalidArgument('token: of no position')
  return { body: Uint8Array.from(bytes.subarray(bodyAt, crcAt)), end, text }
}
