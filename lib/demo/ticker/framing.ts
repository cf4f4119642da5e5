// Frames in a stream of bytes, which may be anybody's:
//
//   4 bytes   length of the body, big-endian
//   1 byte    kind
//   n bytes   body
//
// A length is believed only as far as the limit goes, and memory is taken for what has arrived, not
// for what is announced.
export const headBytes = 5

export interface Frame {
  kind: number
  body: Buffer
}

/** The stream is none of ours, or somebody means harm: the connection has to end. */
export class FrameError extends Error {}

/** The bytes in front of a body. */
export const frameHead = (kind: number, bodyBytes: number): Buffer => {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32BE(bodyBytes)
  head.writeUInt8(kind, 4)
  return head
}

export class FrameReader {
  /** Bytes that a body may have. May change between two frames. */
  limit: number
  #pieces: Buffer[] = []
  #bytes = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** The frames that a piece of the stream completes. A body is valid until it is dropped. */
  *read(piece: Buffer): Generator<Frame, void> {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    while (this.#bytes >= headBytes) {
      const length = this.#front(headBytes).readUInt32BE()
      if (length > this.limit) {
        throw new FrameError(`a frame of ${length} bytes, where ${this.limit} are allowed`)
      }
      const whole = headBytes + length
      if (this.#bytes < whole) return
      const front = this.#front(whole)
      this.#pieces[0] = front.subarray(whole)
      this.#bytes -= whole
      yield { kind: front.readUInt8(4), body: front.subarray(headBytes, whole) }
    }
  }

  // A buffer that begins with so many bytes of those that are there. Pieces of a large frame are
  // put together once, when it is complete.
  #front(bytes: number): Buffer {
    let [first] = this.#pieces
    if (first === undefined || first.length < bytes) {
      first = Buffer.concat(this.#pieces)
      this.#pieces = [first]
    }
    return first
  }
}
