// Lists of files, and stamps: a hash of the inputs of a build step, stored beside its output, tells
// whether the step has anything to do. Content counts, not time: a fresh clone and a changed branch
// are told apart from a touched file.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

import { root } from './project.mjs'

const ignoredDirectories = new Set([
  'node_modules',
  'build',
  'dist',
  'dist-test',
  'prebuilds',
  '.git',
  '.cache',
])

// Every file below `paths` (files or directories, relative to the project), sorted, relative to the
// project, without what is generated. Paths that do not exist list nothing.
export const listFiles = (paths, wanted = () => true) => {
  const found = []
  const visit = (path) => {
    const full = join(root, path)
    if (!existsSync(full)) return
    if (!statSync(full).isDirectory()) {
      if (wanted(path)) found.push(path)
      return
    }
    for (const entry of readdirSync(full)) {
      if (!ignoredDirectories.has(entry)) visit(relative(root, join(full, entry)))
    }
  }
  for (const path of paths) visit(path)
  return found.sort()
}

export const hashOf = (paths, ...extra) => {
  const hash = createHash('sha256')
  for (const path of listFiles(paths)) {
    hash.update(path).update('\0')
    hash.update(readFileSync(join(root, path))).update('\0')
  }
  for (const value of extra) hash.update(String(value)).update('\0')
  return hash.digest('hex')
}

export const hasStamp = (file, value) =>
  existsSync(file) && readFileSync(file, 'utf8').trim() === value

export const writeStamp = (file, value) => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${value}\n`)
}

export const isCpp = (path) => path.endsWith('.cc') || path.endsWith('.h')

export const cppFiles = () => listFiles(['native', 'test', 'bench'], isCpp)
