// The main process's side of one worker: its share, what has been acknowledged, its process.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { Report, Task } from './messages.js'

const workerFile = fileURLToPath(new URL('worker.js', import.meta.url))

export class Share {
  readonly batches: Uint32Array
  /** Batches whose acknowledgement has arrived here. */
  readonly acknowledged = new Set<number>()
  #child: ChildProcess | undefined

  constructor(batches: Uint32Array) {
    this.batches = batches
  }

  get done(): boolean {
    return this.acknowledged.size === this.batches.length
  }

  /**
   * Starts a process for what is not acknowledged yet. Resolves when it has ended: with true when
   * it had finished, with false when it was killed.
   */
  async run(task: Omit<Task, 'batches'>, onReport: (report: Report) => void): Promise<boolean> {
    const child = fork(workerFile, { serialization: 'advanced' })
    this.#child = child
    child.on('message', (message) => {
      const report = message as Report
      for (const batch of report.batches) this.acknowledged.add(batch)
      onReport(report)
    })
    const batches = this.batches.filter((batch) => !this.acknowledged.has(batch))
    child.send({ ...task, batches } satisfies Task)
    // Not 'exit': reports may still be on their way then.
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    this.#child = undefined
    if (signal === 'SIGKILL') return false
    if (code !== 0) throw new Error(`a worker ended with code ${code}, signal ${signal}`)
    return true
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }
}

/** Of batches 0 to `count` - 1, every N-th to every one of N shares. */
export const deal = (count: number, shares: number): Share[] =>
  Array.from(
    { length: shares },
    (_, first) =>
      new Share(
        Uint32Array.from(
          { length: Math.ceil((count - first) / shares) },
          (_, i) => first + i * shares,
        ),
      ),
  )
