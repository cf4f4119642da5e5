// The main process's side of one member: its process, and what it has told.
import { fork, type ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { MemberTask, News, Order } from './messages.js'
import type { QueryCounts } from './queries.js'

const memberFile = fileURLToPath(new URL('member.js', import.meta.url))
const endTimeoutMs = 20_000

interface Events {
  news: [news: News]
  /** Neither by `kill` nor by `end`. */
  gone: [reason: string]
}

export class MemberProcess extends EventEmitter<Events> {
  readonly member: number
  readonly directory: string
  /** Where it listens, once it does. */
  address = ''
  /** Killed and not started again: what it has left in memory waits for the next one to open it. */
  killed = false
  readonly #queries: QueryCounts = { snapshots: 0, whole: 0, torn: 0 }
  readonly #told = new Set<News['kind']>()
  #child: ChildProcess | undefined
  #closed: Promise<void> = Promise.resolve()
  #expected = false

  constructor(member: number, directory: string) {
    super()
    this.member = member
    this.directory = directory
  }

  /** What it has answered, as a process that was not killed. */
  get queries(): Readonly<QueryCounts> {
    return this.#queries
  }

  start(task: Omit<MemberTask, 'kind' | 'member' | 'directory'>): void {
    const child = fork(memberFile, { serialization: 'advanced' })
    this.#child = child
    this.#expected = false
    this.#told.clear()
    this.killed = false
    let reason = ''
    child.on('message', (message) => {
      const news = message as News
      if (news.kind === 'listening') this.address = news.address
      else if (news.kind === 'failed') ({ reason } = news)
      else if (news.kind === 'ended') this.#count(news.queries)
      this.#told.add(news.kind)
      this.emit('news', news)
    })
    // Not 'exit': news may still be on its way then.
    this.#closed = once(child, 'close').then(([code, signal]) => {
      this.#child = undefined
      if (this.killed || (this.#expected && code === 0)) return
      this.emit('gone', reason || `code ${code}, signal ${signal}`)
    })
    const { member, directory } = this
    this.tell({ kind: 'begin', member, directory, ...task })
  }

  tell(order: Order): void {
    this.#child?.send(order, () => undefined)
  }

  /** Resolves when it has told this, since it was started. */
  async until(kind: News['kind'], signal: AbortSignal): Promise<void> {
    while (!this.#told.has(kind)) await once(this, 'news', { signal })
  }

  /** Resolves when it is gone. */
  async kill(): Promise<void> {
    this.killed = true
    this.#child?.kill('SIGKILL')
    await this.#closed
  }

  /** Ends it in good order; with force, where that takes too long. */
  async end(): Promise<void> {
    const child = this.#child
    if (!child) return
    this.#expected = true
    this.tell({ kind: 'end' })
    const timer = setTimeout(() => {
      this.killed = true
      child.kill('SIGKILL')
    }, endTimeoutMs)
    await this.#closed
    clearTimeout(timer)
  }

  #count({ snapshots, whole, torn }: QueryCounts): void {
    this.#queries.snapshots += snapshots
    this.#queries.whole += whole
    this.#queries.torn += torn
  }
}
