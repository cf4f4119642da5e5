export type { BulkRows } from './bulk-load.js'
export type { DatabaseInfo, DatabaseOptions } from './catalogue.js'
export { Database, type Expected } from './database.js'
export { dump, load } from './dump.js'
export type { Loaded, LoadOptions, DumpOptions, DumpSource } from './dump.js'
export type { DumpFormat } from './dump-format.js'
export type { CopiesDurability, CopyLevel, Durability } from './durability.js'
export type { KeyEncoding, KeyTypes, ValueEncoding, ValueTypes } from './encodings.js'
export { Environment, type EnvironmentStat, type Verified } from './environment.js'
export type {
  CountOptions,
  EnvironmentOptions,
  Isolation,
  RangeOptions,
  ReadLevel,
  SnapshotAtOptions,
  SnapshotOptions,
  TransactionOptions,
  WriteOptions,
} from './environment-options.js'
export { RingleaderError, type ErrorCode, type Fate, type Retry } from './errors.js'
export { Log, type Consumer, type LogStat } from './log.js'
export type { Appended, LogEntry } from './log-entry.js'
export type { LoggedOperation, LoggedTransaction } from './log-operations.js'
export type {
  AppendOptions,
  ConsumerOptions,
  EntryType,
  Level,
  LogOptions,
  ReadOptions,
  WaitOptions,
} from './options.js'
export { Range, type Row } from './range.js'
export type { Copy, Receipt, Survival } from './receipt.js'
export { Replication } from './replication.js'
export type { Elected } from './replication-election.js'
export type { AckLevel, ElectOptions, ReplicationOptions } from './replication-options.js'
export { sendFlags } from './replication-sender.js'
export type { BatchInfo, Send, SendBatch, SendOutcome, Transport } from './replication-sender.js'
export type { CopyStat, ReplicationStat } from './replication-stat.js'
export type {
  BatchResult,
  MessageKind,
  ProcessResult,
  ReplicationEvents,
  Role,
} from './replication-types.js'
export { restore, type Restored, type RestoreOptions } from './restore.js'
export { Snapshot } from './snapshot.js'
export type { Entry } from './store-reads.js'
export { Transaction } from './transaction.js'
export type { TupleElement } from './tuple.js'
export { WriteBatch } from './write-batch.js'
