// Databases as text and back, for the tools of Berkeley DB and LMDB and for whoever wants to read,
// keep or move them: dump-format.ts says how the text looks.
//
// What is written are the bytes of keys and values as they are stored, whatever their encodings: a
// row that goes out and comes in again is the same row. The format has no place for the encodings:
// there are no comments in it, db_load refuses a dump with a line in its header that it does not
// know, and mdb_load complains. So they are written only where they are asked for, as the lines
//   ringleader_key=utf8
//   ringleader_value=msgpack
// of the header; then `load` makes the databases anew as they were. Without, it makes databases
// with binary keys and values, or those that its options say, or takes those that are there; what
// their encodings cannot read does not get in.
import type { Table } from './catalogue.js'
import { contextOfDatabase, tableWithin, type Database } from './database.js'
import {
  readDump,
  writeDump,
  type DumpFormat,
  type DumpHeader,
  type DumpItem,
  type DumpRow,
} from './dump-format.js'
import { keyCodecs, valueCodecs, type KeyEncoding, type ValueEncoding } from './encodings.js'
import type { EnvironmentContext } from './environment-context.js'
import { contextOf, Environment } from './environment.js'
import type { Durability, LevelTable } from './durability.js'
import { checkRangeOptions, checkWriteOptions } from './environment-options.js'
import { RingleaderError } from './errors.js'
import type { Appended } from './log-entry.js'
import { maxKeyBytes } from './limits.js'
import { OperationList } from './operation-bytes.js'
import { asOptions, checkBoolean, checkInteger, checkKey, refuse } from './options.js'
import { Range, type Row } from './range.js'
import { SlotView } from './slot-view.js'

export interface DumpOptions {
  /** Default: `bytevalue`, two hexadecimal digits for every byte. */
  format?: DumpFormat
  /** Of an environment: the names of the databases, in this order. Default: all of them. */
  databases?: readonly string[]
  /** Write the encodings, for `load`; db_load refuses the dump then. Default: false. */
  encodings?: boolean
  /**
   * Further lines of each header. mdb_load needs a `mapsize` for more than a mebibyte; db_load
   * refuses a name that it does not know, and this is one.
   */
  fields?: Iterable<readonly [name: string, value: string | number]>
}

export interface LoadOptions {
  /** The database for a dump that names none. An environment needs it for such a dump. */
  database?: string
  /** Encoding of keys of the databases that are made. Default: as the dump says, or `binary`. */
  key?: KeyEncoding
  /** Encoding of values of the databases that are made. Default: as the dump says, or `binary`. */
  value?: ValueEncoding
  /** Rows of about as many bytes are one transaction: 1 to 1 GiB. Default: 1 MiB. */
  batchBytes?: number
  /** How durable everything is when `load` resolves. Default: the environment's. */
  durability?: Durability
}

/** What a `load` has put. */
export interface Loaded {
  databases: number
  rows: number
}

/** A dump that arrives: text or bytes, in pieces of any size, for example a file's stream. */
export type DumpSource = Iterable<Uint8Array | string> | AsyncIterable<Uint8Array | string>

const keyField = 'ringleader_key'
const valueField = 'ringleader_value'
const mebibyte = 2 ** 20
const maxBatchBytes = 2 ** 30

// The same rows, as bytes. The id of a table changes while it is in use.
const bytesOf = (table: Table): Table => ({
  name: table.name,
  key: 'binary',
  value: 'binary',
  get id() {
    return table.id
  },
  keys: keyCodecs.binary,
  values: valueCodecs.binary,
})

const allRows = checkRangeOptions(undefined)

const dumpOptionNames = [
  'format',
  'databases',
  'encodings',
  'fields',
] as const satisfies readonly (keyof DumpOptions)[]

const formats = { bytevalue: 0, print: 1 } as const satisfies Record<DumpFormat, number>

const checkDumpOptions = (options: unknown) => {
  const given = asOptions(options, 'options', dumpOptionNames)
  const { format = 'bytevalue', databases, encodings = false, fields = [] } = given
  if (databases !== undefined && !Array.isArray(databases)) {
    throw refuse('databases', 'an array of names', databases)
  }
  return {
    format: checkKey(format, 'format', formats),
    databases: databases as readonly string[] | undefined,
    encodings: checkBoolean(encodings, 'encodings'),
    fields: Array.from(fields as NonNullable<DumpOptions['fields']>),
  }
}

