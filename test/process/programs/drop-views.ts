// Takes snapshots, walks and transactions in an environment that has few places for readers, lets
// go of them without an end, and says "all came back" when the garbage collector has given every
// place back. Wants --expose-gc. Argument: directory.
import process from 'node:process'
import { setImmediate } from 'node:timers/promises'

import { Environment, RingleaderError, type Transaction } from 'ringleader'

const rows = 100 // a walk over so many holds its view behind the first batch
const forgotten = 100
const patienceMs = 20_000

const [directory = ''] = process.argv.slice(2)
const collect = globalThis.gc
if (!collect) throw new Error('start with --expose-gc')

const env = await Environment.open(directory, { maxReaders: 16, generationBytes: 2 ** 20 })
const database = env.database<number, number>('a', { key: 'tuple' })
await database.putMany(Array.from({ length: rows }, (_, i) => [i, i]))

const check = (value: unknown) => {
  if (value !== 1) throw new Error(`read ${String(value)}`)
}

const kinds = {
  snapshot: () => {
    check(env.snapshot().get(database, 1))
  },
  walk: () => {
    const walk = database.values({ gte: 1 })[Symbol.iterator]()
    check(walk.next().value)
  },
  'walk of a snapshot': () => {
    const walk = env.snapshot().values(database, { gte: 1 })[Symbol.iterator]()
    check(walk.next().value)
  },
  transaction: async () => {
    // Or it would read from the view of the one before it.
    await database.put(3, 3, { durability: 'memory' })
    await new Promise<void>((resolve, reject) => {
      const work = async (tx: Transaction) => {
        check(tx.get(database, 1))
        tx.put(database, 2, 2)
        resolve()
        await new Promise(() => undefined)
      }
      env.transaction(work).catch(reject)
    })
  },
}

// Again until there is a place.
const forgetOne = async (forget: () => unknown) => {
  const began = performance.now()
  for (;;) {
    try {
      await forget()
      await setImmediate()
      return
    } catch (error) {
      const busy = error instanceof RingleaderError && error.code === 'RL_BUSY'
      if (!busy || performance.now() - began > patienceMs) throw error
      collect()
      await setImmediate()
    }
  }
}

for (const forget of Object.values(kinds)) {
  for (let i = 0; i < forgotten; i += 1) await forgetOne(forget)
}

await forgetOne(() => {
  env.snapshot().close()
})

// What has ended in order gives nothing back a second time: by then its slot is another one's.
for (let i = 0; i < forgotten; i += 1) {
  env.snapshot().close()
  const snapshot = env.snapshot()
  collect()
  await setImmediate()
  check(snapshot.get(database, 1))
  snapshot.close()
}
await env.close()
console.log('all came back')
