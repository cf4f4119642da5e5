// The configurations that a search has been in, so that it goes into none twice: Lowe's memory for
// the search of Wing and Gong, in typed arrays. A configuration is what decides about the rest:
//
//   front   so many operations, in the order in which they returned, are all placed
//   state   of the key
//   placed  which of the operations that are open at the front are placed too: a set of slots
//   used    which operations of unknown fate have been made to take effect
//
// Whoever has used less may do whatever one who has used more may. So of two configurations that
// differ in that alone, one of which has used a subset, that one is as good as both.

/**
 * Sets of operations of unknown fate, as numbers; 0 is the empty one. Operations with the same
 * effect are of one class: it does not matter which of them is used, so the earliest is, and a set
 * is how many there are of each class.
 */
export class UsedSets {
  readonly #counts: Uint32Array[]
  readonly #ids = new Map<string, number>()

  constructor(classes: number) {
    const empty = new Uint32Array(classes)
    this.#counts = [empty]
    this.#ids.set(empty.join(), 0)
  }

  get size(): number {
    return this.#counts.length
  }

  countOf(set: number, of: number): number {
    return this.#counts[set]?.[of] ?? 0
  }

  /** The set with one more of a class. */
  with(set: number, of: number): number {
    const counts = Uint32Array.from(this.#counts[set] ?? [])
    counts[of] = (counts[of] ?? 0) + 1
    const name = counts.join()
    let id = this.#ids.get(name)
    if (id === undefined) {
      id = this.#counts.push(counts) - 1
      this.#ids.set(name, id)
    }
    return id
  }

  isWithin(set: number, other: number): boolean {
    if (set === other || set === 0) return true
    const counts = this.#counts[set] ?? []
    const others = this.#counts[other] ?? []
    for (let i = 0; i < counts.length; i += 1) if ((counts[i] ?? 0) > (others[i] ?? 0)) return false
    return true
  }
}

/** Places of the fields of a configuration; the words of `placed` follow. */
export const fields = { front: 0, state: 1, used: 2, placed: 3 } as const

const seedHash = 0x2545f491
const firstBuckets = 1024

export class Visited {
  readonly #width: number
  readonly #sets: UsedSets
  #entries: Int32Array // configurations, with the next one of the same bucket behind each
  #buckets: Int32Array // the first entry of each, from 1
  #size = 0
  /** How many have been compared: work that the size does not show. */
  compared = 0

  /** `width`: how many numbers a configuration is. */
  constructor(width: number, sets: UsedSets) {
    this.#width = width
    this.#sets = sets
    this.#buckets = new Int32Array(firstBuckets)
    this.#entries = new Int32Array(firstBuckets * (width + 1))
  }

  get size(): number {
    return this.#size
  }

  /** Adds a configuration; false where one as good is there. */
  add(configuration: Int32Array): boolean {
    const bucket = this.#bucketOf(configuration, 0)
    for (let entry = this.#buckets[bucket] ?? 0; entry > 0; entry = this.#nextOf(entry)) {
      this.compared += 1
      if (this.#covers(entry, configuration)) return false
    }
    this.#append(configuration, bucket)
    return true
  }

  #nextOf(entry: number): number {
    return this.#entries[entry * (this.#width + 1) - 1] ?? 0
  }

  #covers(entry: number, configuration: Int32Array): boolean {
    const start = (entry - 1) * (this.#width + 1)
    for (let i = 0; i < this.#width; i += 1) {
      if (i !== fields.used && this.#entries[start + i] !== configuration[i]) return false
    }
    const used = this.#entries[start + fields.used] ?? 0
    return this.#sets.isWithin(used, configuration[fields.used] ?? 0)
  }

  #bucketOf(numbers: Int32Array, start: number): number {
    let hash = seedHash
    for (let i = 0; i < this.#width; i += 1) {
      if (i === fields.used) continue
      hash = Math.imul(hash ^ (numbers[start + i] ?? 0), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    return (hash >>> 0) & (this.#buckets.length - 1)
  }

  #append(configuration: Int32Array, bucket: number): void {
    const stride = this.#width + 1
    if (this.#size * stride === this.#entries.length) {
      const entries = new Int32Array(2 * this.#entries.length)
      entries.set(this.#entries)
      this.#entries = entries
    }
    this.#entries.set(configuration, this.#size * stride)
    this.#size += 1
    this.#link(this.#size, bucket)
    if (this.#size > this.#buckets.length) this.#growBuckets()
  }

  #link(entry: number, bucket: number): void {
    this.#entries[entry * (this.#width + 1) - 1] = this.#buckets[bucket] ?? 0
    this.#buckets[bucket] = entry
  }

  #growBuckets(): void {
    this.#buckets = new Int32Array(2 * this.#buckets.length)
    for (let entry = 1; entry <= this.#size; entry += 1) {
      this.#link(entry, this.#bucketOf(this.#entries, (entry - 1) * (this.#width + 1)))
    }
  }
}
