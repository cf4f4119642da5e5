// What the demonstration says at its end.
import type { Findings } from '../check.js'
import { differences, digits } from '../report.js'
import type { Loading } from './load-job.js'
import { rowsPerCity } from '../tables.js'

export const summarize = (
  records: number,
  batchSize: number,
  loading: Loading,
  found: Findings,
) => ({
  cities: records,
  acknowledgedTransactions: loading.transactions,
  seconds: digits(loading.seconds, 2),
  rowsPerSecond: Math.round((rowsPerCity * records) / loading.seconds),
  transactionsPerSecond: Math.round(loading.transactions / loading.seconds),
  flushesPerSecond: Math.round(loading.flushes / loading.seconds),
  citiesPerTransaction: batchSize,
  kills: loading.kills,
  takenOver: loading.takenOver,
  snapshotsMeanwhile: loading.observed.snapshots,
  tornCities: loading.observed.torn,
  openSeconds: digits(found.openSeconds, 3),
  recoveredRecords: found.recoveredRecords,
  replayedRecords: found.replayedRecords,
  foundById: found.found,
  foundByName: found.foundByName,
  foundByCountry: found.foundByCountry,
  lost: found.lost,
  orphans: found.orphans,
  verifiedRows: found.verifiedRows,
  lookupsPerSecond: found.lookupsPerSecond,
  nameLookupsPerSecond: found.nameLookupsPerSecond,
  rangeRowsPerSecond: found.rangeRowsPerSecond,
})

export type Summary = ReturnType<typeof summarize>

export const words: Record<keyof Summary, string> = {
  cities: 'cities',
  acknowledgedTransactions: 'transactions acknowledged',
  seconds: 'seconds',
  rowsPerSecond: 'rows/s, durable',
  transactionsPerSecond: 'transactions/s',
  flushesPerSecond: 'flushes/s',
  citiesPerTransaction: 'cities per transaction',
  kills: 'processes killed',
  takenOver: 'cities found by successors',
  snapshotsMeanwhile: 'snapshots taken meanwhile',
  tornCities: 'cities seen in part',
  openSeconds: 'seconds to open again',
  recoveredRecords: 'log records recovered',
  replayedRecords: 'log records replayed',
  foundById: 'found by id',
  foundByName: 'found by name',
  foundByCountry: 'found by country',
  lost: 'lost',
  orphans: 'index rows without a city',
  verifiedRows: 'rows verified',
  lookupsPerSecond: 'lookups/s by id',
  nameLookupsPerSecond: 'lookups/s by name',
  rangeRowsPerSecond: 'rows/s in ranges',
}

/** What is not as it should be; empty: nothing. */
export const problemsOf = (summary: Summary, { counts }: Findings): string[] => {
  const { cities } = summary
  return differences([
    [words.foundById, summary.foundById, cities],
    [words.foundByName, summary.foundByName, cities],
    [words.foundByCountry, summary.foundByCountry, cities],
    [words.lost, summary.lost, 0],
    [words.orphans, summary.orphans, 0],
    [words.tornCities, summary.tornCities, 0],
    ['rows of cities', counts.cities, cities],
    ['rows of byName', counts.byName, cities],
    ['rows of byCountry', counts.byCountry, cities],
  ])
}
