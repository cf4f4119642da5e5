// The rules of check-tidy, each a function from text to problems, so that each can be tested.
import { codeOnly, functionsOf } from './source-text.mjs'
import { listedSources } from './sources.mjs'

export const limits = { fileLines: 900, explainedFileLines: 600, functionLines: 70, columns: 100 }

const linesOf = (text) => text.split('\n').map((content, index) => ({ content, line: index + 1 }))

// --- sizes ---------------------------------------------------------------------------------------

export const checkFileSize = (text) => {
  const count = text.split('\n').length - 1
  if (count > limits.fileLines) {
    return [`${count} lines: no file has more than ${limits.fileLines}`]
  }
  const head = text.split('\n').slice(0, 40).join('\n')
  if (count > limits.explainedFileLines && !/long because/i.test(head)) {
    return [`${count} lines: over ${limits.explainedFileLines} the head says "long because ..."`]
  }
  return []
}

export const checkFunctions = (text, language) =>
  functionsOf(codeOnly(text, language), language)
    .filter(({ lines }) => lines > limits.functionLines)
    .map(({ line, lines }) => ({
      line,
      text: `a function of ${lines} lines: none has more than ${limits.functionLines}`,
    }))

const columnsOf = (content) => [...content].length

export const checkLayout = (text, { columns }) => {
  const problems = []
  for (const { content, line } of linesOf(text)) {
    if (content.includes('\t')) problems.push({ line, text: 'a tab' })
    if (/[ \t\r]$/.test(content)) problems.push({ line, text: 'blanks at the end of the line' })
    if (columns && columnsOf(content) > limits.columns && !/https?:\/\//.test(content)) {
      problems.push({ line, text: `${columnsOf(content)} columns: no line has more than 100` })
    }
  }
  if (text !== '' && !text.endsWith('\n')) problems.push('no newline at the end')
  return problems
}

// --- words ---------------------------------------------------------------------------------------

const forbiddenWords = new Map([
  ['master', 'primary'],
  ['slave', 'replica'],
  ['leader', 'primary'],
  ['follower', 'replica'],
  ['arbiter', 'witness'],
])

// Where a word is somebody else's name and stays: [file, text that a line must hold].
const allowedWords = [
  // Berkeley DB's own terms, beside ours.
  [/^docs\/(bdb-migration|GLOSSARY)/, ''],
  [/^bench\/native\/bdb_/, 'DB_REP_MASTER'],
  // A directory of the kernel's.
  [/^native\/engine\/disk_identity\.cc$/, '"/slaves"'],
  // Lists what may not be written.
  [/^docs\/STYLE\.md$/, ''],
  [/^scripts\/support\/tidy(\.test)?\.mjs$/, ''],
]

// The words that an identifier or a text is made of, in lower case: "isLeader" has "is", "leader".
const wordsOf = (content) =>
  (content.match(/[A-Z]?[a-z]+|[A-Z]+(?![a-z])/g) ?? []).map((word) => word.toLowerCase())

const singular = (word) => (word.endsWith('s') ? word.slice(0, -1) : word)

const isAllowed = (path, content) =>
  allowedWords.some(([file, part]) => file.test(path) && content.includes(part))

const unfinished = /\b(?:TODO|FIXME|XXX)\b(?!\(#\d+\))/
const machinePath = /(?:^|[^\w.])\/(?:work|root|home)\/\w/
const registry = /\bregistry\.[a-z]+js\.org\b|\bregistry\.yarnpkg\.com\b/

export const checkWords = (text, path) => {
  const problems = []
  for (const { content, line } of linesOf(text)) {
    if (isAllowed(path, content)) continue
    for (const word of wordsOf(content)) {
      const better = forbiddenWords.get(singular(word))
      if (better) problems.push({ line, text: `"${word}": this project says "${better}"` })
    }
    if (unfinished.test(content)) problems.push({ line, text: 'unfinished, and no issue (#N)' })
    if (machinePath.test(content)) problems.push({ line, text: "a path of somebody's machine" })
    if (registry.test(content)) problems.push({ line, text: 'the name of a package server' })
  }
  return problems
}

// --- error codes ---------------------------------------------------------------------------------

// Enumerators of Code in native/base/status.h: kNoSpace is RL_NO_SPACE.
export const nativeCodes = (text) => {
  const body = /enum class Code[^{]*\{([^}]*)\}/.exec(text)?.[1] ?? ''
  const names = [...body.matchAll(/^\s*k([A-Z]\w*)/gm)].map((match) => match[1])
  return names
    .filter((name) => name !== 'Ok')
    .map((name) => `RL${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toUpperCase()}`)}`)
    .map((name) => name.toUpperCase())
}

export const libCodes = (text) => [...new Set(text.match(/\bRL_[A-Z_]*[A-Z]\b/g) ?? [])]

export const checkErrorCodes = ({ statusHeader, errorsModule, errorsPage }) => {
  const headings = [...errorsPage.matchAll(/^#+ .*?\b(RL_[A-Z_]+)/gm)].map((match) => match[1])
  const native = nativeCodes(statusHeader)
  const lib = libCodes(errorsModule)
  const known = new Set([...native, ...lib])
  const problems = []
  if (native.length === 0) problems.push('native/base/status.h: no error code found')
  for (const code of known) {
    if (!headings.includes(code)) problems.push(`docs/ERRORS.md has no heading for ${code}`)
  }
  for (const code of headings) {
    if (!known.has(code)) problems.push(`docs/ERRORS.md: ${code} is no error code`)
  }
  for (const code of native) {
    if (!lib.includes(code)) problems.push(`lib/errors.ts does not know ${code}`)
  }
  return problems
}

// --- lists ---------------------------------------------------------------------------------------

// `present` are the .cc files below native/, relative to it.
export const checkSourceList = (text, present) => {
  const listed = listedSources(text)
  const problems = []
  for (const [index, source] of listed.entries()) {
    if (!present.includes(source)) problems.push(`${source} is listed and does not exist`)
    if (listed.indexOf(source) !== index) problems.push(`${source} is listed twice`)
  }
  for (const source of present) {
    if (!listed.includes(source)) problems.push(`${source} exists and is not listed`)
  }
  return problems
}

export const checkLock = (text) => {
  const packages = Object.entries(JSON.parse(text).packages)
  const servers = packages.filter(([, entry]) => entry.resolved && !entry.link)
  return servers.map(([name]) => `${name} records the server it came from`)
}
