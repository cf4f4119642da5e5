// What a write resolves with.
import type { Copy, Facts, Survival } from './binding.js'
import type { Appended } from './log-entry.js'

export type { Copy, Survival }

/** Who knows the facts. */
export interface FactSource {
  tokenOf(end: number, term: number): string
  factsOf(end: number, term: number): Facts
}

const sourceKey = Symbol('source')

/**
 * Where a commit stands in the log, and what is known of it. `end` is the version of the rows that
 * it has written, and what `waitFor` takes.
 *
 * What follows from other members' copies is looked up when it is asked for, and is as of then: on
 * the primary what the others have acknowledged, elsewhere the environment's own copy. Throws
 * RL_CLOSED once the environment is closed.
 */
export abstract class Receipt implements Appended {
  /** Position of its first byte. */
  readonly lsn: number
  /** Position behind its last byte. */
  readonly end: number
  /** The primary's reign; 0 in an environment without a group, or where nothing was written. */
  readonly term: number
  // On the prototype: millions of receipts are made that nobody asks anything.
  declare protected readonly [sourceKey]: FactSource

  constructor(lsn: number, end: number, term: number) {
    this.lsn = lsn
    this.end = end
    this.term = term
  }

  /** The members that are known to have it; none in an environment without a group. */
  get copies(): Copy[] {
    return this[sourceKey].factsOf(this.end, this.term).copies
  }

  /** What it survives: computed from what is known, never assumed. */
  get survives(): Survival {
    return this[sourceKey].factsOf(this.end, this.term).survives
  }

  /**
   * The application's transport could not hand it, or one after it, over to the others, and the
   * group has not committed it since.
   */
  get permanentFailed(): boolean {
    return this[sourceKey].factsOf(this.end, this.term).permanentFailed
  }

  /**
   * Its name for every member of the group, as text: for `waitFor` and `snapshotAt`, there or here.
   * Throws RL_BUSY in the moment in which a new primary's reign is not yet known to this process.
   */
  get token(): string {
    return this[sourceKey].tokenOf(this.end, this.term)
  }
}

/** What makes the receipts of one environment. */
export const receiptMaker = (source: FactSource) => {
  class EnvironmentReceipt extends Receipt {}
  Object.defineProperty(EnvironmentReceipt.prototype, sourceKey, { value: source })
  Object.defineProperty(EnvironmentReceipt, 'name', { value: 'Receipt' })
  return (lsn: number, end: number, term: number): Receipt => new EnvironmentReceipt(lsn, end, term)
}
