// The addon as TypeScript sees it. What each call does is said in native/binding/log_handle.h and
// reader_handle.h; the arguments have been checked before they get here.
import type { Consumer, LogStat } from './log-types.js'
import type { RingleaderError } from './errors.js'

export interface NativeLogOptions {
  create: boolean
  segmentBytes: number
  ringBytes: number
  segmentsAhead: number
  groupId: Uint8Array | undefined
  archive: string
  flushIntervalMs: number
}

export type NativeConsumer = Omit<Consumer, 'broken'>

export interface NativeBatch {
  bytes: ArrayBuffer
  entries: Float64Array
}

export interface NativeReader {
  next(batchBytes: number): Promise<NativeBatch>
}

export interface NativeLog {
  readonly environmentId: string
  readonly groupId: string
  readonly memory: {
    payload: ArrayBuffer
    entries: ArrayBuffer
    results: ArrayBuffer
    positions: ArrayBuffer
  }
  onProgress?: () => void
  submit(count: number): number
  submitOne(payload: Uint8Array, term: number, word: number): number
  collect(): number
  takeFailure(): RingleaderError
  request(end: number, level: number): void
  setBusy(busy: boolean): void
  read(from: number): NativeReader
  verify(): Promise<number>
  stat(): LogStat
  consumers(): Consumer[]
  putConsumer(consumer: NativeConsumer): Promise<void>
  advanceConsumer(name: string, position: number): void
  removeConsumer(name: string): Promise<void>
  close(): Promise<void>
}

export interface NativeBinding {
  setErrorFactory(
    factory: (code: string, fate: string, errno: number, message: string) => RingleaderError,
  ): void
  openLog(directory: string, options: NativeLogOptions): Promise<NativeLog>
}

/** Levels as the addon numbers them. */
export const levelNumbers = { memory: 0, written: 1, flushed: 2 } as const

/** Record types as they stand in the log; 2 is padding, which nobody appends or reads. */
export const typeNumbers = {
  transaction: 1,
  termStart: 3,
  checkpoint: 4,
  catalogue: 5,
  configuration: 6,
  bulkLoad: 7,
} as const
