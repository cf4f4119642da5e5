// Durable appends from one JavaScript thread: how many per second, with how many outstanding.
//
//   append.bench.js [--seconds N] [--bytes N] [--outstanding 1,64,1000] [--level LEVEL] [--dir DIR]
//
// Every outstanding append is a loop that awaits one append after the other, as the requests of a
// server would. "group" is the number of appends per flush; the latency is that of one append.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { Log, type Level } from 'ringleader'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    bytes: { type: 'string', default: '116' },
    outstanding: { type: 'string', default: '1,64,1000' },
    level: { type: 'string', default: 'flushed' },
    dir: { type: 'string', default: tmpdir() },
  },
})

const percentile = (sorted: Float64Array, share: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0

const measure = async (log: Log, outstanding: number, forMs: number) => {
  const payload = new Uint8Array(Number(values.bytes)).fill(0x61)
  const latencies: number[] = []
  const before = log.stat()
  const began = performance.now()
  const until = began + forMs
  let appends = 0
  const loop = async (sampled: boolean) => {
    for (let now = began; now < until; now = performance.now()) {
      await log.append(payload)
      appends += 1
      if (sampled) latencies.push(performance.now() - now)
    }
  }
  // One loop in sixteen is timed: enough for percentiles, and little against what is measured.
  await Promise.all(Array.from({ length: outstanding }, (_, i) => loop(i % 16 === 0)))
  const seconds = (performance.now() - began) / 1000
  const flushes = log.stat().flushes - before.flushes
  const sorted = Float64Array.from(latencies).sort()
  return { appends, seconds, flushes, sorted }
}

const directory = mkdtempSync(join(values.dir, 'ringleader-bench-'))
const log = await Log.open(directory, { level: values.level as Level })
console.log(`${values.bytes} bytes, level ${values.level}, one process, one log`)
console.log('outstanding   appends/s  flushes/s     group    p50 ms    p99 ms    max ms')
await measure(log, 1000, 500) // warm up
for (const outstanding of values.outstanding.split(',').map(Number)) {
  const { appends, seconds, flushes, sorted } = await measure(
    log,
    outstanding,
    Number(values.seconds) * 1000,
  )
  const columns = [
    outstanding.toLocaleString('en'),
    Math.round(appends / seconds).toLocaleString('en'),
    Math.round(flushes / seconds).toLocaleString('en'),
    (appends / flushes).toFixed(1),
    ...[0.5, 0.99, 1].map((share) => percentile(sorted, share).toFixed(3)),
  ]
  const widths = [11, 12, 11, 10, 10, 10, 10]
  console.log(columns.map((column, i) => column.padStart(widths[i] ?? 0)).join(''))
}
await log.close()
rmSync(directory, { recursive: true })
