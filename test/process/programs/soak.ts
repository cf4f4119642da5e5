// Works for a long time and says what has grown meanwhile: file descriptors, threads, mappings,
// shared memory, files of the environment, and the process by more than a few megabytes. Wants
// --expose-gc. Arguments: directory; "transactions" or "cycles"; how many.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { setImmediate as turn } from 'node:timers/promises'

import { Environment, type Database, type EnvironmentOptions } from 'ringleader'

const [directory = '', mode = '', count = '0'] = process.argv.slice(2)
const main = join(directory, 'main')
const alone = join(directory, 'alone')
const given = globalThis.gc
if (!given) throw new Error('start with --expose-gc')
const collect = given

const options: EnvironmentOptions = {
  segmentBytes: 262_144,
  ringBytes: 262_144,
  generationBytes: 2 ** 20,
  foldIntervalMs: 40,
  durability: 'memory',
}
const keys = 5000
const outstanding = 64

// By how much two measurements may differ where nothing grows.
const slack = {
  descriptors: 0,
  threads: 4, // of Node's pool, which starts them when they are needed
  mappings: 1,
  sharedKilobytes: 3000,
  fileKilobytes: 16_000, // the log of the short run, if nobody recycled it, would be twice as long
}
// A leak of one kilobyte per transaction of the short run would be more.
const slackMegabytes = 60

type Measured = Record<keyof typeof slack | 'megabytes', number>

const sizesIn = (where: string, isCounted: (name: string) => boolean): number =>
  readdirSync(where, { withFileTypes: true })
    .filter((entry) => entry.isFile() && isCounted(entry.name))
    .reduce((sum, { name }) => sum + (statSync(join(where, name)).blocks * 512) / 1000, 0)

const filesBelow = (where: string): number =>
  readdirSync(where, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .reduce(
      (sum, { name }) => sum + filesBelow(join(where, name)),
      sizesIn(where, () => true),
    )

// The names of shared memory begin with the device and the number of the environment's lock file.
const sharedOf = (environment: string): number => {
  const { dev, ino } = statSync(join(environment, 'lock'), { bigint: true })
  const prefix = `ringleader-${dev.toString(16)}-${ino.toString(16)}-`
  return sizesIn('/dev/shm', (name) => name.startsWith(prefix))
}

const measure = async (): Promise<Measured> => {
  // Handles of what is closed go with the next turns of the event loop. The threads of an
  // environment have a file open now and then: what stays is the fewest.
  let descriptors = Infinity
  for (let i = 0; i < 30; i += 1) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 2))
    descriptors = Math.min(descriptors, readdirSync('/proc/self/fd').length)
  }
  return {
    descriptors,
    threads: readdirSync('/proc/self/task').length,
    mappings: readFileSync('/proc/self/maps', 'utf8').match(/ringleader-/g)?.length ?? 0,
    sharedKilobytes: sharedOf(main),
    fileKilobytes: filesBelow(directory),
    megabytes: process.memoryUsage.rss() / 1e6,
  }
}

const keyOf = (i: number) => `key ${i % keys}`

/** One of many kinds of work; some leave to the garbage collector what it can end. */
const work = async (env: Environment, db: Database<string, number[]>, i: number): Promise<void> => {
  // It does not know how few readers there may be. What it has found is let go of in turns of the
  // event loop, which commits in memory alone do not need.
  if (i % 5000 === 0) collect()
  if (i % 100 === 0) await turn()
  if (i % 50 === 0) {
    const snapshot = env.snapshot()
    for (const { key } of snapshot.range(db, { gte: keyOf(i) })) if (key !== '') break
    if (i % 100 === 0) snapshot.close()
  }
  if (i % 20 === 1) db.range({ limit: 100 })[Symbol.iterator]().next()
  if (i % 10 === 2) {
    await db.remove(keyOf(i))
    return
  }
  await env.transaction(async (transaction) => {
    const before = transaction.get(db, keyOf(i)) ?? []
    if (i % 7 === 0) await Promise.resolve()
    transaction.put(db, keyOf(i), [...before.slice(-5), i])
    transaction.put(
      db,
      keyOf(i * 31),
      Array.from({ length: 60 }, () => i),
    )
  })
}

const transactions = async (): Promise<[Measured, Measured]> => {
  const env = await Environment.open(main, options)
  const db = env.database<string, number[]>('rows')
  const run = async (from: number, to: number) => {
    let next = from
    const inTurn = async () => {
      while (next < to) {
        const i = next
        next += 1
        await work(env, db, i)
      }
    }
    await Promise.all(Array.from({ length: outstanding }, inTurn))
    await env.fold()
  }
  const total = Number(count)
  await run(0, total / 4) // until everything has got to its size
  const before = await measure()
  await run(total / 4, total)
  const after = await measure()
  const { readers } = env.stat()
  if (readers > 0) console.log(`${readers} readers are left`)
  await env.verify()
  await env.close()
  return [before, after]
}

// Alone with its directory, and as one more of those who share one.
const cycles = async (): Promise<[Measured, Measured]> => {
  const shared = await Environment.open(main, options)
  const cycle = async (i: number) => {
    const env = await Environment.open(i % 10 === 0 ? alone : main, options)
    const db = env.database<string, number[]>('rows')
    for (let step = 0; step < 5; step += 1) await work(env, db, i * 10 + step)
    env.snapshot()
    db.range()[Symbol.iterator]().next()
    await env.close()
  }
  const total = Number(count)
  for (let i = 0; i < total / 4; i += 1) await cycle(i)
  const before = await measure()
  for (let i = total / 4; i < total; i += 1) await cycle(i)
  const after = await measure()
  await shared.close()
  return [before, after]
}

const [before, after] = await (mode === 'cycles' ? cycles() : transactions())
const grown = (Object.keys(slack) as (keyof typeof slack)[])
  .filter((what) => after[what] > before[what] + slack[what])
  .map(String)
if (after.megabytes > before.megabytes + slackMegabytes) grown.push('megabytes')
console.log(grown.length === 0 ? 'nothing' : JSON.stringify({ grown, before, after }))
if (process.env.RINGLEADER_TEST_SCALE) console.error(JSON.stringify({ before, after }))
