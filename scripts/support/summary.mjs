// What npm test prints about its stages, and the file that says how far it has come.
import { renameSync, writeFileSync } from 'node:fs'

import { countLine, totalLine } from './counts.mjs'

const failuresShown = 4

const timeText = ({ seconds, cpuSeconds }) =>
  `${seconds.toFixed(1).padStart(7)} s ${cpuSeconds.toFixed(1).padStart(7)} cpu`

// Seconds of the wall clock and of processors: of building, then of the checks.
export const stageLine = (name, { build, checks, counts }) =>
  `${name.padEnd(14)} ${timeText(build)} ${timeText(checks)}  ${countLine(counts)}`

const sumOf = (results, part) => {
  const sum = { seconds: 0, cpuSeconds: 0 }
  for (const result of results) {
    sum.seconds += result[part].seconds
    sum.cpuSeconds += result[part].cpuSeconds
  }
  return sum
}

const table = (results) => {
  const all = [...results.values()]
  const times = `${timeText(sumOf(all, 'build'))} ${timeText(sumOf(all, 'checks'))}`
  return [
    `${'stage'.padEnd(14)} ${'build'.padEnd(21)} checks`,
    ...[...results].map(([name, result]) => stageLine(name, result)),
    `${'all'.padEnd(14)} ${times}`,
  ]
}

const failureLines = (name, { failures, logFile }) => {
  if (failures.length === 0) return []
  const lines = [`\n== ${name} has failed; all it printed: ${logFile}`]
  for (const { what, detail } of failures.slice(0, failuresShown)) {
    lines.push(what)
    if (detail !== '') lines.push(detail.replaceAll(/^/gm, '  | '))
  }
  const more = failures.length - failuresShown
  if (more > 0) lines.push(`and ${more} more failures`)
  return lines
}

// `results` by the names of the stages; `missing` are the names of those that were not run, for
// `reason`.
export const summaryLines = (results, missing, reason) => {
  const details = [...results].flatMap(([name, result]) => failureLines(name, result))
  const failed = [...results].filter(([, { failures }]) => failures.length > 0)
  const lines = [...details, '', ...table(results)]
  if (failed.length > 0) lines.push('', 'failed stages:')
  for (const [name, { failures }] of failed) {
    const [{ what, head = [] }] = failures
    lines.push(`  ${name}: ${what}`, ...head.map((line) => `    | ${line}`))
  }
  if (missing.length > 0)
    lines.push('', `not run, and so failed: ${missing.join(', ')} (${reason})`)
  return lines
}

// A function that puts a total line into `file` in one step; without a file it does nothing.
export const resultsFile = (file) => (counts) => {
  if (!file) return
  writeFileSync(`${file}.new`, `${totalLine(counts)}\n`)
  renameSync(`${file}.new`, file)
}
