// The text in which db_dump of Berkeley DB and mdb_dump of LMDB write databases, and their db_load
// and mdb_load read them: VERSION=3.
//
//   VERSION=3
//   format=bytevalue       or print
//   type=btree             or hash, when it is read
//   database=name          where there are several
//   db_pagesize=4096       whatever else the writer knows
//   HEADER=END
//    6b6579                one blank, the key
//    76616c7565            one blank, its value
//   DATA=END
//
// Several databases follow each other. In `bytevalue` bytes are two hexadecimal digits each; in
// `print` the printable ASCII characters stand for themselves, `\\` for a backslash and `\xx` for
// every byte. Names are written as in `print`, with other UTF-8 as it is.
//
// What is written here is read alike by all four tools. So a backslash is written as `\5c`; that
// mdb_dump -p (0.9) writes it without an escape cannot be mended by a reader: take its `bytevalue`.
//
// Both directions are streams: no more is in memory than a chunk and one row.
import { isUtf8 } from 'node:buffer'
import { types } from 'node:util'

import { invalidArgument, RingleaderError, type ErrorCode } from './errors.js'
import { maxKeyBytes, maxValueBytes } from './limits.js'
import { checkInteger, checkStream, refuse } from './options.js'

export type DumpFormat = 'bytevalue' | 'print'

export interface DumpHeader {
  format: DumpFormat
  type: 'btree' | 'hash'
  /** undefined: the only database of its file. */
  database: string | undefined
  /** Keys may come several times, with different values. */
  duplicates: boolean
  /** All lines of the header but VERSION, format, type and database, in their order. */
  fields: ReadonlyMap<string, string>
}

export interface DumpRow {
  key: Uint8Array
  value: Uint8Array
}

/** What a dump consists of, in this order: a header, then its rows; the next header. */
export type DumpItem =
  | { kind: 'header'; header: DumpHeader; line: number }
  // `line` is that of the key, from 1.
  | ({ kind: 'row'; line: number } & DumpRow)

export interface DumpWriteOptions {
  /** Default: `bytevalue`. */
  format?: DumpFormat
  database?: string
  /**
   * Further lines of the header. mdb_load needs `mapsize` for more than a mebibyte; db_load refuses
   * a name that it does not know, and this is one.
   */
  fields?: Iterable<readonly [name: string, value: string | number]>
}

export interface DumpReadOptions {
  /** Default: 1,978. */
  maxKeyBytes?: number
  /** Default: 1 GiB. */
  maxValueBytes?: number
}

const chunkLength = 64 * 1024 // of text that is given out, about
const sliceBytes = 16 * 1024 // of a key or value that are written at a time
const maxHeaderLine = 4096
const maxHeaderLines = 100

const newline = 0x0a
const blank = 0x20
const backslash = 0x5c
const deleteByte = 0x7f

const escapes = Array.from({ length: 256 }, (_, byte) => `\\${byte.toString(16).padStart(2, '0')}`)

const escapeOf = (byte: number): string => escapes[byte] ?? ''

const isPlain = (byte: number) => byte >= blank && byte < deleteByte && byte !== backslash

const printed = (bytes: Buffer): string => {
  let text = ''
  for (const byte of bytes) text += isPlain(byte) ? String.fromCharCode(byte) : escapeOf(byte)
  return text
}

const hexadecimal = (bytes: Buffer): string => bytes.toString('hex')

const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const checkChunk = (chunk: Uint8Array): Uint8Array => {
  if (types.isUint8Array(chunk)) return chunk
  throw refuse('source', 'pieces that are strings or a Uint8Array', chunk)
}

const escapedName = (name: string): string =>
  // eslint-disable-next-line no-control-regex -- those are what has to be escaped
  name.replace(/[\0-\x1f\x7f\\]/g, (character) => escapeOf(character.charCodeAt(0)))

const headerText = ({ format = 'bytevalue', database, fields = [] }: DumpWriteOptions): string => {
  if (!formats.has(format)) throw refuse('format', 'bytevalue or print', format)
  const lines = ['VERSION=3', `format=${format}`, 'type=btree']
  if (database !== undefined) lines.push(`database=${escapedName(database)}`)
  for (const [name, value] of fields) {
    if (!/^[A-Za-z_]+$/.test(name) || /[\n\r]/.test(String(value)) || ownNames.has(name)) {
      throw invalidArgument(`fields: ${name}=${value} is no line of a header`)
    }
    lines.push(`${name}=${value}`)
  }
  return `${lines.join('\n')}\nHEADER=END\n`
}

const formats: ReadonlySet<string> = new Set(['bytevalue', 'print'] satisfies DumpFormat[])
const ownNames: ReadonlySet<string> = new Set(['VERSION', 'format', 'type', 'database', 'HEADER'])

