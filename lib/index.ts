export { RingleaderError, type ErrorCode, type Fate, type Retry } from './errors.js'
export { Log, type Consumer, type LogStat } from './log.js'
export type { Appended, LogEntry } from './log-entry.js'
export type {
  AppendOptions,
  ConsumerOptions,
  EntryType,
  Level,
  LogOptions,
  ReadOptions,
  WaitOptions,
} from './options.js'
