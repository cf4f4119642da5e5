// The part of a long output that tells why a check has failed: the first places that name a
// failure, and the end. What a sanitizer or the engine itself says comes before all else: one that
// dies of it may have named failures that nobody minds.
const endLines = 40
const places = 3
const linesBefore = 2
const linesOfPlace = 12
// A report has stacks, of where a thing happened, was freed, was allocated.
const linesOfReport = 40

const startsReport = (line) =>
  /ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|: runtime error: |: check failed: /.test(line)
const namesFailure = (line) => /^\s*not ok |^FAILED|: error: |^ERROR: /.test(line)

// The first places in `lines` for which `isWanted` holds: [start, end) of each.
const findPlaces = (lines, isWanted, { before, after, count }) => {
  const found = []
  let next = 0
  for (const [index, line] of lines.entries()) {
    if (found.length === count) break
    if (index < next || !isWanted(line)) continue
    const start = Math.max(next, index - before)
    next = Math.min(index + after, lines.length)
    found.push([start, next])
  }
  return found
}

const report = { before: linesBefore, after: linesOfReport, count: 1 }
const failure = { before: 0, after: linesOfPlace, count: places }

export const excerpt = (output) => {
  const lines = output.trimEnd().split('\n')
  const end = Math.max(0, lines.length - endLines)
  const early = lines.slice(0, end)
  const found = [
    ...findPlaces(early, startsReport, report),
    ...findPlaces(early, namesFailure, failure),
  ]
  const shown = found.flatMap(([from, to]) => [...lines.slice(from, to), '...'])
  return [...shown, ...lines.slice(end)].join('\n')
}

// The few lines that tell most, for who reads no more: the heads of a report and of a failure.
export const headlines = (output) => {
  const lines = output.split('\n')
  const first = (isWanted, after) => findPlaces(lines, isWanted, { before: 0, after, count: 1 })
  const found = [...first(startsReport, 8), ...first((line) => /^FAILED|^not ok /.test(line), 2)]
  return found.flatMap(([from, to]) => lines.slice(from, to)).filter((line) => line.trim() !== '')
}
