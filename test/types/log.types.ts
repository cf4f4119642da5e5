// What the types promise: compiled with the tests, never run.
import { Log } from 'ringleader'
import type {
  Appended,
  ErrorCode,
  Fate,
  LogEntry,
  LogStat,
  Retry,
  RingleaderError,
} from 'ringleader'

export const taken = async (log: Log, error: RingleaderError) => {
  await log.append('text', { level: 'written', type: 'checkpoint', term: 1, operations: 2 })
  await log.append(new Uint8Array(1))
  await log.append(Buffer.from('x'), {})
  await log.waitFor(0, 'memory', { timeoutMs: 5 })
  await Log.open('directory', { groupId: new Uint8Array(16), level: 'memory', create: true })
  const entries: LogEntry[] = []
  for await (const entry of log.read({ from: 5, batchBytes: 6 })) entries.push(entry)
  return {
    append: log.append('x') satisfies Promise<{ lsn: number; end: number }>,
    appended: (await log.append('x')) satisfies Appended,
    flush: log.flush() satisfies Promise<number>,
    verify: log.verify() satisfies Promise<number>,
    stat: log.stat() satisfies LogStat,
    broken: log.consumers().map(({ broken }) => broken) satisfies boolean[],
    disposable: log satisfies AsyncDisposable,
    iterator: log.read() satisfies AsyncIterable<LogEntry>,
    code: error.code satisfies ErrorCode,
    fate: error.fate satisfies Fate & ('none' | 'unknown' | 'done'),
    retry: error.retry satisfies Retry & ('no' | 'same' | 'primary' | 'reopen'),
    errno: error.errno satisfies number | undefined,
  }
}

export const refused = async (log: Log, error: RingleaderError) => {
  // @ts-expect-error: opened with Log.open only
  new Log('directory')
  // @ts-expect-error: numbers are no payload
  await log.append(5)
  // @ts-expect-error: no such level
  await log.append('x', { level: 'durable' })
  // @ts-expect-error: no such option
  await log.append('x', { durability: 'flushed' })
  // @ts-expect-error: padding is the log's own
  await log.append('x', { type: 'padding' })
  // @ts-expect-error: read-only
  log.directory = 'elsewhere'
  // @ts-expect-error: a number
  await Log.open('directory', { segmentBytes: '64 MiB' })
  // @ts-expect-error: no such code
  return error.code === 'RL_NONSENSE'
}
