// What the objects of one environment share.
import type { NativeStore } from './binding.js'
import type { Catalogue } from './catalogue.js'
import type { CommitPipeline } from './commit-pipeline.js'
import type { Reject } from './pending-ring.js'
import type { StoreReads } from './store-reads.js'

export interface EnvironmentContext {
  readonly native: NativeStore
  readonly pipeline: CommitPipeline
  readonly catalogue: Catalogue
  readonly reads: StoreReads
  /** Of transactions whose functions have not ended. They do not keep the transactions alive. */
  readonly unended: Set<Reject>
}
