// The databases of the demonstration: the cities by their ids, and two indexes over them, which a
// transaction changes together with the cities.
import type { Database, Environment, RingleaderError, Snapshot, Transaction } from '../index.js'
import type { City } from './cities.js'

export type NameKey = readonly [name: string, id: number]
export type CountryKey = readonly [country: string, name: string, id: number]

export interface Tables {
  cities: Database<number, City>
  /** Rows of an index are all key. */
  byName: Database<NameKey, string>
  byCountry: Database<CountryKey, string>
}

/** Of every city there is a row in each of them. */
export const rowsPerCity = 3

/** Makes them where they are missing. */
export const openTables = (env: Environment, create = true): Tables => ({
  cities: env.database<number, City>('cities', { key: 'tuple', value: 'msgpack', create }),
  byName: env.database<NameKey, string>('byName', { key: 'tuple', value: 'utf8', create }),
  byCountry: env.database<CountryKey, string>('byCountry', { key: 'tuple', value: 'utf8', create }),
})

/** Those that are there; undefined where one is missing still. */
export const findTables = (env: Environment): Tables | undefined => {
  try {
    return openTables(env, false)
  } catch (error) {
    if ((error as RingleaderError).code === 'RL_NOT_FOUND') return undefined
    throw error
  }
}

/** Puts a city where there is none of its id; whether it has. */
export const addCity = (
  transaction: Transaction,
  { cities, byName, byCountry }: Tables,
  id: number,
  city: City,
): boolean => {
  if (transaction.has(cities, id)) return false
  transaction.put(cities, id, city)
  transaction.put(byName, [city.name, id], '')
  transaction.put(byCountry, [city.country, city.name, id], '')
  return true
}

/** The rows of a city that a snapshot has: none or all of them, or something is wrong. */
export const rowsOfCity = (
  snapshot: Snapshot,
  { cities, byName, byCountry }: Tables,
  id: number,
  { name, country }: City,
): number =>
  Number(snapshot.has(cities, id)) +
  Number(snapshot.has(byName, [name, id])) +
  Number(snapshot.has(byCountry, [country, name, id]))
