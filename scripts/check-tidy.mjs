// Refuses what support/tidy.mjs describes: files, functions and lines that are too long, words this
// project does not use, unfinished places, error codes without documentation, and a source list or
// a package lock that is not in order.
//
//   node scripts/check-tidy.mjs
import { existsSync, readFileSync } from 'node:fs'

import { isCpp, listFiles } from './support/files.mjs'
import { at } from './support/project.mjs'
import { reportRules } from './support/rules.mjs'
import {
  checkErrorCodes,
  checkFileSize,
  checkFunctions,
  checkLayout,
  checkLock,
  checkSourceList,
  checkWords,
} from './support/tidy.mjs'

const read = (path) => (existsSync(at(path)) ? readFileSync(at(path), 'utf8') : '')

// What kind of text a file is, or undefined for one that is not looked at.
const kindOf = (path) => {
  if (path === 'package-lock.json' || path === 'LICENSE') return undefined
  if (isCpp(path)) return 'cpp'
  if (/\.(ts|mts|js|mjs|cjs)$/.test(path)) return 'script'
  if (path.endsWith('.md')) return 'prose'
  if (/\.(txt|gyp|list|json|yml|yaml|sh)$/.test(path) || path === '.ci/run') return 'other'
  return undefined
}

const checkFile = (path, kind) => {
  const text = read(path)
  const isCode = kind === 'cpp' || kind === 'script'
  return [
    ...(isCode ? [...checkFileSize(text), ...checkFunctions(text, { cpp: kind === 'cpp' })] : []),
    ...checkLayout(text, { columns: isCode }),
    ...checkWords(text, path),
  ]
}

const results = new Map()
for (const path of listFiles(['.'])) {
  const kind = kindOf(path)
  if (kind) results.set(path, checkFile(path, kind))
}
const sources = listFiles(['native'], (path) => path.endsWith('.cc'))
const present = sources.map((path) => path.slice('native/'.length))
results.set(
  'the error codes',
  checkErrorCodes({
    statusHeader: read('native/base/status.h'),
    errorsModule: read('lib/errors.ts'),
    errorsPage: read('docs/ERRORS.md'),
  }),
)
results.set('the source list', checkSourceList(read('native/sources.list'), present))
results.set('the package lock', checkLock(read('package-lock.json')))
reportRules(results)
