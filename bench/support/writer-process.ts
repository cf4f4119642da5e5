// One of several processes that put rows into one store at the same time.
//
//   writer-process.js PEER DIRECTORY OUTSTANDING
//
// Sends 'ready', waits for an Order, follows it, sends puts per second, ends.
import { openPeer } from './peers.js'
import { put, runWindow } from './put-window.js'
import { someRows } from './rows.js'

export interface Order {
  seconds: number
  rows: number
  /** How many of them to put, again and again, and the number of the first one. */
  count: number
  first: number
}

const [name = '', directory = '', outstanding = ''] = process.argv.slice(2)

const peer = await openPeer(name, directory)
process.once('message', ({ seconds, rows, count, first }: Order) => {
  const some = someRows(count, rows, first, first)
  const work = async () => {
    const window = await runWindow(peer, some, put, Number(outstanding), seconds * 1000)
    process.send?.(window.operations / window.seconds)
    await peer.close()
    process.disconnect()
  }
  void work()
})
process.send?.('ready')
