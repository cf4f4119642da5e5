// Prints C++ files that can be compiled as one, for CMakeLists.txt: a line per group, the files
// separated by commas.
//
//   node scripts/group-sources.mjs LINES FILE...       LINES in a group at most
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { at, root } from './support/project.mjs'
import { groupSources, readHeader, readSource } from './support/unity.mjs'

const roots = ['native', 'test/native', 'test/sim'].map((directory) => at(directory))
const headers = new Map()

const find = (path, from) =>
  [from, ...roots].map((directory) => join(directory, path)).find((file) => existsSync(file))

const headerOf = (file) => {
  if (!headers.has(file)) headers.set(file, readHeader(readFileSync(file, 'utf8')))
  return headers.get(file)
}

// Every header of this project that is included, directly or by another.
const headersOf = (includes, from, found = new Set()) => {
  for (const path of includes) {
    const file = find(path, from)
    if (!file || found.has(file)) continue
    found.add(file)
    headersOf(headerOf(file).includes, dirname(file), found)
  }
  return found
}

const namesOf = (files) => {
  const names = new Map()
  for (const file of files) {
    for (const name of headerOf(file).shared) {
      if (!names.has(name)) names.set(name, new Set())
      names.get(name).add(file)
    }
  }
  return names
}

const describe = (path) => {
  const file = resolve(root, path)
  const text = readFileSync(file, 'utf8')
  const source = readSource(text)
  const headerNames = namesOf(headersOf(source.includes, dirname(file)))
  return { path, lines: text.split('\n').length, headerNames, ...source }
}

const [lines, ...paths] = process.argv.slice(2)
for (const group of groupSources(paths.map(describe), Number(lines))) console.log(group.join(','))
