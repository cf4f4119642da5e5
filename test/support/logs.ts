// Directories and logs for a test, gone when it has ended.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { ExecutionContext } from 'ava'
import { Log, type LogEntry, type LogOptions, type ReadOptions } from 'ringleader'

import { removeAtEnd, removeNow } from './undertaker.js'

/** Small files and memory: most tests need no more, and see their ends. */
export const small: LogOptions = { segmentBytes: 65_536, ringBytes: 65_536 }

/** A new directory, which exists and is empty; gone when the test or this process has ended. */
export const temporaryDirectory = (t: ExecutionContext): string => {
  const directory = mkdtempSync(join(tmpdir(), 'ringleader-test-'))
  removeAtEnd(directory)
  t.teardown(() => {
    removeNow(directory)
  })
  return directory
}

/** Opened; closed behind the test. */
export const openLog = async (
  t: ExecutionContext,
  options: LogOptions = small,
  directory = temporaryDirectory(t),
): Promise<Log> => {
  const log = await Log.open(directory, options)
  t.teardown(async () => {
    // A test that makes the log fail has looked at that itself.
    await log.close().catch(() => undefined)
  })
  return log
}

export const readAll = async (log: Log, options?: ReadOptions): Promise<LogEntry[]> => {
  const entries: LogEntry[] = []
  for await (const entry of log.read(options)) entries.push(entry)
  return entries
}

export const readTexts = async (log: Log, options?: ReadOptions): Promise<string[]> =>
  (await readAll(log, options)).map(({ payload }) => Buffer.from(payload).toString())

/** Bytes that tell one place from another. */
export const patternBytes = (size: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(size)
  for (let i = 0; i < size; i += 1) bytes[i] = (i * 31 + (i >> 8) * 17 + seed) & 0xff
  return bytes
}
