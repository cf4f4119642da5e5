// How much a row holds: kMaxKeyBytes and kMaxValueBytes of native/store/row.h.
import { RingleaderError } from './errors.js'

/** Most bytes of a key, after encoding; the fewest are one. */
export const maxKeyBytes = 1978

/** Most bytes of a value, after encoding: 1 GiB. */
export const maxValueBytes = 2 ** 30

export const keyTooLarge = () =>
  new RingleaderError('RL_TOO_LARGE', `key: at most ${maxKeyBytes} bytes when encoded`)

export const valueTooLarge = () =>
  new RingleaderError('RL_TOO_LARGE', 'value: at most 1 GiB when encoded')
