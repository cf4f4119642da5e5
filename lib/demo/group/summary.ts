// What the job of the group says at its end.
import { differences, digits, type Expectation } from '../report.js'
import type { MemberFindings as Findings } from './check-member.js'
import type { RunResult } from './run.js'

export const summarize = (records: number, batchSize: number, run: RunResult, all: Findings[]) => {
  const least = (of: (findings: Findings) => number) => Math.min(...all.map(of))
  const most = (of: (findings: Findings) => number) => Math.max(...all.map(of))
  return {
    members: all.length,
    cities: records,
    acknowledgedTransactions: run.acknowledged.size,
    seconds: digits(run.seconds, 2),
    citiesPerSecond: Math.round(records / run.seconds),
    transactionsPerSecond: Math.round(run.acknowledged.size / run.seconds),
    citiesPerTransaction: batchSize,
    electionMs: Math.round(run.electionMs),
    failOverMs: Math.round(run.failOverMs),
    rejoinMs: Math.round(run.rejoinMs),
    rollBacks: run.rollBacks,
    takenOver: run.takenOver,
    snapshotsMeanwhile: run.snapshots,
    citiesSeen: run.seenWhole,
    tornCities: run.seenTorn,
    foundById: least(({ found }) => found),
    foundByName: least(({ foundByName }) => foundByName),
    foundByCountry: least(({ foundByCountry }) => foundByCountry),
    lost: most(({ lost }) => lost),
    strays: most(({ strays }) => strays),
    verifiedRows: least(({ verifiedRows }) => verifiedRows),
  }
}

export type Summary = ReturnType<typeof summarize>

export const words: Record<keyof Summary, string> = {
  members: 'members',
  cities: 'cities',
  acknowledgedTransactions: 'transactions acknowledged',
  seconds: 'seconds, fail-over among them',
  citiesPerSecond: 'cities/s, on disk at two of three',
  transactionsPerSecond: 'transactions/s',
  citiesPerTransaction: 'cities per transaction',
  electionMs: 'ms from the kill to a new primary',
  failOverMs: 'ms from the kill to a commit',
  rejoinMs: 'ms to catch up when back',
  rollBacks: 'members that rolled back',
  takenOver: 'cities found by the new primary',
  snapshotsMeanwhile: 'snapshots taken at replicas',
  citiesSeen: 'cities read in them',
  tornCities: 'cities seen in part',
  foundById: 'on every member: found by id',
  foundByName: 'on every member: by name',
  foundByCountry: 'on every member: by country',
  lost: 'lost',
  strays: 'rows that nobody has loaded',
  verifiedRows: 'rows verified on each member',
}

/** What is not as it should be; empty: nothing. */
export const problemsOf = (summary: Summary, all: readonly Findings[]): string[] => {
  const { cities } = summary
  const ofMembers = all.flatMap((found, i) => {
    const rows: Expectation[] = [
      ['found by id', found.found, cities],
      ['found by name', found.foundByName, cities],
      ['found by country', found.foundByCountry, cities],
      ['lost', found.lost, 0],
      [words.strays, found.strays, 0],
    ]
    return rows.map(([what, ...rest]): Expectation => [`member ${i + 1}: ${what}`, ...rest])
  })
  return differences([[words.tornCities, summary.tornCities, 0], ...ofMembers])
}
