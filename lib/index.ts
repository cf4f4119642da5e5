export { RingleaderError, type ErrorCode, type Fate, type Retry } from './errors.js'
export { Log } from './log.js'
export type {
  AppendOptions,
  Appended,
  Consumer,
  ConsumerOptions,
  EntryType,
  Level,
  LogEntry,
  LogOptions,
  LogStat,
  ReadOptions,
  WaitOptions,
} from './log-types.js'
