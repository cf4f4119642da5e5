// The databases of an environment as this thread knows them: names, ids and encodings.
//
// Rows begin with the id of their database, which changes when the database is cleared, and is gone
// when it is dropped, by whichever process. The addon notices and says so; then everything is
// looked up again. The encodings stand in the catalogue's row of a database, as JSON:
//   {"key":"utf8","value":"msgpack"}
import type { NativeDatabase, NativeStore } from './binding.js'
import {
  keyCodecs,
  valueCodecs,
  type KeyCodec,
  type KeyEncoding,
  type ValueCodec,
  type ValueEncoding,
} from './encodings.js'
import { invalidArgument, RingleaderError } from './errors.js'
import { asOptions, checkBoolean, checkKey, refuse } from './options.js'
import { isWellFormed } from './text.js'

export interface DatabaseOptions<K extends KeyEncoding = KeyEncoding, V = ValueEncoding> {
  /** Encoding of keys. Default: as it was made, `utf8` where it is new. */
  key?: K
  /** Encoding of values. Default: as it was made, `msgpack` where it is new. */
  value?: V
  /** Make the database where there is none of this name. Default: true. */
  create?: boolean
}

/** A database, as `Environment.databases` lists it. */
export interface DatabaseInfo {
  name: string
  key: KeyEncoding
  value: ValueEncoding
}

/** A database that somebody uses. */
export interface Table extends DatabaseInfo {
  /** 0: it has been dropped. */
  id: number
  readonly keys: KeyCodec<unknown>
  readonly values: ValueCodec<unknown>
}

const maxNameBytes = 255

const databaseOptionNames = ['key', 'value', 'create'] as const

const checkName = (name: unknown): string => {
  if (typeof name === 'string' && isWellFormed(name)) {
    const bytes = Buffer.byteLength(name)
    if (bytes >= 1 && bytes <= maxNameBytes) return name
  }
  throw refuse('name', `a string of 1 to ${maxNameBytes} bytes`, name)
}

const readInfo = ({ name, metadata }: NativeDatabase): DatabaseInfo => {
  try {
    const { key, value } = JSON.parse(Buffer.from(metadata).toString()) as Record<string, unknown>
    return {
      name,
      key: checkKey(key, 'key', keyCodecs),
      value: checkKey(value, 'value', valueCodecs),
    }
  } catch {
    throw new RingleaderError(
      'RL_NEWER_FORMAT',
      `database ${name}: its encodings are none that this version knows`,
    )
  }
}

export class Catalogue {
  readonly #native: NativeStore
  readonly #tables = new Map<string, Table>()
  #listed = new Map<string, NativeDatabase>()
  #state = 0
  /** Called when ids have changed: `ids` maps the ones until then to the tables. */
  readonly #onRefresh: (ids: ReadonlyMap<number, Table>) => void

  constructor(native: NativeStore, onRefresh: (ids: ReadonlyMap<number, Table>) => void) {
    this.#native = native
    this.#onRefresh = onRefresh
    this.refresh()
  }

  /** Tells one state of the catalogue from another; ids are good as of this one. */
  get state(): number {
    return this.#state
  }

  /** The tables by their ids. */
  ids(): Map<number, Table> {
    const ids = new Map<number, Table>()
    for (const table of this.#tables.values()) ids.set(table.id, table)
    return ids
  }

  /** Looks everything up. */
  refresh(): void {
    const { state, list } = this.#native.databases()
    this.#state = state
    this.#listed = new Map(list.map((database) => [database.name, database]))
    const before = this.ids()
    // Those that are gone stay: somebody may make them again.
    for (const table of this.#tables.values()) table.id = this.#idNow(table)
    this.#onRefresh(before)
  }

  // The same name with other encodings is another database.
  #idNow({ name, key, value }: Table): number {
    const found = this.#listed.get(name)
    if (!found) return 0
    const info = readInfo(found)
    return info.key === key && info.value === value ? found.id : 0
  }

  list(): DatabaseInfo[] {
    this.refresh()
    return Array.from(this.#listed.values(), readInfo)
  }

  /** The table of an id, for those who meet ids in the log. */
  tableOf(id: number): Table | undefined {
    for (const database of this.#listed.values()) {
      if (database.id === id) return this.#table(readInfo(database), id)
    }
    return undefined
  }

  /** Finds or makes a database. */
  open(name: unknown, options: unknown): Table {
    const given = asOptions(options, 'options', databaseOptionNames)
    const { key, value, create = true } = given
    const checked = checkName(name)
    const wanted = {
      key: key === undefined ? undefined : checkKey(key, 'key', keyCodecs),
      value: value === undefined ? undefined : checkKey(value, 'value', valueCodecs),
    }
    const make = checkBoolean(create, 'create')
    this.refresh()
    if (!this.#listed.has(checked)) {
      const { key = 'utf8', value = 'msgpack' } = wanted
      this.#native.openDatabase(checked, Buffer.from(JSON.stringify({ key, value })), make)
      this.refresh()
    }
    const found = this.#listed.get(checked)
    if (!found) throw droppedError(checked) // at this very moment, by somebody else
    const info = readInfo(found)
    for (const side of ['key', 'value'] as const) {
      if (wanted[side] === undefined || wanted[side] === info[side]) continue
      throw invalidArgument(`${side}: database ${checked} has ${info[side]}, not ${wanted[side]}`)
    }
    return this.#table(info, found.id)
  }

  #table(info: DatabaseInfo, id: number): Table {
    const known = this.#tables.get(info.name)
    const { key, value } = info
    if (known?.key === key && known.value === value) return known
    const table = { ...info, id, keys: keyCodecs[key], values: valueCodecs[value] }
    this.#tables.set(info.name, table)
    return table
  }
}

/** The id now; RL_DROPPED where there is none. */
export const currentId = ({ id, name }: Table): number => {
  if (id === 0) throw droppedError(name)
  return id
}

export const droppedError = (name: string) =>
  new RingleaderError('RL_DROPPED', `database ${name} has been dropped`)