type CheckedDumpOptions = ReturnType<typeof checkDumpOptions>

const fieldsOf = ({ key, value }: Table, { encodings, fields }: CheckedDumpOptions) =>
  encodings ? [...fields, [keyField, key] as const, [valueField, value] as const] : fields

const writeTables = async function* (
  context: EnvironmentContext,
  tables: readonly Table[],
  options: CheckedDumpOptions,
  named: boolean,
): AsyncGenerator<string, void, undefined> {
  context.pipeline.checkOpen()
  const view = new SlotView(context, context.reads.openView())
  view.releaseWhenCollected()
  const source = { reads: context.reads, view }
  try {
    for (const table of tables) {
      const header = {
        format: options.format,
        fields: fieldsOf(table, options),
        ...(named && { database: table.name }),
      }
      const rows = new Range<Row<Uint8Array, Uint8Array>>(source, bytesOf(table), allRows, 'row')
      yield* writeDump(header, rows)
    }
  } finally {
    view.end(() => new RingleaderError('RL_TRANSACTION_ENDED', 'the dump has ended'))
    view.release()
  }
}

/**
 * The text of an environment's databases, each under its name, or of one database, without its
 * name. Every loop over it is a walk over one moment's rows, of all databases alike, which begins
 * with the loop; leaving the loop ends it. An environment without databases has no text.
 *
 * Throws, with fate `none`, RL_NOT_FOUND for a name that no database has, RL_INVALID_ARGUMENT and
 * RL_CLOSED. The loop fails as reads do, and with RL_NOT_FOUND for a database that is dropped
 * before it begins.
 */
export const dump = <K, V>(
  source: Environment | Database<K, V>,
  options?: DumpOptions,
): AsyncIterable<string> => {
  const checked = checkDumpOptions(options)
  const named = source instanceof Environment
  const context = named ? contextOf(source) : contextOfDatabase(source)
  context.pipeline.checkOpen()
  const tables = named ? tablesOf(context, checked.databases) : [tableWithin(source, context)]
  if (!named && checked.databases !== undefined) {
    throw refuse('databases', 'nothing beside one database', checked.databases)
  }
  return {
    [Symbol.asyncIterator]: () => writeTables(context, tables, checked, named),
  }
}

const tablesOf = (
  { catalogue }: EnvironmentContext,
  names: readonly string[] = catalogue.list().map(({ name }) => name),
): Table[] => names.map((name) => catalogue.open(name, { create: false }))

const loadOptionNames = [
  'database',
  'key',
  'value',
  'batchBytes',
  'durability',
] as const satisfies readonly (keyof LoadOptions)[]

const checkLoadOptions = (options: unknown, levels: LevelTable) => {
  const given = asOptions(options, 'options', loadOptionNames)
  const { database, key, value, batchBytes = mebibyte, durability } = given
  if (database !== undefined && typeof database !== 'string') {
    throw refuse('database', 'a name', database)
  }
  return {
    database,
    key: key === undefined ? undefined : checkKey(key, 'key', keyCodecs),
    value: value === undefined ? undefined : checkKey(value, 'value', valueCodecs),
    batchBytes: checkInteger(batchBytes, 'batchBytes', 1, maxBatchBytes),
    level: checkWriteOptions({ durability }, levels),
  }
}

type CheckedLoadOptions = ReturnType<typeof checkLoadOptions>

const at = (line: number, code: RingleaderError['code'], reason: string) =>
  new RingleaderError(code, `line ${line}: ${reason}`)

const scratch = Buffer.alloc(maxKeyBytes)

// Bytes that the database's encodings can read, and a key that is found again by what is read.
const checkRow = (
  { name, key, value, keys, values }: Table,
  row: { key: Buffer; value: Buffer },
  line: number,
): void => {
  try {
    if (row.key.length === 0) throw new Error('a key has at least one byte')
    if (key !== 'binary') {
      const end = keys.write(keys.read(row.key, 0, row.key.length), scratch, 0)
      if (!row.key.equals(scratch.subarray(0, end))) {
        throw new Error(`the key is not as ${key} would be written`)
      }
    }
    if (value !== 'binary') values.read(row.value, 0, row.value.length)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw at(line, 'RL_INVALID_ARGUMENT', `no row for database ${name}: ${reason}`)
  }
}

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer =>
  Buffer.from(buffer, byteOffset, length)

