// Reads C++, TypeScript and JavaScript just closely enough to measure functions: comments, strings,
// regular expressions and preprocessor lines are blanked, and what is left is read brace by brace.
// It is a heuristic, right for sources in this project's layout.

const blank = (text) => text.replace(/[^\n]/g, ' ')

const closing = (text, start, delimiter) => {
  for (let i = start; i < text.length; i += 1) {
    if (text[i] === '\\') i += 1
    else if (text[i] === delimiter || (text[i] === '\n' && delimiter !== '`')) return i + 1
  }
  return text.length
}

const closingRegExp = (text, start) => {
  let inClass = false
  for (let i = start; i < text.length && text[i] !== '\n'; i += 1) {
    if (text[i] === '\\') i += 1
    else if (text[i] === '[') inClass = true
    else if (text[i] === ']') inClass = false
    else if (text[i] === '/' && !inClass) return i + 1
  }
  return start
}

// What a slash follows when it does not divide.
const startsRegExp = /(?:[(,=:[!&|?{};]|=>|\breturn|^)\s*$/

const upTo = (text, mark, from) => {
  const found = text.indexOf(mark, from)
  return found < 0 ? text.length : found + mark.length
}

// The end of what starts at `i` and is no code, or `i` itself.
const endOfNonCode = (text, i, cpp) => {
  const two = text.slice(i, i + 2)
  if (two === '//') return upTo(text, '\n', i) - 1
  if (two === '/*') return upTo(text, '*/', i + 2)
  if (cpp && two === 'R"') {
    const delimiter = /^R"([^(]*)\(/.exec(text.slice(i, i + 20))
    if (delimiter) return upTo(text, `)${delimiter[1]}"`, i)
  }
  if (cpp && text[i] === "'" && /[0-9a-fA-F]/.test(text[i - 1] ?? '')) return i
  if (text[i] === '"' || text[i] === "'") return closing(text, i + 1, text[i])
  if (cpp) return i
  if (text[i] === '`') return closing(text, i + 1, '`')
  return text[i] === '/' && startsRegExp.test(text.slice(0, i)) ? closingRegExp(text, i + 1) : i
}

// The same text with everything that is no code replaced by blanks; lines stay where they are.
export const codeOnly = (text, { cpp }) => {
  const withoutMacros = cpp
    ? text.replace(/^[ \t]*#(?:[^\n]*\\\n)*[^\n]*/gm, (directive) => blank(directive))
    : text
  let out = ''
  for (let i = 0; i < withoutMacros.length;) {
    const end = endOfNonCode(withoutMacros, i, cpp)
    if (end === i) {
      out += withoutMacros[i]
      i += 1
    } else {
      const skipped = withoutMacros.slice(i, end)
      // A literal stays a word, so that a statement still ends with something.
      out += /^\/[/*]/.test(skipped) ? blank(skipped) : `_${blank(skipped).slice(1)}`
      i = end
    }
  }
  return out
}

const control = /\b(?:if|else|for|while|switch|catch|do|constexpr|with|return)\s*$/
// What may stand between the parameters and the body: qualifiers, then a type or initializers.
const afterParameters =
  /^\s*(?:(?:const|noexcept|override|final|mutable|try|&&?)\s*)*(?:(?:->|:)[^()]*)?\s*$/

// The text before the parenthesis that the last one in `header` closes, and what follows it.
const splitAtParameters = (header) => {
  const end = header.lastIndexOf(')')
  let depth = 0
  for (let i = end; i >= 0; i -= 1) {
    if (header[i] === ')') depth += 1
    if (header[i] === '(') depth -= 1
    if (depth === 0) return end < 0 ? undefined : [header.slice(0, i), header.slice(end + 1)]
  }
  return undefined
}

// Whether the block that follows `header` is the body of a function.
const opensFunction = (header) => {
  if (/=>\s*$/.test(header)) return true
  const parts = splitAtParameters(header)
  return parts !== undefined && afterParameters.test(parts[1]) && !control.test(parts[0])
}

// Whether a statement that reads `header` so far is over at the end of a line without a semicolon:
// in C++ never; elsewhere unless it ends with an operator or an opening bracket.
const endsWithLine = (header, { cpp }) => !cpp && /[\w)\]]\s*$/.test(header)

// Every function body of more than one line: [{ line, lines }], `line` being where its head starts.
export const functionsOf = (code, kind) => {
  const functions = []
  const open = []
  let header = ''
  let headerLine = 1
  let line = 1
  let parentheses = 0
  const isEnd = (character) => character === '\n' && endsWithLine(header, kind)
  for (const character of code) {
    if (character === '\n') line += 1
    if (header.trim() === '') headerLine = line
    if (character === '{') {
      open.push({ header, headerLine, line, parentheses, isFunction: opensFunction(header) })
      header = ''
      parentheses = 0
    } else if (character === '}') {
      const block = open.pop()
      header = ''
      if (!block) continue
      parentheses = block.parentheses
      // A block on one line, like an initializer, is a part of the statement around it.
      if (block.line === line) {
        header = `${block.header} `
        headerLine = block.headerLine
      } else {
        header = parentheses > 0 ? `${block.header} ` : ''
        if (block.isFunction) {
          functions.push({ line: block.headerLine, lines: line - block.headerLine + 1 })
        }
      }
    } else if (parentheses === 0 && (character === ';' || isEnd(character))) {
      header = ''
    } else {
      if (character === '(') parentheses += 1
      if (character === ')') parentheses -= 1
      header += character
    }
  }
  return functions
}
