// What single calls cost the JavaScript thread, one after the other, with the package `benchmark`.
//
//   micro.bench.js [--filter SUBSTRING]
//
// The appends are those of level `memory`, so no disk is in it: the promise, the copy into the
// batch, a share of the call of the addon. They are made 100 at a time and awaited together; a
// measured operation is one append.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import Benchmark from 'benchmark'
import { Log, type AppendOptions } from 'ringleader'

const { values } = parseArgs({ options: { filter: { type: 'string', default: '' } } })

const callsPerCycle = 100
const directory = mkdtempSync(join(tmpdir(), 'ringleader-bench-'))
const log = await Log.open(directory, { level: 'memory' })
await log.putConsumer('bench')
const suite = new Benchmark.Suite()

const add = <T>(name: string, call: () => T, settled?: (last: Awaited<T>) => void) => {
  if (!name.includes(values.filter)) return
  suite.add(name, {
    defer: true,
    fn: (deferred: Benchmark.Deferred) => {
      const calls: T[] = []
      for (let i = 0; i < callsPerCycle; i += 1) calls.push(call())
      void Promise.all(calls).then((results) => {
        const last = results.at(-1)
        if (last !== undefined) settled?.(last)
        // A turn of the event loop, in which the log can do its own work.
        setImmediate(() => {
          deferred.resolve()
        })
      })
    },
  })
}

const addAppend = (name: string, payload: Uint8Array | string, options?: AppendOptions) => {
  add(
    `append ${name}`,
    () => log.append(payload, options),
    ({ end }) => {
      log.advanceConsumer('bench', end) // keeps the directory small
    },
  )
}

addAppend('116 bytes', new Uint8Array(116))
addAppend('116 bytes, options', new Uint8Array(116), { level: 'memory', operations: 3 })
addAppend('116 letters', 'x'.repeat(116))
addAppend('116 letters beyond ASCII', 'ß'.repeat(116))
addAppend('4 KiB', new Uint8Array(4096))
add('stat', () => log.stat())
add(
  'a promise, for comparison',
  () =>
    new Promise((resolve) => {
      resolve(undefined)
    }),
)

suite.on('cycle', ({ target }: { target: Benchmark }) => {
  const nanoseconds = (target.stats.mean * 1e9) / callsPerCycle
  const error = target.stats.rme.toFixed(1)
  console.log(
    `${(target.name ?? '').padEnd(34)}${nanoseconds.toFixed(0).padStart(8)} ns ± ${error} %`,
  )
})
suite.on('complete', () => {
  void log.close().then(() => {
    rmSync(directory, { recursive: true })
  })
})
suite.run({ async: true })