/** The text of one database, in pieces. Those of several databases may follow each other. */
export const writeDump = async function* (
  options: DumpWriteOptions,
  rows: Iterable<DumpRow> | AsyncIterable<DumpRow>,
): AsyncGenerator<string, void, undefined> {
  const textOf = options.format === 'print' ? printed : hexadecimal
  let text = headerText(options)
  for await (const row of rows) {
    for (const bytes of [row.key, row.value]) {
      text += ' '
      const all = bufferOf(bytes)
      for (let from = 0; from < all.length; from += sliceBytes) {
        text += textOf(all.subarray(from, from + sliceBytes))
        if (text.length < chunkLength) continue
        yield text
        text = ''
      }
      text += '\n'
    }
    if (text.length < chunkLength) continue
    yield text
    text = ''
  }
  yield `${text}DATA=END\n`
}

// -1: none.
const digitOf = (byte = 0): number => {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1
}

type Fail = (code: ErrorCode, reason: string) => RingleaderError

// The bytes of the line that is being read. A long one arrives in many pieces, each of which is
// decoded at once; `rest` is what of the last one awaits its second half.
class LineDecoder {
  readonly #print: boolean
  readonly #limit: number
  readonly #fail: Fail
  #pieces: Buffer[] = []
  #length = 0
  #rest = ''

  constructor(format: DumpFormat, limit: number, fail: Fail) {
    this.#print = format === 'print'
    this.#limit = limit
    this.#fail = fail
  }

  add(piece: Buffer): void {
    const bytes = this.#print ? this.#fromPrint(piece) : this.#fromHexadecimal(piece)
    this.#length += bytes.length
    if (this.#length > this.#limit) {
      throw this.#fail('RL_TOO_LARGE', `more than ${this.#limit} bytes`)
    }
    this.#pieces.push(bytes)
  }

  take(): Buffer {
    if (this.#rest !== '') throw this.#fail('RL_CORRUPTION', 'ends in the middle of a byte')
    const [first] = this.#pieces
    return first && this.#pieces.length === 1 ? first : Buffer.concat(this.#pieces, this.#length)
  }

  #fromHexadecimal(piece: Buffer): Buffer {
    const digits = this.#rest + piece.toString('latin1')
    const whole = digits.length - (digits.length % 2)
    this.#rest = digits.slice(whole)
    const bytes = Buffer.from(digits.slice(0, whole), 'hex')
    // It stops at the first that is none.
    if (bytes.length * 2 !== whole || !/^[0-9a-f]?$/i.test(this.#rest)) {
      throw this.#fail('RL_CORRUPTION', 'something else than hexadecimal digits')
    }
    return bytes
  }

  #fromPrint(piece: Buffer): Buffer {
    const from = this.#rest === '' ? piece : Buffer.concat([Buffer.from(this.#rest), piece])
    this.#rest = ''
    const bytes = Buffer.allocUnsafeSlow(from.length)
    let length = 0
    for (let i = 0; i < from.length; i += 1) {
      const byte = from[i] ?? 0
      if (byte < blank || byte === deleteByte) {
        throw this.#fail('RL_CORRUPTION', `${escapeOf(byte)} without an escape`)
      }
      bytes[length] = byte
      length += 1
      if (byte !== backslash) continue
      const [escaped, used] = this.#escape(from, i + 1)
      if (used === 0) {
        this.#rest = from.toString('latin1', i)
        length -= 1
        break
      }
      bytes[length - 1] = escaped
      i += used
    }
    return bytes.subarray(0, length)
  }

  // The byte that is meant and the characters behind the backslash that say so; 0: not all there.
  #escape(from: Buffer, at: number): [byte: number, used: number] {
    if (from[at] === backslash) return [backslash, 1]
    const high = digitOf(from[at])
    const low = digitOf(from[at + 1])
    if (high >= 0 && low >= 0) return [high * 16 + low, 2]
    const isCutOff = at + 1 >= from.length && (at === from.length || high >= 0)
    if (isCutOff) return [0, 0]
    throw this.#fail('RL_CORRUPTION', 'no \\ and no two hexadecimal digits behind a \\')
  }
}

/**
 * Reads a dump that arrives in pieces of any size: `write` each of them, then `end`. What is no
 * dump is RL_CORRUPTION, a key or value over the limits RL_TOO_LARGE, a dump of anything but keys
 * and values RL_UNSUPPORTED; the message begins with the line. Nothing can be read after an error.
 */
export class DumpParser {
  readonly #maxKeyBytes: number
  readonly #maxValueBytes: number
  #line = 1
  #header: Map<string, string> | undefined // of which lines are awaited
  #format: DumpFormat = 'bytevalue'
  #text: Buffer = Buffer.alloc(0) // what is there of a line that is no data
  #data: LineDecoder | undefined // of the data line that is being read
  #key: Buffer | undefined
  #inData = false
  #databases = 0

  constructor(options: DumpReadOptions = {}) {
    const limit = (name: 'maxKeyBytes' | 'maxValueBytes', most: number) =>
      checkInteger(options[name] ?? most, name, 1, most)
    this.#maxKeyBytes = limit('maxKeyBytes', maxKeyBytes)
    this.#maxValueBytes = limit('maxValueBytes', maxValueBytes)
  }

  readonly #fail: Fail = (code, reason) =>
    new RingleaderError(code, `line ${this.#line}: ${reason}`)

