// What an environment should hold: a map of maps. States are never changed: whoever has one keeps
// it.
import type { BoundKind, Walk, Write } from './commands.js'
import { kinds, type Kind } from './kinds.js'

export interface ModelRow {
  number: number
  /** Of the commit that has put it; undefined: nobody has been told. */
  version: number | undefined
}

/** The rows of a database, by the places of their keys. */
export type ModelRows = ReadonlyMap<number, ModelRow>

/** The databases that there are, by their names. */
export type State = ReadonlyMap<string, ModelRows>

export const kindAt = (i: number): Kind => {
  const kind = kinds[i % kinds.length]
  if (!kind) throw new Error('no kinds')
  return kind
}

/** The place of a key. */
export const placeOf = ({ keys }: Kind, key: number): number => key % keys.length

/** The state with the writes that go to databases which are there. */
export const withWrites = (state: State, writes: readonly Write[], version?: number): State => {
  const next = new Map(state)
  for (const { kind: i, key, number } of writes) {
    const kind = kindAt(i)
    const rows = next.get(kind.name)
    if (!rows) continue
    const changed = new Map(rows)
    if (number === undefined) changed.delete(placeOf(kind, key))
    else changed.set(placeOf(kind, key), { number, version })
    next.set(kind.name, changed)
  }
  return next
}

export const withDatabase = (state: State, name: string, rows: ModelRows | undefined): State => {
  const next = new Map(state)
  if (rows) next.set(name, rows)
  else next.delete(name)
  return next
}

const holds: Record<BoundKind, (place: number, bound: number) => boolean> = {
  gt: (place, bound) => place > bound,
  gte: (place, bound) => place >= bound,
  lt: (place, bound) => place < bound,
  lte: (place, bound) => place <= bound,
}

/** The places of the keys that a walk finds, in its order. */
export const walked = (rows: ModelRows, { low, high, prefix, ...walk }: Walk): number[] => {
  const kind = kindAt(walk.kind)
  const [, from, to] = prefixOf(kind, prefix) ?? [undefined, 0, Infinity]
  const bounds = prefix === undefined ? [low, high] : []
  const places = Array.from(rows.keys())
    .filter((place) => place >= from && place < to)
    .filter((place) =>
      bounds.every((bound) => !bound || holds[bound[0]](place, placeOf(kind, bound[1]))),
    )
    .sort((a, b) => (walk.reverse ? b - a : a - b))
  return places.slice(0, walk.limit)
}

const prefixOf = ({ prefixes }: Kind, prefix: number | undefined) =>
  prefix === undefined ? undefined : prefixes[prefix % prefixes.length]

/** The options with which a database walks so. */
export const rangeOptionsOf = ({ low, high, prefix, ...walk }: Walk): Record<string, unknown> => {
  const kind = kindAt(walk.kind)
  const options: Record<string, unknown> = { reverse: walk.reverse, limit: walk.limit }
  if (prefix !== undefined) return { ...options, prefix: prefixOf(kind, prefix)?.[0] }
  for (const bound of [low, high]) {
    if (bound) options[bound[0]] = kind.keys[placeOf(kind, bound[1])]
  }
  return options
}
