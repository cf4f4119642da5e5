// Restores: a backup and the log that was archived behind it become an environment again.
import { binding, type Restored } from './binding.js'
import { invalidArgument, RingleaderError } from './errors.js'
import { asOptions, checkInteger, checkPath, checkPosition, refuse } from './options.js'

export type { Restored }

export interface RestoreOptions {
  /** Directory of archived segments (`archive` of EnvironmentOptions). Default: the backup only. */
  archive?: string
  /** Come back to this position, the `end` of a receipt. Default: as far as there is something. */
  lsn?: number
  /**
   * Come back to this time: what was committed then or before. A date, or microseconds since 1970
   * UTC as `commitTimeUs` of the log has them. Default: as far as there is something.
   */
  time?: Date | number
}

const optionNames = ['archive', 'lsn', 'time'] as const satisfies readonly (keyof RestoreOptions)[]

const usPerMs = 1000

const year2001 = Date.UTC(2001, 0)

// In microseconds, a present time in milliseconds is one of the first weeks of 1970.
const looksLikeMs = (time: unknown): boolean =>
  typeof time === 'number' && time >= year2001 && time < year2001 * usPerMs

// A limit before everything that there is may be one of the wrong unit.
const explained = (error: unknown, time: unknown): unknown => {
  const trimmed = error instanceof RingleaderError && error.code === 'RL_TRIMMED'
  if (!trimmed || !looksLikeMs(time)) return error
  const message = `time: in microseconds; ${String(time)} looks like milliseconds, or give a Date`
  return invalidArgument(`${message} (${error.message})`)
}

const checkTime = (time: unknown): number => {
  if (!(time instanceof Date)) return checkInteger(time, 'time', 0, Number.MAX_SAFE_INTEGER)
  const ms = time.getTime()
  if (ms >= 0) return ms * usPerMs
  throw refuse('time', 'a date from 1970 on', time)
}

/**
 * Makes an environment of a backup (`Environment.backup`) in a directory that is new or empty, with
 * what the archive has behind it, up to a position or a time where one is given. Neither backup nor
 * archive is changed. The result is another copy of the same environment.
 *
 * Rejects, always with fate `none` and without an environment in the target directory, with
 * RL_TRIMMED (the limit lies before the oldest state that the backup can give), RL_NOT_FOUND (no
 * backup; or the limit lies behind the archive's end or a segment that it lacks),
 * RL_INVALID_ARGUMENT (the archive is of another log; the backup is an environment that was not
 * closed; or the time is one in milliseconds), RL_UNSUPPORTED (a bulk load lies in between: take a
 * backup made after it), RL_EXISTS (the target is not empty), RL_CORRUPTION, RL_BUSY (somebody has
 * the backup open), RL_NO_SPACE or
 * RL_IO.
 */
export const restore = async (
  backupDirectory: string,
  targetDirectory: string,
  options?: RestoreOptions,
): Promise<Restored> => {
  const backup = checkPath(backupDirectory, 'backupDirectory')
  const target = checkPath(targetDirectory, 'targetDirectory')
  const { archive, lsn, time } = asOptions(options, 'options', optionNames)
  const from = archive === undefined ? '' : checkPath(archive, 'archive')
  const end = lsn === undefined ? undefined : checkPosition(lsn, 'lsn')
  const timeUs = time === undefined ? undefined : checkTime(time)
  try {
    return await binding().restore(backup, from, target, end, timeUs)
  } catch (error) {
    throw explained(error, time)
  }
}
