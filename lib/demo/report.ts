// How the jobs print what they have found.

export const digits = (value: number, count: number): number => Number(value.toFixed(count))

/** What was looked at, what was found, and what should have been. */
export type Expectation = readonly [what: string, value: number, right: number]

/** In words, what is not as it should be; empty: nothing. */
export const differences = (expected: readonly Expectation[]): string[] =>
  expected
    .filter(([, value, right]) => value !== right)
    .map(([what, value, right]) => `${what}: ${value}, and ${right} are right`)

// A line for each value, in the words for it.
const printTable = <Name extends string>(
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

export interface Report<Name extends string> {
  summary: Record<Name, number>
  words: Record<Name, string>
  problems: readonly string[]
  /** What follows for a reader where there are no problems. */
  conclusion: readonly string[]
  json: boolean
}

/** Prints it, as a table or as JSON; the exit code of the job. */
export const report = <Name extends string>({
  summary,
  words,
  problems,
  conclusion,
  json,
}: Report<Name>): number => {
  if (json) console.log(JSON.stringify({ ...summary, problems }))
  else printTable(summary, words)
  if (problems.length > 0) {
    console.error(`\nnot as it should be:\n${problems.join('\n')}`)
    return 1
  }
  if (!json) for (const line of conclusion) console.log(`\n${line}`)
  return 0
}
