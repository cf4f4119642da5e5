// The main process's side of the observer.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { Observed, ObserverTask } from './messages.js'

const observerFile = fileURLToPath(new URL('observer.js', import.meta.url))

export class Watch {
  readonly #child: ChildProcess
  #observed: Observed | undefined

  constructor(task: ObserverTask) {
    this.#child = fork(observerFile)
    this.#child.on('message', (message) => {
      this.#observed = message as Observed
    })
    this.#child.send(task)
  }

  /** Ends it; what it has seen. */
  async stop(): Promise<Observed> {
    this.#child.send('stop')
    const [code, signal] = (await once(this.#child, 'close')) as [number | null, string | null]
    if (this.#observed && code === 0) return this.#observed
    throw new Error(`the observer ended with code ${code}, signal ${signal}`)
  }

  /** Resolves when it is gone; nobody is told what it has seen. */
  async kill(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#child.kill('SIGKILL')
    await once(this.#child, 'close')
  }
}
