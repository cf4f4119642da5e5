// The tools whose format a dump is: db_dump, db_load (Berkeley DB 5.3) and mdb_dump, mdb_load
// (LMDB).
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

import test from 'ava'
import type { DumpFormat } from 'ringleader'

export interface Tools {
  name: string
  programs: string[]
  /** Of the header: mdb_load needs a map size, which db5.3_load refuses. */
  fields: [string, number][]
  /** Makes databases in a directory from a dump. */
  load: (directory: string, dump: string) => void
  /** The dump of one of them, or of the only one. */
  dump: (directory: string, format: DumpFormat, database?: string) => Buffer
}

const most = { maxBuffer: 2 ** 28 }

// Standard error of the tools is for failures: it becomes part of the exception.
const feed = (program: string, args: string[], input: string) => {
  execFileSync(program, args, { input, stdio: ['pipe', 'pipe', 'pipe'] })
}

export const berkeley: Tools = {
  name: 'db5.3',
  programs: ['db5.3_dump', 'db5.3_load'],
  fields: [],
  load: (directory, dump) => {
    feed('db5.3_load', [join(directory, 'file.db')], dump)
  },
  dump: (directory, format, database) => {
    const which = database === undefined ? [] : ['-s', database]
    const print = format === 'print' ? ['-p'] : []
    return execFileSync('db5.3_dump', [...print, ...which, join(directory, 'file.db')], most)
  },
}

export const lmdb: Tools = {
  name: 'mdb',
  programs: ['mdb_dump', 'mdb_load'],
  fields: [['mapsize', 2 ** 24]],
  load: (directory, dump) => {
    const home = join(directory, 'lmdb')
    mkdirSync(home, { recursive: true })
    feed('mdb_load', [home], dump)
  },
  dump: (directory, format, database) => {
    const which = database === undefined ? [] : ['-s', database]
    const print = format === 'print' ? ['-p'] : []
    return execFileSync('mdb_dump', [...print, ...which, join(directory, 'lmdb')], most)
  },
}

const isThere = (program: string) => spawnSync(program, ['-V']).error === undefined

/** A test that runs where the tools are there, and the words for one that does not. */
export const withPrograms = ({ programs }: Tools) => {
  const missing = programs.filter((program) => !isThere(program))
  return missing.length > 0
    ? { given: test.skip, needs: ` (needs ${missing.join(', ')})` }
    : { given: test, needs: '' }
}
