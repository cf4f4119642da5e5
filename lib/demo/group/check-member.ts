// Opens a member's environment, when its process has ended, and compares it with what has been
// acknowledged.
import { Environment } from '../../index.js'
import { exampleOf, isSame } from '../check.js'
import type { City } from '../cities.js'
import { openTables, type Tables } from '../tables.js'

export interface MemberFindings {
  /** Acknowledged, and there as they should be: by id, by name, by country. */
  found: number
  foundByName: number
  foundByCountry: number
  /** Acknowledged, and missing somewhere or other than they should be: never. */
  lost: number
  /** Rows that nobody has acknowledged, or of an index without their city: never. */
  strays: number
  /** Rows that `verify` has gone through. */
  verifiedRows: number
  /** How many cities of the name that was asked for there are in which country. */
  example: Map<string, number>
}

// One walk over each database; the keys of a database are all different.
const compare = ({ cities, byName, byCountry }: Tables, wanted: ReadonlyMap<number, City>) => {
  let found = 0
  let foundByName = 0
  let foundByCountry = 0
  let strays = 0
  for (const { key, value } of cities.range()) {
    const city = wanted.get(key)
    if (city === undefined) strays += 1
    else if (isSame(value, city)) found += 1
  }
  for (const [name, id] of byName.keys()) {
    if (wanted.get(id)?.name === name) foundByName += 1
    else strays += 1
  }
  for (const [country, name, id] of byCountry.keys()) {
    const city = wanted.get(id)
    if (city?.country === country && city.name === name) foundByCountry += 1
    else strays += 1
  }
  const lost = wanted.size - Math.min(found, foundByName, foundByCountry)
  return { found, foundByName, foundByCountry, lost, strays }
}

/** `wanted`: the cities whose acknowledgement had arrived, by their ids. */
export const checkMember = async (
  directory: string,
  wanted: ReadonlyMap<number, City>,
  example: string,
): Promise<MemberFindings> => {
  const env = await Environment.open(directory, { create: false })
  try {
    const tables = openTables(env, false)
    const { rows } = await env.verify()
    return {
      ...compare(tables, wanted),
      verifiedRows: rows,
      example: exampleOf(tables, example),
    }
  } finally {
    await env.close()
  }
}
