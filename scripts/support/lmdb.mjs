// The C sources of LMDB. They come with the npm package `lmdb`, of which nothing else is used, and
// are compiled into the addon. Its exact bytes count: the files that LMDB writes outlive this
// process, and native/store/base_page.h knows their layout.
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

import { at } from './project.mjs'

const folder = join('dependencies', 'lmdb-data-v1', 'libraries', 'liblmdb')

// LMDB 0.9.29.
const sums = {
  'mdb.c': '65ffd8810b9e37708cfcb19e113161784e23ffdeea82e0fe68af7aea1f3cdc5b',
  'midl.c': '91110543f2e84c516188c1e3960b1f504e1c60a4766027a782349c000276ca93',
  'lmdb.h': '36ae5774157f43232bf8f8ab835c142e3c29722e7d1870dda3532fd4f8008535',
  'midl.h': '07c68cf7bb62625f6e893570ae6e2e30b1f3a2b4e9e0b0e5fe1729f8eb72bee8',
}

// The package hides its package.json, so its directory is found by going up from its main file.
const packageDirectory = (from) => {
  let directory
  try {
    directory = dirname(createRequire(from).resolve('lmdb'))
  } catch {
    throw new Error(
      "ringleader needs the sources in the npm package 'lmdb', which is not installed",
    )
  }
  while (!existsSync(join(directory, 'package.json')) && directory !== dirname(directory)) {
    directory = dirname(directory)
  }
  return directory
}

// Where mdb.c and its like are; throws where they are missing or not the ones expected.
export const lmdbDirectory = (from = at('package.json')) => {
  const directory = join(packageDirectory(from), folder)
  for (const [name, sum] of Object.entries(sums)) {
    const file = join(directory, name)
    if (!existsSync(file)) throw new Error(`${file} is missing: reinstall the npm package 'lmdb'`)
    const found = createHash('sha256').update(readFileSync(file)).digest('hex')
    if (found !== sum) {
      throw new Error(`${file} is not the file of LMDB 0.9.29: SHA-256 ${found}, expected ${sum}`)
    }
  }
  return directory
}
