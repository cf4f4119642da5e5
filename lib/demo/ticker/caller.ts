// Keeps up a connection to one site, to send on: calls it, greets, and calls again when it is lost.
import { Connection, kinds } from './connection.js'
import { FrameError, type Frame } from './framing.js'
import { decodeHello, encodeHello, type Address, type Hello } from './hello.js'

const firstPauseMs = 50
const longestPauseMs = 2000

export interface CallerHandler {
  /** What this site says of itself, now. */
  hello: () => Hello
  /** The other side has answered. False: it is not needed, and this is over. */
  onOpen: (hello: Hello, caller: Caller) => boolean
  onLost: (caller: Caller) => void
}

export class Caller {
  /** May change: used for the next call. */
  address: Address
  /** Undefined until the site has said who it is. */
  member: number | undefined
  readonly #handler: CallerHandler
  #connection: Connection | undefined
  #pauseMs = firstPauseMs
  #timer: NodeJS.Timeout | undefined
  #open = false
  #over = false

  constructor(address: Address, member: number | undefined, handler: CallerHandler) {
    this.address = address
    this.member = member
    this.#handler = handler
    this.#call()
  }

  get open(): boolean {
    return this.#open
  }

  send(bytes: Uint8Array): boolean {
    return this.#open && this.#connection?.send(kinds.batch, bytes) === true
  }

  /** For good. */
  end(): void {
    this.#over = true
    clearTimeout(this.#timer)
    this.#connection?.end()
  }

  #call(): void {
    this.#connection = Connection.to(this.address, {
      onFrame: (frame) => {
        this.#onHello(frame)
      },
      onEnd: () => {
        this.#onEnd()
      },
    })
    this.#connection.send(kinds.hello, encodeHello(this.#handler.hello()))
  }

  #onHello({ kind, body }: Frame): void {
    if (kind !== kinds.hello || this.#open) throw new FrameError('not a greeting')
    const hello = decodeHello(body)
    const { group } = this.#handler.hello()
    if (hello.group !== group) throw new FrameError(`a site of the group ${hello.group}`)
    if (this.member !== undefined && hello.member !== this.member) {
      throw new FrameError(`site ${hello.member} at the address of site ${this.member}`)
    }
    this.member = hello.member
    this.#open = true
    this.#pauseMs = firstPauseMs
    this.#connection?.trust()
    if (!this.#handler.onOpen(hello, this)) this.end()
  }

  #onEnd(): void {
    const wasOpen = this.#open
    this.#open = false
    if (this.#over) return
    this.#timer = setTimeout(() => {
      this.#call()
    }, this.#pauseMs)
    this.#pauseMs = Math.min(2 * this.#pauseMs, longestPauseMs)
    if (wasOpen) this.#handler.onLost(this)
  }
}
