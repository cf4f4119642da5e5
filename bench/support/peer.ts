// What the benches ask of a store. Every peer brings the fastest way that its interface has for it;
// where a promise resolves, the write is flushed to the disk.

export interface Peer {
  readonly name: string
  /** Fills it with all rows, given in the order of their keys. */
  load(rows: Iterable<readonly [Buffer, Buffer]>): Promise<unknown>
  /** Resolves when the row is durable. */
  put(key: Buffer, value: Buffer): Promise<unknown>
  /** Many rows at once, for updates that are not measured. */
  putMany(rows: readonly (readonly [Buffer, Buffer])[]): Promise<unknown>
  /** The bytes of a value, which the caller may keep. */
  get(key: Buffer): Uint8Array | undefined
  /** The bytes of a value, good until the next call. */
  getTemporary?: (key: Buffer) => Uint8Array | undefined
  getMany?: (
    keys: Buffer[],
  ) => readonly (Uint8Array | undefined)[] | Promise<readonly (Uint8Array | undefined)[]>
  /** Walks over all rows; their number. */
  scan(row: (key: Uint8Array, value: Uint8Array) => void): number | Promise<number>
  /** A transaction: reads a row and puts what it is changed to. Resolves when that is durable. */
  change?: (key: Buffer, change: (value: Uint8Array | undefined) => Buffer) => Promise<unknown>
  /** Finishes whatever it does in the background. */
  settle?: () => Promise<unknown>
  close(): unknown
}

/**
 * One transaction for all puts of a turn of the event loop, for stores that leave this to the
 * application: `write` is given them together, and their promises settle when it is done.
 */
export class TurnBatch<T> {
  readonly #write: (items: T[]) => unknown
  #items: T[] = []
  #written: Promise<unknown> | undefined
  #running: Promise<unknown> = Promise.resolve()

  constructor(write: (items: T[]) => unknown) {
    this.#write = write
  }

  add(item: T): Promise<unknown> {
    this.#items.push(item)
    this.#written ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        this.#running.then(() => this.#flush()).then(resolve, reject)
      })
    })
    return this.#written
  }

  async #flush(): Promise<void> {
    const items = this.#items
    this.#items = []
    this.#written = undefined
    const writing = Promise.resolve(this.#write(items))
    this.#running = writing.catch(() => undefined)
    await writing
  }
}
