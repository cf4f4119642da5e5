// Who may include or import whom: the rooms and the arrows between them (docs/ARCHITECTURE.md). A
// new arrow needs a page in docs/decisions/.
import { posix } from 'node:path'

import { findCycle } from './rules.mjs'

// A room may include itself and these.
export const nativeArrows = {
  base: [],
  env: ['base'],
  log: ['base', 'env'],
  store: ['base', 'env', 'log'],
  core: ['base'],
  wire: ['base', 'core'],
  transport: ['base', 'env', 'wire'],
  engine: ['base', 'env', 'log', 'store', 'core', 'wire', 'transport'],
  // docs/decisions/002-binding-drives-the-log.md
  binding: ['base', 'env', 'log', 'store', 'engine'],
}

// Parts of a room that the rest of native/ must not see: the environment is handed down as an Env.
const privateParts = ['env/posix', 'env/sim']

// The protocol's outputs follow from its inputs alone.
const impureHeaders = new RegExp(
  '^(atomic|chrono|condition_variable|ctime|filesystem|fstream|iostream|mutex|random|' +
    'shared_mutex|thread|unordered_map|unordered_set|(fcntl|pthread|time|unistd)\\.h|sys/.*)$',
)

const linesOf = (text) => text.split('\n').map((content, index) => ({ content, line: index + 1 }))

export const includesOf = (text) =>
  linesOf(text).flatMap(({ content, line }) => {
    const match = /^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)/.exec(content)
    if (!match) return []
    return [{ line, path: match[1] ?? match[2], system: match[1] === undefined }]
  })

const roomOf = (path) => path.split('/')[0]

const systemProblem = (file, room, path) => {
  if (path === 'lmdb.h') {
    return file.startsWith('store/base_')
      ? undefined
      : `only native/store/base_* may include ${path}`
  }
  if (path === 'napi.h' || path === 'node_api.h' || path === 'js_native_api.h') {
    return room === 'binding' ? undefined : `only native/binding may include ${path}`
  }
  if (room === 'core' && impureHeaders.test(path)) return `native/core must stay pure: <${path}>`
  return undefined
}

const includeProblem = (file, { path, system }, files) => {
  const room = roomOf(file)
  if (system || path === 'napi.h' || path === 'lmdb.h') return systemProblem(file, room, path)
  if (!files.has(path)) return `"${path}" is no file below native/: includes start from there`
  const target = roomOf(path)
  if (target !== room && !nativeArrows[room].includes(target)) {
    return `${room} may not include ${target} ("${path}")`
  }
  const part = privateParts.find((name) => path.startsWith(`${name}/`))
  if (part && !file.startsWith(`${part}/`)) return `${part} is private: "${path}"`
  return undefined
}

// `files` maps paths relative to native/ to their text; the answer maps each to its problems.
export const checkNative = (files) => {
  const results = new Map()
  const graph = new Map()
  for (const [file, text] of files) {
    const problems = []
    const includes = includesOf(text)
    if (!file.includes('/') || !(roomOf(file) in nativeArrows)) {
      problems.push('is in no room of native/')
    } else {
      for (const include of includes) {
        const problem = includeProblem(file, include, files)
        if (problem) problems.push({ line: include.line, text: problem })
      }
    }
    graph.set(
      file,
      includes.filter(({ system }) => !system).map(({ path }) => path),
    )
    results.set(`native/${file}`, problems)
  }
  const cycle = findCycle(graph)
  results.set('native/ includes', cycle ? [`cycle: ${cycle.join(' -> ')}`] : [])
  return results
}

// lib/: index.ts -> feature files -> binding.ts; the leaves are for everybody; the main job uses
// the package as an application would.
const leaves = [
  'errors.ts',
  'options.ts',
  'durability.ts',
  'environment-options.ts',
  'replication-options.ts',
  'replication-stat.ts',
]

const layerOf = (file) => {
  if (file === 'index.ts' || file === 'binding.ts') return file
  if (leaves.includes(file)) return 'leaf'
  if (file.startsWith('demo/')) return 'demo'
  return file.includes('/') ? undefined : 'feature'
}

const libArrows = {
  'index.ts': ['feature', 'leaf'],
  feature: ['feature', 'leaf', 'binding.ts'],
  'binding.ts': ['leaf'],
  leaf: ['leaf'],
  demo: ['demo', 'index.ts'],
}

// Static and dynamic imports and re-exports, `import type` among them.
export const importsOf = (text) =>
  linesOf(text).flatMap(({ content, line }) => {
    const match = /(?:\bfrom\s+|\bimport\s*\(\s*|^\s*import\s+)'([^']+)'/.exec(content)
    return match ? [{ line, path: match[1] }] : []
  })

const loadsAddon = /\b(node-gyp-build|dlopen|createRequire|RINGLEADER_ADDON)\b|\.node'/

const packageProblem = (layer, path, packages) => {
  if (path.startsWith('node:')) return undefined
  const [scope, name] = path.split('/')
  const wanted = path.startsWith('@') ? `${scope}/${name}` : scope
  const allowed = layer === 'demo' ? packages.all : packages.runtime
  return allowed.includes(wanted) ? undefined : `${wanted} is no dependency of the package`
}

const importProblem = (file, path, files, packages) => {
  const layer = layerOf(file)
  if (!path.startsWith('.')) return packageProblem(layer, path, packages)
  const target = posix.join(posix.dirname(file), path).replace(/\.js$/, '.ts')
  if (!files.has(target)) return `'${path}' is no file of lib/`
  const targetLayer = layerOf(target)
  if (targetLayer && libArrows[layer].includes(targetLayer)) return undefined
  return `${file} may not import ${target}`
}

const loadProblems = (file, text) => {
  if (file === 'binding.ts' || layerOf(file) === 'demo') return []
  return linesOf(text)
    .filter(({ content }) => loadsAddon.test(content))
    .map(({ line }) => ({ line, text: 'only lib/binding.ts loads the addon' }))
}

// `files` maps paths relative to lib/ to their text; `packages` names what may be imported:
// { runtime, all }.
export const checkLib = (files, packages) => {
  const results = new Map()
  const graph = new Map()
  for (const [file, text] of files) {
    const imports = importsOf(text)
    const problems = layerOf(file) ? loadProblems(file, text) : ['is in no room of lib/']
    for (const { line, path } of layerOf(file) ? imports : []) {
      const problem = importProblem(file, path, files, packages)
      if (problem) problems.push({ line, text: problem })
    }
    const relative = imports.filter(({ path }) => path.startsWith('.'))
    const targets = relative.map(({ path }) =>
      posix.join(posix.dirname(file), path).replace(/\.js$/, '.ts'),
    )
    graph.set(file, targets)
    results.set(`lib/${file}`, problems)
  }
  const cycle = findCycle(graph)
  results.set('lib/ imports', cycle ? [`cycle: ${cycle.join(' -> ')}`] : [])
  return results
}
