// A bulk load: rows go to a native thread in chunks, as fast as it takes them.
import type { NativeLoader } from './binding.js'
import type { Table } from './catalogue.js'
import { valueRoom, writeValue } from './encodings.js'
import { maxKeyBytes } from './limits.js'
import { checkRow, checkStream } from './options.js'

// Row header: key bytes u16 | value bytes u32.
const headerBytes = 6
const chunkBytes = 1 << 18
const mostWaitingBytes = 1 << 23

export type BulkRows<K, V> = Iterable<readonly [K, V]> | AsyncIterable<readonly [K, V]>

export class BulkLoad<K, V> {
  readonly #loader: NativeLoader
  readonly #table: Table
  #chunk = Buffer.allocUnsafeSlow(chunkBytes)
  #used = 0
  #waiting = 0 // bytes that were waiting at the last push
  #progress: (() => void) | undefined

  constructor(loader: NativeLoader, table: Table) {
    this.#loader = loader
    this.#table = table
    loader.onProgress = () => {
      this.#progress?.()
    }
  }

  /** Resolves with the number of rows. */
  async run(rows: BulkRows<K, V>): Promise<number> {
    try {
      for await (const row of checkStream(rows, 'rows')) {
        const [key, value] = checkRow(row)
        this.#add(key, value)
        if (this.#waiting > mostWaitingBytes) await this.#taken()
        // It has ended before its time: with an error, which this throws.
        if (this.#loader.result() !== undefined) break
      }
      this.#push()
      this.#loader.finish()
      return await this.#ended()
    } catch (error) {
      this.#loader.abort()
      await this.#ended().catch(() => undefined)
      throw error
    }
  }

  #add(key: unknown, value: unknown): void {
    const prepared = this.#table.values.prepare(value)
    const room = headerBytes + maxKeyBytes + valueRoom(prepared)
    if (this.#used + room > this.#chunk.length) this.#push()
    if (room > this.#chunk.length) this.#chunk = Buffer.allocUnsafeSlow(room)
    const keyAt = this.#used + headerBytes
    const keyEnd = this.#table.keys.write(key, this.#chunk, keyAt)
    const end = writeValue(prepared, this.#chunk, keyEnd)
    this.#chunk.writeUInt16LE(keyEnd - keyAt, this.#used)
    this.#chunk.writeUInt32LE(end - keyEnd, this.#used + 2)
    this.#used = end
  }

  #push(): void {
    if (this.#used === 0) return
    this.#waiting = this.#loader.push(this.#chunk.subarray(0, this.#used))
    this.#used = 0
  }

  #taken(): Promise<void> {
    this.#waiting = 0
    return new Promise((resolve) => {
      this.#progress = resolve
    })
  }

  async #ended(): Promise<number> {
    for (;;) {
      const rows = this.#loader.result()
      if (rows !== undefined) return rows
      await this.#taken()
    }
  }
}
