// Reads a database of the model in every way that there is, and says what was found.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'

import type { Database } from 'ringleader'

import type { Kind } from './kinds.js'
import type { FoundRow } from './peer.js'

const placeOfKey = ({ keys, name }: Kind, key: unknown): number => {
  const plain = key instanceof Uint8Array ? Uint8Array.from(key) : key
  const place = keys.findIndex((one) => isDeepStrictEqual(one, plain))
  assert(place >= 0, `${name}: a key that nobody has put`)
  return place
}

export const placesOf = (kind: Kind, keys: readonly unknown[]): number[] =>
  keys.map((key) => placeOfKey(kind, key))

/** All rows, as gets find them; a walk has to find the same. */
export const foundIn = (kind: Kind, database: Database<unknown>): FoundRow[] => {
  const found = kind.keys.flatMap((key, place): FoundRow[] => {
    const entry = database.getEntry(key)
    assert.equal(database.has(key), entry !== undefined)
    return entry ? [[place, kind.numberOf(entry.value), entry.version]] : []
  })
  const walked = database
    .range()
    .toArray()
    .map(({ key, value }) => [placeOfKey(kind, key), kind.numberOf(value)])
  assert.deepEqual(
    walked,
    found.map(([place, number]) => [place, number]),
  )
  const many = database.getMany(kind.keys)
  assert.deepEqual(
    many.flatMap((value, place) => (value === undefined ? [] : [[place, kind.numberOf(value)]])),
    walked,
  )
  return found
}
