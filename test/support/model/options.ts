import type { EnvironmentOptions } from 'ringleader'

/** Small; what is folded is folded because it was asked for, or because there is no more room. */
export const modelOptions: EnvironmentOptions = {
  segmentBytes: 65_536,
  ringBytes: 65_536,
  generationBytes: 2 ** 20,
  foldIntervalMs: 3_600_000,
  flushIntervalMs: 20,
}
