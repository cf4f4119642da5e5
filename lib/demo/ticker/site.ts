// A site: an environment, its replication, and everything that the library leaves to the
// application: sockets, the table of sites, elections.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'

import { Environment, Replication, sendFlags, type EnvironmentOptions } from '../../index.js'
import { defaultRules, Elections, type ElectionRules } from './elections.js'
import { isAddress, type Address } from './hello.js'
import { Sites } from './sites.js'

export interface SiteOptions {
  /** Number of this site in the group, the same for all of them. */
  member: number
  home: string
  /** Name of the group. */
  group: string
  /** All sites of the group, those that are down as well. */
  members: number
  listen: Address
  /** Some of the others; they know the rest. */
  remotes: readonly Address[]
  /** 0: never leads. */
  priority: number
  /** Begins the group as its primary. Only with a home that is new. */
  found: boolean
  environment?: EnvironmentOptions
  rules?: Partial<ElectionRules>
  /** Gets a line for each thing that happens. */
  say: (text: string) => void
  /** Called when it listens, and has not begun to take part yet. */
  onOpen?: (site: Site) => void
}

export const isNewHome = (home: string): boolean =>
  !existsSync(home) || readdirSync(home).length === 0

export class Site {
  readonly env: Environment
  readonly rep: Replication
  readonly sites: Sites
  readonly elections: Elections
  readonly #members: number

  private constructor(env: Environment, options: SiteOptions) {
    const { member, members, priority, group, say } = options
    this.env = env
    this.#members = members
    this.rep = env.replication({ memberId: member, members, priority })
    this.sites = new Sites({
      group,
      member,
      onBatch: (bytes, from) => this.#process(bytes, from),
      onLost: (lost) => {
        say(`connection to site ${lost} is lost`)
        this.elections.lost(lost)
      },
    })
    this.elections = new Elections({
      rep: this.rep,
      rules: { ...defaultRules, members, priority, ...options.rules },
      silentMs: (id) => this.sites.silentMs(id),
      say,
    })
    this.rep.setTransport({ sendBatch: (to, bytes, info) => this.#send(to, bytes, info.flags) })
    this.#tell(say)
  }

  static async open(options: SiteOptions): Promise<Site> {
    const { home, group, found, say } = options
    // A home that has been used knows better than its user who may lead.
    const isFounder = found && isNewHome(home)
    if (found && !isFounder) say(`${home} is not new: starting as a replica`)
    const groupId = createHash('sha256').update(group).digest().subarray(0, 16)
    const env = await Environment.open(home, { ...options.environment, groupId })
    const site = new Site(env, options)
    try {
      const address = await site.sites.listen(options.listen)
      say(`site ${options.member} listens on ${address}`)
      options.onOpen?.(site)
      await site.rep.start(isFounder ? 'primary' : 'replica', Buffer.from(address))
      for (const remote of options.remotes) site.sites.call(remote)
    } catch (error) {
      await site.close().catch(() => undefined)
      throw error
    }
    return site
  }

  /** Enough sites, this one among them, to commit. */
  get hasQuorum(): boolean {
    return this.sites.openCount + 1 > this.#members / 2
  }

  async close(): Promise<void> {
    this.elections.close()
    try {
      await this.env.close()
    } finally {
      this.sites.close()
    }
  }

  // What is permanent has been sent well when enough sites can be reached: which ones does not
  // matter, and the library waits for what they acknowledge.
  #send(to: number, bytes: Uint8Array, flags: number): boolean {
    const sent =
      to === Replication.broadcast ? this.sites.broadcast(bytes) > 0 : this.sites.send(to, bytes)
    return (flags & sendFlags.permanent) === 0 ? sent : this.hasQuorum
  }

  // What another site has sent is none of this one's making: it is counted in `rep.stat()` when the
  // library refuses it, and has done nothing.
  async #process(bytes: Buffer, from: number): Promise<void> {
    await this.rep.processMessages(bytes, from).catch(() => undefined)
  }

  #tell(say: (text: string) => void): void {
    const { rep, sites } = this
    rep.on('newMember', ({ member, contact }) => {
      const address = Buffer.from(contact).toString()
      if (isAddress(address)) sites.learn(member, address)
    })
    rep.on('primary', () => {
      say('this site is the primary')
    })
    rep.on('replica', () => {
      say('this site is a replica')
    })
    rep.on('newPrimary', (id) => {
      say(`the primary is site ${id}`)
    })
    rep.on('startupDone', () => {
      say('caught up')
    })
    rep.on('snapshotDone', () => {
      say('filled by a snapshot')
    })
    rep.on('rolledBack', ({ lsn }) => {
      say(`rolled back to ${lsn}: what was behind it is kept in ${this.env.directory}`)
    })
    rep.on('permanentFailed', ({ lsn }) => {
      say(`too few sites could be sent ${lsn}`)
    })
    rep.on('joinFailure', () => {
      say('too old for the logs of the others, and snapshots are off')
    })
    rep.on('halted', (reason) => {
      say(`halted: ${reason}`)
    })
    rep.on('failed', (error) => {
      say(`failed: ${error.message}`)
    })
  }
}
