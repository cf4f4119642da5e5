// What the demonstration says at its end.
import type { Appending } from './append-job.js'
import type { Findings } from './check.js'
import type { Writer } from './writer.js'

export const summarize = (
  records: number,
  writers: Writer[],
  { flushes, seconds }: Appending,
  findings: Findings,
) => {
  const acknowledged = writers.reduce((sum, { count }) => sum + count, 0)
  return {
    records,
    acknowledged,
    found: findings.found,
    lost: findings.lost,
    unacknowledgedButPresent: findings.unacknowledged,
    wrong: findings.wrong,
    appendsPerSecond: Math.round(findings.entries / seconds),
    flushesPerSecond: Math.round(flushes / seconds),
    megabytesPerSecond: Number((findings.bytes / seconds / 1e6).toFixed(1)),
    seconds: Number(seconds.toFixed(2)),
    groupSize: Number((findings.entries / flushes).toFixed(1)),
  }
}

const words: Record<keyof ReturnType<typeof summarize>, string> = {
  records: 'records',
  acknowledged: 'acknowledged',
  found: 'found',
  lost: 'lost',
  unacknowledgedButPresent: 'unacknowledged but present',
  wrong: 'wrong',
  appendsPerSecond: 'appends/s',
  flushesPerSecond: 'flushes/s',
  megabytesPerSecond: 'MB/s',
  seconds: 'seconds',
  groupSize: 'group size',
}

export const printTable = (summary: ReturnType<typeof summarize>) => {
  console.log()
  for (const [key, value] of Object.entries(summary)) {
    const word = words[key as keyof typeof words]
    console.log(word.padEnd(28) + value.toLocaleString('en').padStart(12))
  }
}
