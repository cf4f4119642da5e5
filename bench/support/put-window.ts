// Puts for a time, with so many outstanding: each is a loop that awaits one put after the other, as
// the requests of a server would.
import type { Peer } from './peer.js'
import { checkValue, type SomeRows } from './rows.js'

export type Operation = (peer: Peer, rows: SomeRows, i: number) => Promise<unknown>

const at = <T>(items: ArrayLike<T>, i: number): T => items[i] as T

export const put: Operation = (peer, { keys, values }, i) => peer.put(at(keys, i), at(values, i))

export const change: Operation = async (peer, { numbers, keys, values }, i) =>
  peer.change?.(at(keys, i), (before) => {
    checkValue(before, at(numbers, i))
    return at(values, i)
  })

export interface Window {
  operations: number
  seconds: number
}

export const runWindow = async (
  peer: Peer,
  rows: SomeRows,
  operation: Operation,
  outstanding: number,
  forMs: number,
): Promise<Window> => {
  const { length } = rows.keys
  let operations = 0
  const began = performance.now()
  const until = began + forMs
  const loop = async () => {
    while (performance.now() < until) {
      const i = operations % length
      operations += 1
      await operation(peer, rows, i)
    }
  }
  await Promise.all(Array.from({ length: Math.min(outstanding, length) }, loop))
  const seconds = (performance.now() - began) / 1000
  for (let i = 0; i < Math.min(operations, length, 1000); i += 1) {
    checkWritten(peer, rows, i)
  }
  return { operations, seconds }
}

const checkWritten = (peer: Peer, { numbers, keys, values }: SomeRows, i: number) => {
  const found = peer.get(at(keys, i))
  checkValue(found, at(numbers, i))
  if (!found || !at(values, i).equals(found)) throw new Error(`row ${at(numbers, i)}: an old value`)
}
