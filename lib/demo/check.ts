// Opens an environment again and compares it with what had been acknowledged.
import { Environment, type Snapshot } from '../index.js'
import type { City } from './cities.js'
import { openTables, type Tables } from './tables.js'

export interface Findings {
  /** How long the opening took, and how much of the log it had to read and to put into memory. */
  openSeconds: number
  recoveredRecords: number
  replayedRecords: number
  /** Acknowledged, and there as they should be: by id, by name, by country. */
  found: number
  foundByName: number
  foundByCountry: number
  /** Acknowledged, and missing somewhere or other than they should be: never. */
  lost: number
  /** Rows of an index without their city: never. */
  orphans: number
  /** What the databases say of themselves. */
  counts: { cities: number; byName: number; byCountry: number }
  /** Rows that `verify` has gone through. */
  verifiedRows: number
  lookupsPerSecond: number
  nameLookupsPerSecond: number
  rangeRowsPerSecond: number
}

const secondsOf = (work: () => void): number => {
  const began = performance.now()
  work()
  return (performance.now() - began) / 1000
}

const rate = (count: number, seconds: number) => Math.round(count / seconds)

// The ids of the cities, by what `of` says of them.
const group = (ids: readonly number[], cities: readonly City[], of: (city: City) => string) => {
  const groups = new Map<string, number[]>()
  for (const id of ids) {
    const city = cities[id]
    if (!city) continue
    const known = groups.get(of(city))
    if (known) known.push(id)
    else groups.set(of(city), [id])
  }
  return groups
}

export const isSame = (stored: City | undefined, { name, country, lat, lng }: City): boolean =>
  stored?.name === name && stored.country === country && stored.lat === lat && stored.lng === lng

class Checker {
  readonly #tables: Tables
  readonly #snapshot: Snapshot
  readonly #cities: readonly City[]

  constructor(tables: Tables, snapshot: Snapshot, cities: readonly City[]) {
    this.#tables = tables
    this.#snapshot = snapshot
    this.#cities = cities
  }

  byId(ids: readonly number[]): { found: number; perSecond: number } {
    const stored: (City | undefined)[] = []
    const seconds = secondsOf(() => {
      for (const id of ids) stored.push(this.#snapshot.get(this.#tables.cities, id))
    })
    const found = ids.filter((id, i) => {
      const city = this.#cities[id]
      return city !== undefined && isSame(stored[i], city)
    })
    return { found: found.length, perSecond: rate(ids.length, seconds) }
  }

  byName(ids: readonly number[]): { found: number; perSecond: number } {
    const expected = group(ids, this.#cities, ({ name }) => name)
    let found = 0
    const seconds = secondsOf(() => {
      for (const [name, wanted] of expected) {
        const there = new Set<number>()
        const rows = this.#snapshot.range(this.#tables.byName, { prefix: [name] })
        for (const { key } of rows) there.add(key[1])
        for (const id of wanted) if (there.has(id)) found += 1
      }
    })
    return { found, perSecond: rate(expected.size, seconds) }
  }

  byCountry(ids: readonly number[]): number {
    let found = 0
    for (const [country, wanted] of group(ids, this.#cities, ({ country }) => country)) {
      const there = new Map<number, string>()
      const keys = this.#snapshot.keys(this.#tables.byCountry, { prefix: [country] })
      for (const [, name, id] of keys) there.set(id, name)
      for (const id of wanted) if (there.get(id) === this.#cities[id]?.name) found += 1
    }
    return found
  }

  // All rows of all three, in one walk each.
  walk(): { orphans: number; perSecond: number } {
    const { cities, byName, byCountry } = this.#tables
    const stored = new Map<number, City>()
    const names: (readonly [string, number])[] = []
    const countries: (readonly [string, string, number])[] = []
    const seconds = secondsOf(() => {
      for (const { key, value } of this.#snapshot.range(cities)) stored.set(key, value)
      for (const { key } of this.#snapshot.range(byName)) names.push(key)
      for (const { key } of this.#snapshot.range(byCountry)) countries.push(key)
    })
    const withoutName = names.filter(([name, id]) => stored.get(id)?.name !== name)
    const withoutCountry = countries.filter(([country, name, id]) => {
      const city = stored.get(id)
      return city?.country !== country || city.name !== name
    })
    return {
      orphans: withoutName.length + withoutCountry.length,
      perSecond: rate(stored.size + names.length + countries.length, seconds),
    }
  }
}

const countAll = async ({ cities, byName, byCountry }: Tables) => ({
  cities: await cities.count({ exact: true }),
  byName: await byName.count({ exact: true }),
  byCountry: await byCountry.count({ exact: true }),
})

/** Cities of a name: how many of them there are in which country. */
export const exampleOf = ({ cities, byName }: Tables, name: string): Map<string, number> => {
  const countries = new Map<string, number>()
  const ids = byName
    .range({ prefix: [name] })
    .toArray()
    .map(({ key }) => key[1])
  for (const city of cities.getMany(ids)) {
    if (city) countries.set(city.country, (countries.get(city.country) ?? 0) + 1)
  }
  return countries
}

const acknowledgedIds = (batches: Iterable<number>, batchSize: number, records: number) =>
  Array.from(batches).flatMap((batch) => {
    const first = batch * batchSize
    const length = Math.min(batchSize, records - first)
    return Array.from({ length }, (_, i) => first + i)
  })

export interface CheckOptions {
  directory: string
  cities: readonly City[]
  /** Batches whose acknowledgement had arrived: `b` has the cities from `b * batchSize` on. */
  acknowledged: Iterable<number>
  batchSize: number
  /** Name to look up for the reader. */
  example: string
}

/** Opens it, looks at everything and closes it again. */
export const checkEnvironment = async ({
  directory,
  cities,
  acknowledged,
  batchSize,
  example,
}: CheckOptions): Promise<{ findings: Findings; example: Map<string, number> }> => {
  const began = performance.now()
  const env = await Environment.open(directory, { create: false })
  const openSeconds = (performance.now() - began) / 1000
  const { replayedRecords, log } = env.stat()
  const tables = openTables(env)
  const snapshot = env.snapshot()
  const checker = new Checker(tables, snapshot, cities)
  const ids = acknowledgedIds(acknowledged, batchSize, cities.length)
  const byId = checker.byId(ids)
  const byName = checker.byName(ids)
  const foundByCountry = checker.byCountry(ids)
  const walked = checker.walk()
  snapshot.close()
  const findings: Findings = {
    openSeconds,
    recoveredRecords: log.recoveredRecords,
    replayedRecords,
    found: byId.found,
    foundByName: byName.found,
    foundByCountry,
    lost: ids.length - Math.min(byId.found, byName.found, foundByCountry),
    orphans: walked.orphans,
    counts: await countAll(tables),
    verifiedRows: (await env.verify()).rows,
    lookupsPerSecond: byId.perSecond,
    nameLookupsPerSecond: byName.perSecond,
    rangeRowsPerSecond: walked.perSecond,
  }
  const found = exampleOf(tables, example)
  await env.close()
  return { findings, example: found }
}