  #corrupt(reason: string): RingleaderError {
    return this.#fail('RL_CORRUPTION', reason)
  }

  /** What is complete with this chunk. Nothing of it is shared with the chunk. */
  write(chunk: Uint8Array | string): DumpItem[] {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : bufferOf(checkChunk(chunk))
    const items: DumpItem[] = []
    let from = 0
    while (from < bytes.length) {
      const found = bytes.indexOf(newline, from)
      const to = found < 0 ? bytes.length : found
      this.#addPiece(bytes.subarray(from, to))
      from = to + 1
      if (found < 0) break
      this.#endLine(items)
      this.#line += 1
    }
    return items
  }

  /** The dump has to be complete; the newline behind its last line may be missing. */
  end(): void {
    if (this.#text.length > 0) this.#endLine([])
    if (this.#inData) throw this.#corrupt('ends before DATA=END')
    if (this.#header) throw this.#corrupt('ends before HEADER=END')
    if (this.#databases === 0) throw this.#corrupt('nothing there; VERSION=3 is expected')
  }

  #addPiece(piece: Buffer): void {
    if (piece.length === 0) return
    if (this.#data) {
      this.#data.add(piece)
    } else if (this.#inData && this.#text.length === 0 && piece[0] === blank) {
      const limit = this.#key ? this.#maxValueBytes : this.#maxKeyBytes
      this.#data = new LineDecoder(this.#format, limit, this.#fail)
      this.#data.add(piece.subarray(1))
    } else {
      this.#text = Buffer.concat([this.#text, piece])
      if (this.#text.length > maxHeaderLine) throw this.#corrupt('a line that is too long')
    }
  }

  #endLine(items: DumpItem[]): void {
    if (this.#data) {
      this.#endDataLine(this.#data.take(), items)
      return
    }
    if (!isUtf8(this.#text)) throw this.#corrupt('not UTF-8')
    const text = this.#text.toString()
    this.#text = Buffer.alloc(0)
    if (this.#inData) this.#endData(text)
    else if (this.#header) this.#headerLine(this.#header, text, items)
    else this.#begin(text)
  }

  #endDataLine(bytes: Buffer, items: DumpItem[]): void {
    this.#data = undefined
    if (this.#key) {
      items.push({ kind: 'row', key: this.#key, value: bytes, line: this.#line - 1 })
      this.#key = undefined
    } else {
      this.#key = bytes
    }
  }

  #endData(text: string): void {
    if (text !== 'DATA=END') throw this.#corrupt('neither a blank and data nor DATA=END')
    if (this.#key) throw this.#corrupt('DATA=END, but the last key has no value')
    this.#inData = false
  }

  #begin(text: string): void {
    if (text !== 'VERSION=3') throw this.#corrupt('VERSION=3 is expected')
    this.#header = new Map()
  }

  #headerLine(fields: Map<string, string>, text: string, items: DumpItem[]): void {
    if (text === 'HEADER=END') {
      items.push({ kind: 'header', header: this.#endHeader(fields), line: this.#line })
      return
    }
    const [, name, value] = /^([A-Za-z_]+)=([^\r]*)$/.exec(text) ?? []
    if (name === undefined || value === undefined) throw this.#corrupt('no name=value')
    if (name === 'VERSION' || name === 'HEADER') throw this.#corrupt(`${name} inside of a header`)
    if (fields.has(name)) throw this.#corrupt(`a second ${name}`)
    if (fields.size === maxHeaderLines) throw this.#corrupt('too many lines of a header')
    fields.set(name, name === 'database' ? this.#name(value) : value)
  }

  #name(escaped: string): string {
    const decoder = new LineDecoder('print', maxHeaderLine, this.#fail)
    decoder.add(Buffer.from(escaped))
    const bytes = decoder.take()
    if (!isUtf8(bytes)) throw this.#corrupt('the name of the database is not UTF-8')
    return bytes.toString()
  }

  #endHeader(fields: Map<string, string>): DumpHeader {
    const take = (name: string) => {
      const value = fields.get(name)
      fields.delete(name)
      return value
    }
    const format = take('format')
    const type = take('type')
    const database = take('database')
    if (format !== 'bytevalue' && format !== 'print') {
      throw this.#corrupt('a header without format=bytevalue or format=print')
    }
    if (type === undefined) throw this.#corrupt('a header without a type')
    if (type !== 'btree' && type !== 'hash') {
      throw this.#fail('RL_UNSUPPORTED', `type=${type}; btree and hash have keys and values`)
    }
    this.#format = format
    this.#header = undefined
    this.#inData = true
    this.#databases += 1
    const duplicates = fields.get('duplicates') === '1'
    return { format, type, database, duplicates, fields }
  }
}

/** Everything in a dump that arrives in chunks. Fails as DumpParser does. */
export const readDump = async function* (
  chunks: Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>,
  options: DumpReadOptions = {},
): AsyncGenerator<DumpItem, void, undefined> {
  const parser = new DumpParser(options)
  for await (const chunk of typeof chunks === 'string' ? [chunks] : checkStream(chunks, 'source')) {
    yield* parser.write(chunk)
  }
  parser.end()
}
