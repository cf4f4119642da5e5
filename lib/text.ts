// Strings as UTF-8 in buffers, back unchanged or not at all.
//
// Buffer writes U+FFFD for a lone surrogate and reads it for bytes that are not UTF-8, without a
// word. Here the first is for the caller to refuse (isWellFormed), the second is RL_CORRUPTION.
import { isUtf8 } from 'node:buffer'

import { RingleaderError } from './errors.js'

/** Most bytes of UTF-8 per UTF-16 unit. */
export const largestUtf8 = 3

// Up to here a loop over ASCII beats the call into the runtime.
const shortText = 24

/** Whether UTF-8 can hold the string: no half of a surrogate pair stands alone. */
export const isWellFormed = (text: string): boolean =>
  // Of ES2024, which Node.js 20 has and the language level of this package does not.
  (text as unknown as { isWellFormed: () => boolean }).isWellFormed()

/** Writes a string that fits; the end of its bytes. */
export const writeText = (text: string, into: Buffer, at: number): number => {
  const { length } = text
  if (length > shortText) return at + into.write(text, at)
  for (let i = 0; i < length; i += 1) {
    const unit = text.charCodeAt(i)
    if (unit > 0x7f) return at + into.write(text, at)
    into[at + i] = unit
  }
  return at + length
}

/** The string whose UTF-8 the bytes are; RL_CORRUPTION, which begins with `what`, otherwise. */
export const readText = (bytes: Buffer, from: number, to: number, what: string): string => {
  const text = bytes.toString('utf8', from, to)
  // U+FFFD may have been in the string, too.
  if (text.includes('\ufffd') && !isUtf8(bytes.subarray(from, to))) {
    throw new RingleaderError('RL_CORRUPTION', `${what}: not UTF-8; is it of another encoding?`)
  }
  return text
}
