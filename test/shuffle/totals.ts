// What rounds have counted, added up and as text.
import type { RoundResult } from './round.js'

export type Totals = Record<string, number>

export const addTo = (totals: Totals, { carried, events, counts }: RoundResult): Totals => {
  for (const [name, count] of Object.entries({ ...counts, ...carried, ...events })) {
    totals[name] = (totals[name] ?? 0) + count
  }
  return totals
}

const words: Record<string, string> = {
  rolledBack: 'commits rolled back',
  rollBacks: 'roll-backs',
  unknown: 'outcomes unknown',
  resolved: 'of them resolved',
  undecided: 'keys undecided',
}

export const textOf = (totals: Totals): string =>
  Object.entries(totals)
    .map(([name, count]) => `${count} ${words[name] ?? name}`)
    .join(', ')
