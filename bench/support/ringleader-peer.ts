import { Environment, type EnvironmentOptions } from 'ringleader'

import type { Peer } from './peer.js'
import { valueBytes } from './rows.js'

/** Of the environment itself. `foldIntervalMs` decides whether what is put stays in the overlay. */
export const openRingleader = async (
  directory: string,
  options?: EnvironmentOptions,
): Promise<Peer> => {
  const env = await Environment.open(directory, options)
  const db = env.database('rows', { key: 'binary', value: 'binary' })
  const scratch = Buffer.alloc(valueBytes)
  return {
    name: 'ringleader',
    load: (rows) => env.bulkLoad(db, rows),
    put: (key, value) => db.put(key, value),
    putMany: (rows) => db.putMany(rows),
    get: (key) => db.get(key),
    getTemporary: (key) => (db.getInto(key, scratch) === valueBytes ? scratch : undefined),
    getMany: (keys) => db.getMany(keys),
    scan: (row) => {
      let count = 0
      for (const { key, value } of db.range()) {
        row(key, value)
        count += 1
      }
      return count
    },
    change: (key, change) =>
      env.transaction((transaction) => {
        transaction.put(db, key, change(transaction.get(db, key)))
      }),
    settle: () => env.fold(),
    close: () => env.close(),
  }
}
