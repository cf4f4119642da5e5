// The main process's side of one writer: its share, what it has acknowledged, its process.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { Report, Task } from './messages.js'

const workerFile = fileURLToPath(new URL('worker.js', import.meta.url))

export class Writer {
  readonly share: Uint32Array
  /** Of every attempt, the cities whose acknowledgement has arrived here. */
  readonly acknowledged: Set<number>[] = []
  readonly #done = new Set<number>()
  #child: ChildProcess | undefined

  constructor(share: Uint32Array) {
    this.share = share
  }

  /** Cities acknowledged, of whichever attempt. */
  get count(): number {
    return this.#done.size
  }

  /**
   * Starts a process for what is not acknowledged yet. Resolves when it has ended: with true when
   * it had finished, with false when it was killed.
   */
  async run(
    task: Omit<Task, 'indices' | 'attempt'>,
    onReport: (report: Report) => void,
  ): Promise<boolean> {
    const acknowledged = new Set<number>()
    const attempt = this.acknowledged.push(acknowledged)
    const child = fork(workerFile, { serialization: 'advanced' })
    this.#child = child
    child.on('message', (message) => {
      const report = message as Report
      for (const index of report.acknowledged) {
        acknowledged.add(index)
        this.#done.add(index)
      }
      onReport(report)
    })
    const indices = this.share.filter((index) => !this.#done.has(index))
    child.send({ ...task, indices, attempt } satisfies Task)
    // Not 'exit': reports may still be on their way then.
    const [code, signal] = (await once(child, 'close')) as [number | null, string | null]
    this.#child = undefined
    if (signal === 'SIGKILL') return false
    if (code !== 0) throw new Error(`a writer ended with code ${code}, signal ${signal}`)
    return true
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }
}
