// Opens logs, never closes them and lets go of them; says how many threads and shared memories are
// left when the garbage collector has run. Wants --expose-gc. Argument: directory.
import { mkdirSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { Log } from 'ringleader'

const options = { segmentBytes: 65_536, ringBytes: 65_536 }
const [directory = ''] = process.argv.slice(2)
const logs = 20

const turn = () => new Promise((resolve) => setTimeout(resolve, 1))
const threads = () => readdirSync('/proc/self/task').length
const collect = globalThis.gc
if (!collect) throw new Error('start with --expose-gc')

// The shared memory of a log that lies below the directory.
const sharedMemories = (names: string[]) =>
  names.filter((name) => {
    const { dev, ino } = statSync(join(directory, name, 'lock'), { bigint: true })
    const memory = `ringleader-${dev.toString(16)}-${ino.toString(16)}-region`
    return readdirSync('/dev/shm').includes(memory)
  }).length

const first = await Log.open(join(directory, 'first'), options)
await first.close()
const before = threads()
const names = Array.from({ length: logs }, (_, i) => `${i}`)

const openAndDrop = async (name: string) => {
  mkdirSync(join(directory, name))
  const log = await Log.open(join(directory, name), options)
  await log.append('a')
  if (Number(name) % 2 === 0) await log.read().next()
}
await Promise.all(names.map(openAndDrop))

// An append that nobody holds the log of any more resolves all the same.
const resolved = await (async () => {
  const log = await Log.open(join(directory, 'pending'), options)
  return log.append('a')
})().then(() => 'resolved')

while (threads() > before || sharedMemories(names) > 0) {
  collect()
  await turn()
}
const texts = await Promise.all(
  names.map(async (name) => {
    const log = await Log.open(join(directory, name), { create: false })
    const { value } = await log.read().next()
    await log.close()
    return value && Buffer.from(value.payload).toString()
  }),
)
console.log(resolved, texts.filter((text) => text === 'a').length)
