// A table without rowids, WAL, `synchronous = FULL`: the log is flushed in every commit. The puts
// of a turn of the event loop are one transaction, which better-sqlite3 leaves to the application.
import { TurnBatch, type Peer } from './peer.js'

type Work = () => void

export const openSqlite = async (directory: string): Promise<Peer> => {
  const { default: Database } = await import('better-sqlite3')
  const db = new Database(`${directory}/sqlite`)
  db.pragma('journal_mode = WAL')
  db.pragma('synchronous = FULL')
  db.pragma('cache_size = -524288')
  db.exec('CREATE TABLE IF NOT EXISTS rows (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID')
  const put = db.prepare('INSERT OR REPLACE INTO rows VALUES (?, ?)')
  const get = db.prepare('SELECT value FROM rows WHERE key = ?').pluck()
  const all = db.prepare('SELECT key, value FROM rows ORDER BY key').raw()
  const [begin, commit, rollBack] = ['BEGIN IMMEDIATE', 'COMMIT', 'ROLLBACK'].map((text) =>
    db.prepare(text),
  )
  const transaction = (work: Work) => {
    begin?.run()
    try {
      work()
    } catch (error) {
      rollBack?.run()
      throw error
    }
    commit?.run()
  }
  const batch = new TurnBatch<Work>((works) => {
    transaction(() => {
      for (const work of works) work()
    })
  })
  const putAll = (rows: Iterable<readonly [Buffer, Buffer]>) => {
    transaction(() => {
      for (const [key, value] of rows) put.run(key, value)
    })
    return Promise.resolve()
  }
  return {
    name: 'better-sqlite3',
    load: putAll,
    put: (key, value) => batch.add(() => put.run(key, value)),
    putMany: putAll,
    get: (key) => get.get(key) as Uint8Array | undefined,
    scan: (row) => {
      let count = 0
      for (const columns of all.iterate()) {
        const [key, value] = columns as [Buffer, Buffer]
        row(key, value)
        count += 1
      }
      return count
    },
    change: (key, change) =>
      batch.add(() => put.run(key, change(get.get(key) as Uint8Array | undefined))),
    close: () => {
      db.close()
    },
  }
}
