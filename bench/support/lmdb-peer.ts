import { open, type RootDatabaseOptionsWithPath } from 'lmdb'

import type { Peer } from './peer.js'

/**
 * When lmdb calls a put done.
 *
 * - `overlap`: its default, which commits first and flushes afterwards; `flushed` is awaited.
 * - `sync`: without that: a commit flushes before its promise resolves.
 * - `committed`: its default, and the promise of the commit is awaited alone. Not durable then.
 */
export type LmdbMode = 'overlap' | 'sync' | 'committed'

const modeOptions: Record<LmdbMode, Partial<RootDatabaseOptionsWithPath>> = {
  overlap: { separateFlushed: true },
  sync: { overlappingSync: false },
  committed: {},
}

const flushedOf = (written: Promise<unknown>): Promise<unknown> =>
  (written as Promise<unknown> & { flushed: Promise<unknown> }).flushed

export const openLmdb = (directory: string, name: string, mode: LmdbMode): Peer => {
  const path = `${directory}/lmdb`
  const db = open<Buffer, Buffer>({
    path,
    keyEncoding: 'binary',
    encoding: 'binary',
    ...modeOptions[mode],
  })
  const durable = mode === 'overlap' ? flushedOf : (written: Promise<unknown>) => written
  const putAll = (rows: Iterable<readonly [Buffer, Buffer]>) =>
    db.transaction(() => {
      for (const [key, value] of rows) void db.put(key, value)
    })
  return {
    name,
    load: putAll,
    put: (key, value) => durable(db.put(key, value)),
    putMany: (rows) => putAll(rows),
    get: (key) => db.getBinary(key),
    getTemporary: (key) => db.getBinaryFast(key),
    getMany: (keys) => db.getMany(keys),
    scan: (row) => {
      let count = 0
      for (const { key, value } of db.getRange()) {
        row(key, value)
        count += 1
      }
      return count
    },
    change: async (key, change) => {
      await db.transaction(() => {
        void db.put(key, change(db.getBinary(key)))
      })
      if (mode === 'overlap') await db.flushed
    },
    settle: () => db.flushed,
    close: () => db.close(),
  }
}
