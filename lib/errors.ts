// What goes wrong, as an object: docs/ERRORS.md has a heading per code.

/** The name of a failure. Stable; messages are not. */
export type ErrorCode =
  | 'RL_INVALID_ARGUMENT'
  | 'RL_TOO_LARGE'
  | 'RL_NOT_FOUND'
  | 'RL_EXISTS'
  | 'RL_PERMISSION'
  | 'RL_NOT_A_DIRECTORY'
  | 'RL_CORRUPTION'
  | 'RL_NEWER_FORMAT'
  | 'RL_NO_SPACE'
  | 'RL_IO'
  | 'RL_FAILED'
  | 'RL_CLOSED'
  | 'RL_BUSY'
  | 'RL_TIMEOUT'
  | 'RL_FOREIGN_HOST'
  | 'RL_UNSUPPORTED'
  | 'RL_TRIMMED'
  | 'RL_CONFLICT'
  | 'RL_TRANSACTION_ENDED'
  | 'RL_DROPPED'
  | 'RL_ROLLED_BACK'
  | 'RL_NOT_PRIMARY'
  | 'RL_NO_GROUP'
  | 'RL_NOT_STARTED'
  | 'RL_NO_QUORUM'
  | 'RL_PLATFORM'
  | 'RL_ADDON'

/**
 * What became of the request that failed: `none`: it did not happen and never will; `unknown`: it
 * may or may not survive; `done`: it happened, and something after it failed.
 */
export type Fate = 'none' | 'unknown' | 'done'

/**
 * Whether trying again can help: `no`; `same`: the same call may succeed later; `primary`: on the
 * group's primary; `reopen`: after the environment has been closed and opened again.
 */
export type Retry = 'no' | 'same' | 'primary' | 'reopen'

const retries: Record<ErrorCode, Retry> = {
  RL_INVALID_ARGUMENT: 'no',
  RL_TOO_LARGE: 'no',
  RL_NOT_FOUND: 'no',
  RL_EXISTS: 'no',
  RL_PERMISSION: 'no',
  RL_NOT_A_DIRECTORY: 'no',
  RL_CORRUPTION: 'no',
  RL_NEWER_FORMAT: 'no',
  RL_NO_SPACE: 'same',
  RL_IO: 'reopen',
  RL_FAILED: 'reopen',
  RL_CLOSED: 'reopen',
  RL_BUSY: 'same',
  RL_TIMEOUT: 'same',
  RL_FOREIGN_HOST: 'same',
  RL_UNSUPPORTED: 'no',
  RL_TRIMMED: 'no',
  RL_CONFLICT: 'same',
  RL_TRANSACTION_ENDED: 'no',
  RL_DROPPED: 'no',
  RL_ROLLED_BACK: 'no',
  RL_NOT_PRIMARY: 'primary',
  RL_NO_GROUP: 'no',
  RL_NOT_STARTED: 'no',
  RL_NO_QUORUM: 'same',
  RL_PLATFORM: 'no',
  RL_ADDON: 'no',
}

export interface ErrorDetails {
  /** Default: `none`. */
  fate?: Fate
  /** Of the operating system; 0 and absent are the same. */
  errno?: number
  /** Of a commit whose fate is unknown. */
  token?: string | undefined
}

/** Everything that this package rejects with or throws. */
export class RingleaderError extends Error {
  readonly code: ErrorCode
  readonly fate: Fate
  readonly retry: Retry
  /** The operating system's error number (positive), where there is one. */
  declare readonly errno?: number
  /**
   * Of a commit of unknown fate in a group: its name, for `Environment.waitFor` on any member.
   */
  declare readonly token?: string

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message)
    this.code = code
    this.fate = details.fate ?? 'none'
    this.retry = retries[code]
    if (details.errno) this.errno = details.errno
    if (details.token !== undefined) this.token = details.token
  }

  static {
    // On the prototype, as with the errors of the language: not a property of every instance.
    Object.defineProperty(this.prototype, 'name', { value: 'RingleaderError', configurable: true })
  }
}

export const invalidArgument = (message: string) =>
  new RingleaderError('RL_INVALID_ARGUMENT', message)

/** For constructors that only this package calls: what they are given there is an object. */
export const checkNotNew = (given: unknown, what: string, madeBy: string): void => {
  if (typeof given === 'object' && given !== null) return
  throw invalidArgument(`${what}: made by ${madeBy}, not with new`)
}
