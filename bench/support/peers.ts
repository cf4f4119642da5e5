// The stores that are compared, by name.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import { openLevel } from './level-peer.js'
import { openLmdb } from './lmdb-peer.js'
import type { Peer } from './peer.js'
import { openRingleader } from './ringleader-peer.js'
import { openSqlite } from './sqlite-peer.js'

export interface PeerKind {
  open(directory: string): Peer | Promise<Peer>
  /** Another way to write what a peer reads in the same way. */
  writesOnly?: true
  /** Several processes may have it open. */
  processes?: true
}

export const peerKinds: Readonly<Record<string, PeerKind>> = {
  ringleader: { open: (directory) => openRingleader(directory), processes: true },
  lmdb: { open: (directory) => openLmdb(directory, 'lmdb', 'overlap'), processes: true },
  'lmdb-sync': {
    open: (directory) => openLmdb(directory, 'lmdb-sync', 'sync'),
    writesOnly: true,
    processes: true,
  },
  'lmdb-committed': {
    open: (directory) => openLmdb(directory, 'lmdb-committed', 'committed'),
    writesOnly: true,
  },
  'better-sqlite3': { open: openSqlite },
  'classic-level': { open: openLevel },
}

/** The peer of a name, below a directory that all share. */
export const openPeer = async (name: string, under: string): Promise<Peer> => {
  const kind = peerKinds[name]
  if (!kind) throw new Error(`no peer ${name}; there are: ${Object.keys(peerKinds).join(', ')}`)
  const directory = join(under, name)
  mkdirSync(directory, { recursive: true })
  return kind.open(directory)
}
