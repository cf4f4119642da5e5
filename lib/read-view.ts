// What snapshots and transactions have in common: reads of all databases as of one moment.
import { tableWithin, type Database } from './database.js'
import type { EnvironmentContext } from './environment-context.js'
import { checkRangeOptions, type RangeOptions } from './environment-options.js'
import { refuse } from './options.js'
import { Range, type Pick, type RangeSource, type Row } from './range.js'
import type { SlotView } from './slot-view.js'
import type { Entry } from './store-reads.js'

export abstract class ReadView {
  readonly #context: EnvironmentContext
  readonly #view: SlotView
  #source: RangeSource | undefined // made for the first walk

  constructor(context: EnvironmentContext, view: SlotView) {
    this.#context = context
    this.#view = view
  }

  /** Position in the log up to which everything is seen, and nothing behind it. */
  get lsn(): number {
    return this.#view.lsn
  }

  /** As `Database.get`. */
  get<K, V>(database: Database<K, V>, key: K): V | undefined {
    const table = tableWithin(database, this.#context)
    return this.#context.reads.get(this.#view, table, key) as V | undefined
  }

  /** As `Database.getEntry`; the version of what the transaction itself has written is 0. */
  getEntry<K, V>(database: Database<K, V>, key: K): Entry<V> | undefined {
    const table = tableWithin(database, this.#context)
    return this.#context.reads.getEntry(this.#view, table, key) as Entry<V> | undefined
  }

  /** As `Database.getMany`, all of one moment. */
  getMany<K, V>(database: Database<K, V>, keys: Iterable<K>): (V | undefined)[] {
    const table = tableWithin(database, this.#context)
    if (typeof keys !== 'object') throw refuse('keys', 'an iterable', keys)
    const list = Array.isArray(keys) ? (keys as K[]) : Array.from(keys)
    return this.#context.reads.getMany(this.#view, table, list) as (V | undefined)[]
  }

  has<K, V>(database: Database<K, V>, key: K): boolean {
    return this.#context.reads.has(this.#view, tableWithin(database, this.#context), key)
  }

  /** As `Database.range`; several walks over the same moment. */
  range<K, V>(database: Database<K, V>, options?: RangeOptions<K>): Range<Row<K, V>> {
    return this.#range(database, options, 'row')
  }

  /** The keys of a range. */
  keys<K, V>(database: Database<K, V>, options?: RangeOptions<K>): Range<K> {
    return this.#range(database, options, 'key')
  }

  /** The values of a range. */
  values<K, V>(database: Database<K, V>, options?: RangeOptions<K>): Range<V> {
    return this.#range(database, options, 'value')
  }

  #range<T>(database: unknown, options: unknown, pick: Pick): Range<T> {
    const table = tableWithin(database, this.#context)
    const view = this.#view
    view.checkOpen()
    this.#source ??= { reads: this.#context.reads, view }
    return new Range<T>(this.#source, table, checkRangeOptions(options), pick)
  }
}
