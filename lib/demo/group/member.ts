// A member of the group: a process of its own, which may be killed at any moment.
//
// A site as the stock ticker has it (../ticker), with the tables of the cities: as the primary it
// loads what the main process asks for, as a replica it answers queries.
import process from 'node:process'

import { loadCities } from '../cities.js'
import { Site } from '../ticker/site.js'
import { Loader } from './loader.js'
import type { MemberTask, News, Order } from './messages.js'
import { Queries } from './queries.js'

const settleTimeoutMs = 60_000

const tell = (news: News) => {
  if (process.connected) process.send?.(news)
}

const openSite = (task: MemberTask): Promise<Site> =>
  Site.open({
    member: task.member,
    members: task.members,
    home: task.directory,
    group: 'cities',
    listen: '127.0.0.1:0',
    remotes: task.remotes,
    priority: 100,
    found: task.found,
    say: (text) => {
      tell({ kind: 'said', text })
    },
    onOpen: ({ rep, sites }) => {
      rep.on('primary', () => {
        tell({ kind: 'primary' })
      })
      rep.on('startupDone', () => {
        tell({ kind: 'caughtUp' })
      })
      rep.on('rolledBack', () => {
        tell({ kind: 'rolledBack' })
      })
      tell({ kind: 'listening', address: sites.address })
    },
  })

class Member {
  readonly #site: Site
  readonly #loader: Loader
  readonly #queries: Queries
  readonly #stop = new AbortController()
  readonly #answering: Promise<void>

  constructor(site: Site, records: number) {
    this.#site = site
    const { env, rep } = site
    const cities = loadCities(records)
    const report = (batches: Uint32Array, foundThere: number) => {
      tell({ kind: 'acknowledged', batches, foundThere })
    }
    this.#loader = new Loader({ env, cities, report })
    this.#queries = new Queries(env, cities, () => rep.role !== 'primary')
    this.#answering = this.#queries.run(this.#stop.signal)
  }

  async obey(order: Order): Promise<void> {
    if (order.kind === 'load') await this.#loader.run(order)
    else if (order.kind === 'settle') await this.#settle()
    else if (order.kind === 'end') await this.end()
  }

  async end(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#loader.stop()
    await this.#answering
    await this.#site.close()
    tell({ kind: 'ended', queries: this.#queries.counts })
    if (process.connected) process.disconnect()
  }

  // The last commit of all: who has applied it has applied everything before it.
  async #settle(): Promise<void> {
    const settled = this.#site.env.database<string, string>('settled', { value: 'utf8' })
    const durability = { copies: 2, at: 'applied', timeoutMs: settleTimeoutMs } as const
    await settled.put('all cities', 'loaded', { durability })
    tell({ kind: 'settled' })
  }
}

const fail = (error: unknown) => {
  tell({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
  process.exitCode = 1
  if (process.connected) process.disconnect()
  setImmediate(() => process.exit())
}

const begin = async (task: MemberTask) => new Member(await openSite(task), task.records)

// Ctrl-C is for the main process, which ends its members.
process.on('SIGINT', () => undefined)
process.once('message', (task) => {
  const begun = begin(task as MemberTask)
  begun.catch(fail)
  process.on('message', (order) => {
    begun.then((member) => member.obey(order as Order)).catch(fail)
  })
  // The main process is gone, or has had enough.
  process.once('disconnect', () => {
    begun.then((member) => member.end()).catch(fail)
  })
})
