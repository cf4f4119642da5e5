// The table of sites: who is where, who can be reached, and who has been heard when.
//
// Each site calls every other one and sends on the connection that it has made; what it receives
// comes on those that the others have made. So no two sites ever have to agree which one of two
// connections they keep.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net'

import { Caller } from './caller.js'
import { Connection, kinds } from './connection.js'
import { FrameError, type Frame } from './framing.js'
import {
  decodeHello,
  encodeHello,
  hostAndPort,
  maxSites,
  type Address,
  type Hello,
} from './hello.js'

// Batches of one site that are being processed at once; with more it is not read for a while.
const maxUnderWay = 64

export interface SitesOptions {
  group: string
  member: number
  /** Gets what another site has sent, in the order of its sending. Must not reject. */
  onBatch: (bytes: Buffer, from: number) => Promise<void>
  /** Nothing can be sent to it at the moment. */
  onLost: (member: number) => void
}

export class Sites {
  readonly #options: SitesOptions
  readonly #table = new Map<number, Caller>()
  readonly #strangers = new Set<Caller>() // called, and not known by their numbers yet
  readonly #incoming = new Set<Connection>()
  readonly #latest = new Map<number, Connection>() // the newest connection that a site has made
  readonly #heardAt = new Map<number, number>()
  #server: Server | undefined
  #address: Address = ''
  #over = false

  constructor(options: SitesOptions) {
    this.#options = options
  }

  /** Resolves with the address, the port being the system's choice where 0 is given. */
  async listen(address: Address): Promise<Address> {
    const { host, port } = hostAndPort(address)
    const server = createServer((socket) => {
      this.#accept(socket)
    })
    server.maxConnections = 4 * maxSites
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port }, resolve)
    })
    this.#address = `${host}:${(server.address() as AddressInfo).port}`
    return this.#address
  }

  get address(): Address {
    return this.#address
  }

  /** Calls whoever listens there. */
  call(address: Address): void {
    this.#strangers.add(this.#newCaller(address, undefined))
  }

  /** Somebody has said where a site listens. */
  learn(member: number, address: Address): void {
    if (this.#over || member === this.#options.member) return
    const known = this.#table.get(member)
    if (known) known.address = address
    else if (this.#table.size < maxSites) {
      this.#table.set(member, this.#newCaller(address, member))
    }
  }

  send(member: number, bytes: Uint8Array): boolean {
    return this.#table.get(member)?.send(bytes) === true
  }

  /** To how many it went. */
  broadcast(bytes: Uint8Array): number {
    let count = 0
    for (const caller of this.#table.values()) count += Number(caller.send(bytes))
    return count
  }

  isOpen(member: number): boolean {
    return this.#table.get(member)?.open === true
  }

  /** Sites that can be sent to. */
  get openCount(): number {
    let count = 0
    for (const { open } of this.#table.values()) count += Number(open)
    return count
  }

  /** How long nothing has come from a site, in milliseconds; Infinity where nothing ever has. */
  silentMs(member: number): number {
    const at = this.#heardAt.get(member)
    return at === undefined ? Infinity : performance.now() - at
  }

  close(): void {
    this.#over = true
    this.#server?.close()
    for (const caller of this.#table.values()) caller.end()
    for (const caller of this.#strangers) caller.end()
    for (const connection of this.#incoming) connection.end()
  }

  #hello(): Hello {
    const { group, member } = this.#options
    const others = Array.from(this.#table, ([id, { address }]): [number, Address] => [id, address])
    return { group, member, address: this.#address, others }
  }

  #newCaller(address: Address, member: number | undefined): Caller {
    return new Caller(address, member, {
      hello: () => this.#hello(),
      onOpen: (hello, caller) => this.#onOpen(hello, caller),
      onLost: ({ member: lost }) => {
        if (lost !== undefined) this.#options.onLost(lost)
      },
    })
  }

  // False for one that is this site itself, or that another caller keeps up already.
  #onOpen(hello: Hello, caller: Caller): boolean {
    this.#strangers.delete(caller)
    const { member } = hello
    if (member === this.#options.member) return false
    if (!this.#table.has(member)) this.#table.set(member, caller)
    this.#learnAll(hello)
    return this.#table.get(member) === caller
  }

  #learnAll({ member, address, others }: Hello): void {
    this.learn(member, address)
    for (const [other, at] of others) if (!this.#table.has(other)) this.learn(other, at)
  }

  // --- what the others send

  #accept(socket: Socket): void {
    let from: number | undefined
    let underWay = 0
    const receive = async (body: Buffer, member: number, connection: Connection) => {
      this.#heardAt.set(member, performance.now())
      underWay += 1
      if (underWay === maxUnderWay) connection.pause()
      await this.#options.onBatch(body, member)
      if (underWay === maxUnderWay) connection.resume()
      underWay -= 1
    }
    const connection = new Connection(socket, {
      onFrame: (frame) => {
        if (from === undefined) from = this.#onHello(frame, connection)
        else if (frame.kind !== kinds.batch) throw new FrameError(`a frame of kind ${frame.kind}`)
        else void receive(frame.body, from, connection)
      },
      onEnd: () => {
        this.#incoming.delete(connection)
        if (from !== undefined && this.#latest.get(from) === connection) this.#latest.delete(from)
      },
    })
    this.#incoming.add(connection)
  }

  #onHello({ kind, body }: Frame, connection: Connection): number {
    if (kind !== kinds.hello) throw new FrameError('not a greeting')
    const hello = decodeHello(body)
    if (hello.group !== this.#options.group) throw new FrameError(`group ${hello.group}`)
    const { member } = hello
    connection.send(kinds.hello, encodeHello(this.#hello()))
    connection.trust()
    // What is left of an earlier one leads to a process that is gone, or will be noticed to be.
    this.#latest.get(member)?.end()
    this.#latest.set(member, connection)
    this.#learnAll(hello)
    return member
  }
}
