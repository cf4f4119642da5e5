// Which C++ files can be compiled as one: those of which none takes for its own, or for a header's,
// what another one keeps in an unnamed namespace. Like source-text.mjs a heuristic: it reads names,
// not types, and separates files that would get along rather than joining files that do not.
import { codeOnly } from './source-text.mjs'

const words = (code) => code.match(/[A-Za-z_]\w*/g) ?? []

// `using a::b` makes no name of its own: any number of files may say the same.
const usingDeclaration = /^\s*using\s+[\w:]+::(\w+)\s*$/
const noDeclaration = /^\s*(?:using\s+namespace|friend|static_assert|extern|TEST)\b/
const forwardDeclaration = /^\s*(?:struct|class|enum class)\s+\w+\s*$/

// The name that a declaration at the level of a namespace introduces, or undefined. `head` is its
// text up to the first brace or semicolon.
const declaredName = (head) => {
  if (usingDeclaration.test(head) || noDeclaration.test(head)) return undefined
  let text = head.replace(/\[\[.*?\]\]/gs, ' ').replace(/\balignas\s*\([^)]*\)/g, ' ')
  for (let before; before !== text;) {
    before = text
    text = text.replace(/<[^<>]*>/g, ' ')
  }
  const names = words(text.split(/[(=[]|(?<!:):(?!:)/, 1)[0].replace(/\bfinal\s*$/, ''))
  return names.at(-1)
}

// { hidden, shared }: names that the code declares in unnamed namespaces or as static, and in
// others. Names inside types and functions are neither.
export const declaredNames = (code) => {
  const hidden = new Set()
  const shared = new Set()
  const open = []
  let head = ''
  const note = () => {
    const name = declaredName(head)
    const isHidden = open.includes('hidden') || /^\s*static\b/.test(head)
    if (name && !open.includes('body')) (isHidden ? hidden : shared).add(name)
  }
  for (const character of code) {
    if (character === '{') {
      const scope = /^\s*(?:inline\s+)?namespace\b([^{]*)$/.exec(head)
      if (!scope) note()
      if (scope) open.push(scope[1].trim() === '' ? 'hidden' : 'shared')
      else open.push('body')
      head = ''
    } else if (character === '}') {
      open.pop()
      head = ''
    } else if (character === ';') {
      if (head.trim() !== '' && !forwardDeclaration.test(head)) note()
      head = ''
    } else head += character
  }
  return { hidden, shared }
}

const macros = (text) => [...text.matchAll(/^[ \t]*#[ \t]*define[ \t]+(\w+)/gm)].map(([, m]) => m)

const includesOf = (text) => [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, path]) => path)

// What is said without naming its owner.
const unqualified = (code) => new Set(words(code.replace(/(?:::|\.|->)\s*~?[A-Za-z_]\w*/g, ' ')))

// What is to be known of a source: { hidden, brought, uses, includes }, `brought` being the names
// of its using-declarations.
export const readSource = (text) => {
  const code = codeOnly(text, { cpp: true })
  const { hidden } = declaredNames(code)
  const brought = [...code.matchAll(/\busing\s+[\w:]+::(\w+)\s*;/g)].map(([, name]) => name)
  return {
    hidden: new Set([...hidden, ...macros(text)]),
    brought: new Set(brought),
    uses: new Set([...brought, ...unqualified(code)]),
    includes: includesOf(text),
  }
}

// And of a header: { shared, includes }.
export const readHeader = (text) => ({
  shared: declaredNames(codeOnly(text, { cpp: true })).shared,
  includes: includesOf(text),
})

// Whether `source` minds that `other` is compiled with it. The names of their headers are maps from
// a name to the headers that declare it.
const minds = (source, other) => {
  for (const name of source.hidden) {
    if (other.uses.has(name) || other.headerNames.has(name)) return true
  }
  // A name is that of one header to the one, and of another header to the other.
  const isTaken = (name) => {
    const own = source.headerNames.get(name)
    return [...(other.headerNames.get(name) ?? [])].some((file) => !own?.has(file))
  }
  for (const name of source.brought) if (isTaken(name)) return true
  for (const [name, files] of source.headerNames) {
    if (files.size > 0 && other.headerNames.has(name) && isTaken(name)) return true
  }
  return false
}

// `sources`: [{ path, lines, headerNames, hidden, brought, uses }]. Groups of their paths, none of
// more than `maxLines` unless a single file is. The order is kept within a group.
export const groupSources = (sources, maxLines) => {
  const groups = []
  const fits = (group, source) =>
    group.lines + source.lines <= maxLines &&
    group.sources.every((other) => !minds(source, other) && !minds(other, source))
  for (const source of sources) {
    let group = groups.find((candidate) => fits(candidate, source))
    if (!group) groups.push((group = { lines: 0, sources: [] }))
    group.lines += source.lines
    group.sources.push(source)
  }
  return groups.map((group) => group.sources.map(({ path }) => path))
}
