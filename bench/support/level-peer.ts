// classic-level with `sync`: LevelDB flushes its log in every write. The puts of a turn of the
// event loop are one batch. It has no transactions.
import { ClassicLevel } from 'classic-level'

import { TurnBatch, type Peer } from './peer.js'

type Put = readonly [Buffer, Buffer]

const walkedAtOnce = 1000
const loadedAtOnce = 10_000

export const openLevel = async (directory: string): Promise<Peer> => {
  const db = new ClassicLevel<Buffer, Buffer>(`${directory}/level`, {
    keyEncoding: 'buffer',
    valueEncoding: 'buffer',
    compression: false,
    cacheSize: 512 << 20,
  })
  await db.open()
  const putAll = (rows: readonly Put[], sync: boolean) =>
    db.batch(
      rows.map(([key, value]) => ({ type: 'put', key, value })),
      { sync },
    )
  const batch = new TurnBatch<Put>((rows) => putAll(rows, true))
  return {
    name: 'classic-level',
    load: async (rows) => {
      let waiting: Put[] = []
      for (const row of rows) {
        if (waiting.push(row) < loadedAtOnce) continue
        await putAll(waiting, false)
        waiting = []
      }
      await putAll(waiting, true)
      await db.compactRange(Buffer.alloc(1), Buffer.alloc(17, 0xff))
    },
    put: (key, value) => batch.add([key, value]),
    putMany: (rows) => putAll(rows, true),
    get: (key) => db.getSync(key),
    getMany: (keys) => db.getMany(keys),
    scan: async (row) => {
      const iterator = db.iterator()
      let count = 0
      for (;;) {
        const rows = await iterator.nextv(walkedAtOnce)
        if (rows.length === 0) break
        for (const [key, value] of rows) row(key, value)
        count += rows.length
      }
      await iterator.close()
      return count
    },
    close: () => db.close(),
  }
}
