// Opens and closes logs again and again; says what has grown: file descriptors, threads, mappings,
// and memory by more than a few megabytes. Wants --expose-gc. Argument: directory.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { Log } from 'ringleader'

const options = { segmentBytes: 65_536, ringBytes: 65_536 }
const [directory = ''] = process.argv.slice(2)
const collect = globalThis.gc
if (!collect) throw new Error('start with --expose-gc')

const cycle = async (name: string) => {
  const log = await Log.open(join(directory, name), options)
  await log.append('a', { level: 'memory' })
  await log.read().next()
  await log.close()
}

const measure = async () => {
  // Handles of closed logs go with the next turns of the event loop. The threads of the shared log
  // have a file open now and then: what stays is the fewest.
  let descriptors = Infinity
  for (let i = 0; i < 20; i += 1) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 1))
    descriptors = Math.min(descriptors, readdirSync('/proc/self/fd').length)
  }
  return {
    descriptors,
    threads: readdirSync('/proc/self/task').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').match(/ringleader-/g)?.length ?? 0,
    megabytes: process.memoryUsage.rss() / 1e6,
  }
}

// Alone with its directory, and as one more of those who share one.
const shared = await Log.open(join(directory, 'shared'), options)
const run = async (count: number) => {
  for (let i = 0; i < count; i += 1) await cycle(i % 10 === 0 ? 'alone' : 'shared')
}
await run(1000) // until the heaps of all threads have got to their size
const before = await measure()
await run(1000)
const after = await measure()
await shared.close()
const grown = (['descriptors', 'threads', 'mappings'] as const).filter(
  (what) => after[what] > before[what],
)
// A leak of the 400 kB that a log has in JavaScript alone would be 400 MB.
if (after.megabytes > before.megabytes + 60) grown.push('megabytes' as never)
console.log(grown.length === 0 ? 'nothing' : JSON.stringify({ grown, before, after }))
