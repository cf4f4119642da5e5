// The part of a long output that tells why a check has failed: the first places that name a
// failure, and the end.
const endLines = 40
const places = 3
const linesOfPlace = 12

const namesFailure = (line) => /^\s*not ok |^FAILED|: error: |^ERROR: |^WARNING: Thread/.test(line)

export const excerpt = (output) => {
  const lines = output.trimEnd().split('\n')
  const end = Math.max(0, lines.length - endLines)
  const shown = []
  let next = 0
  for (let found = 0; found < places; found += 1) {
    const start = lines.findIndex((line, index) => index >= next && namesFailure(line))
    if (start < 0 || start >= end) break
    next = Math.min(start + linesOfPlace, end)
    shown.push(...lines.slice(start, next), '...')
  }
  return [...shown, ...lines.slice(end)].join('\n')
}
