// One connection: a socket with frames on it.
import { connect, type Socket } from 'node:net'

import { frameHead, FrameReader, type Frame } from './framing.js'
import { hostAndPort, maxHelloBytes, type Address } from './hello.js'

export const kinds = { hello: 1, batch: 2 } as const

/** More than a message of the library, and than what is sent at once, ever has. */
export const maxBatchBytes = 32 * 2 ** 20

// What a site that reads too slowly may have waiting here. What is beyond it is dropped: the
// library asks for what does not arrive.
const maxWaitingBytes = 64 * 2 ** 20

const helloTimeoutMs = 5000

export interface ConnectionHandler {
  /** Throwing ends the connection. */
  onFrame: (frame: Frame, connection: Connection) => void
  /** Once, when it is over. */
  onEnd: (error: Error | undefined, connection: Connection) => void
}

export class Connection {
  readonly #socket: Socket
  readonly #reader = new FrameReader(maxHelloBytes)
  readonly #handler: ConnectionHandler
  #error: Error | undefined

  /** Whoever does not say who it is in time is let go. */
  constructor(socket: Socket, handler: ConnectionHandler) {
    this.#socket = socket
    this.#handler = handler
    socket.setNoDelay(true)
    socket.setTimeout(helloTimeoutMs, () => {
      this.end(new Error('no greeting'))
    })
    socket.on('data', (piece) => {
      this.#read(piece)
    })
    socket.on('error', (error) => {
      this.#error ??= error
    })
    socket.on('close', () => {
      handler.onEnd(this.#error, this)
    })
  }

  static to(address: Address, handler: ConnectionHandler): Connection {
    return new Connection(connect(hostAndPort(address)), handler)
  }

  /** The other side has said who it is: larger frames and silence are in order now. */
  trust(): void {
    this.#reader.limit = maxBatchBytes
    this.#socket.setTimeout(0)
  }

  /** Whether it goes out, as far as this computer is concerned. The body must not change. */
  send(kind: number, body: Uint8Array): boolean {
    const socket = this.#socket
    if (!socket.writable || socket.writableLength > maxWaitingBytes) return false
    socket.cork()
    socket.write(frameHead(kind, body.length))
    socket.write(body)
    socket.uncork()
    return true
  }

  /** Nothing more is read until `resume`. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  end(error?: Error): void {
    this.#error ??= error
    this.#socket.destroy()
  }

  #read(piece: Buffer): void {
    try {
      for (const frame of this.#reader.read(piece)) {
        if (this.#socket.destroyed) return
        this.#handler.onFrame(frame, this)
      }
    } catch (error) {
      this.end(error as Error)
    }
  }
}
