// How the jobs print what they have found.

/** A line for each value, in the words for it. */
export const printTable = <Name extends string>(
  summary: Record<Name, number>,
  words: Record<Name, string>,
): void => {
  console.log()
  for (const name of Object.keys(summary) as Name[]) {
    console.log(words[name].padEnd(36) + summary[name].toLocaleString('en').padStart(12))
  }
}

/** "Springfield: 34 cities, US 33, AU 1" */
export const exampleLine = (name: string, countries: ReadonlyMap<string, number>): string => {
  const byCount = Array.from(countries).sort(([, a], [, b]) => b - a)
  const total = byCount.reduce((sum, [, count]) => sum + count, 0)
  const parts = byCount.map(([country, count]) => `${country} ${count}`)
  return `${name}: ${total} ${total === 1 ? 'city' : 'cities'}, ${parts.join(', ') || 'nowhere'}`
}
