// Messages of a group as bytes, where a test has to know them or to forge some: docs/FORMATS.md.
import { storedCrc } from './crc32c.js'

/** At these places of `control`. */
const versionAt = 4
const typeAt = 5
const checksumAt = 32
const headBytes = 36

/** Of some messages the number in their head. */
export const messageTypes = {
  canvass: 1,
  canvassReply: 2,
  vote: 4,
  voteReply: 5,
  records: 6,
  heartbeat: 7,
  ack: 8,
  request: 9,
  outdated: 12,
  snapshotRequest: 13,
  snapshotPiece: 14,
} as const

export type MessageType = keyof typeof messageTypes

export const typeOf = (control: Uint8Array): number => control[typeAt] ?? 0

export const isOfType = (control: Uint8Array, type: MessageType): boolean =>
  typeOf(control) === messageTypes[type]

/** The same message as a member of another version would send it, with its checksum. */
export const ofVersion = (
  control: Uint8Array,
  record: Uint8Array,
  version: number,
): Uint8Array<ArrayBuffer> => {
  const changed = Uint8Array.from(control)
  changed[versionAt] = version
  const summed = [changed.subarray(0, checksumAt), changed.subarray(headBytes), record]
  const checksum = storedCrc(Buffer.concat(summed))
  new DataView(changed.buffer).setUint32(checksumAt, checksum, true)
  return changed
}
