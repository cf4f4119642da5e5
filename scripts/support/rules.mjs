// What check-layers and check-tidy share: a list of problems per file, told in one way.
import { countLine } from './counts.mjs'

// Prints every problem as "file:line: text" and closes with the count of files and other subjects
// that are in order and those that are not. `results` maps a subject to its problems, each a text
// or { line, text }. Sets the exit code.
export const reportRules = (results) => {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  for (const [subject, problems] of results) {
    if (problems.length === 0) counts.passed += 1
    else counts.failed += 1
    for (const problem of problems) {
      const { line, text } = typeof problem === 'string' ? { text: problem } : problem
      console.log(`${subject}${line ? `:${line}` : ''}: ${text}`)
    }
  }
  console.log(countLine(counts))
  process.exitCode = counts.failed > 0 || counts.passed === 0 ? 1 : 0
}

// Finds a cycle in a graph given as a Map from a name to the names it points to: the names on it,
// the first repeated at the end, or undefined.
export const findCycle = (graph) => {
  const done = new Set()
  const path = []
  const visit = (name) => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name]
    if (done.has(name)) return undefined
    path.push(name)
    for (const next of graph.get(name) ?? []) {
      const cycle = visit(next)
      if (cycle) return cycle
    }
    path.pop()
    done.add(name)
    return undefined
  }
  for (const name of graph.keys()) {
    const cycle = visit(name)
    if (cycle) return cycle
  }
  return undefined
}