class Loader {
  readonly #context: EnvironmentContext
  readonly #only: Table | undefined // all rows go there
  readonly #options: CheckedLoadOptions
  readonly #loaded: Loaded = { databases: 0, rows: 0 }
  #table: Table | undefined
  #bytes: Table | undefined // the same, for rows as bytes
  #operations = new OperationList()
  #running: Promise<Appended> | undefined

  constructor(context: EnvironmentContext, only: Table | undefined, options: CheckedLoadOptions) {
    this.#context = context
    this.#only = only
    this.#options = options
  }

  async run(source: DumpSource): Promise<Loaded> {
    try {
      for await (const item of readDump(source)) {
        if (item.kind === 'header') await this.#begin(item.header, item.line)
        else this.#add(item)
        if (this.#operations.bytes.length >= this.#options.batchBytes) await this.#commit()
      }
      await this.#commit()
      await this.#running
    } catch (error) {
      // What is under way ends first: its promise is nobody else's.
      await this.#running?.catch(() => undefined)
      throw error
    }
    return this.#loaded
  }

  async #begin(header: DumpHeader, line: number): Promise<void> {
    await this.#commit()
    if (header.duplicates) {
      throw at(line, 'RL_UNSUPPORTED', 'duplicates=1; a key has one value here')
    }
    this.#table = this.#only ? this.#theOnly(this.#only, line) : this.#open(header, line)
    this.#bytes = bytesOf(this.#table)
    this.#loaded.databases += 1
  }

  #theOnly(only: Table, line: number): Table {
    if (this.#loaded.databases === 0) return only
    throw at(line, 'RL_INVALID_ARGUMENT', 'a second database; load this into an environment')
  }

  #open({ database, fields }: DumpHeader, line: number): Table {
    const { catalogue, pipeline } = this.#context
    pipeline.checkOpen()
    const name = database ?? this.#options.database
    if (name === undefined) {
      throw at(line, 'RL_INVALID_ARGUMENT', 'the dump names no database, nor does an option')
    }
    const known = catalogue.list().some((info) => info.name === name)
    if (known) return catalogue.open(name, { create: false })
    const { key, value } = this.#options
    return catalogue.open(name, {
      key: key ?? fields.get(keyField) ?? 'binary',
      value: value ?? fields.get(valueField) ?? 'binary',
    })
  }

  #add({ line, ...row }: DumpItem & DumpRow): void {
    if (!this.#table || !this.#bytes) throw at(line, 'RL_CORRUPTION', 'a row without a header')
    checkRow(this.#table, { key: asBuffer(row.key), value: asBuffer(row.value) }, line)
    this.#operations.put(this.#bytes, row.key, row.value)
    this.#loaded.rows += 1
  }

  // One transaction is on its way to the disk while the rows of the next one are read.
  async #commit(): Promise<void> {
    const { pipeline } = this.#context
    await this.#running
    pipeline.checkOpen()
    if (this.#operations.bytes.length === 0) return
    this.#running = pipeline.batch(this.#operations, this.#options.level)
    this.#operations = new OperationList()
  }
}

/**
 * Puts the rows of a dump: into the databases of an environment that it names, made where they are
 * missing, or into one database. Rows that are there and not in the dump stay. Resolves with what
 * it has put when all of it is as durable as asked for.
 *
 * Rows are committed in transactions of about `batchBytes`, in their order; when it rejects, those
 * before are there. Rejects with RL_CORRUPTION (no dump), RL_TOO_LARGE (a key or value),
 * RL_UNSUPPORTED (duplicates, or records without keys), RL_INVALID_ARGUMENT (a row that the
 * database's encodings cannot read; a dump without a name, or with several databases for one), each
 * with the line; otherwise as writes do, and as the source does.
 */
export const load = async <K, V>(
  target: Environment | Database<K, V>,
  source: DumpSource,
  options?: LoadOptions,
): Promise<Loaded> => {
  const whole = target instanceof Environment
  const context = whole ? contextOf(target) : contextOfDatabase(target)
  context.pipeline.checkOpen()
  const checked = checkLoadOptions(options, context.pipeline.levels)
  const only = whole ? undefined : tableWithin(target, context)
  return new Loader(context, only, checked).run(source)
}
