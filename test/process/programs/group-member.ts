// A member of a group in a process of its own: its transport is the channel to the process that
// started it, which carries the messages of all. Arguments: directory, member id.
import process from 'node:process'

import { Environment, RingleaderError } from 'ringleader'

import { groupId, quickGroup } from '../../support/groups.js'

/** What the channel carries to a member. */
export type Order =
  | { kind: 'message'; from: number; bytes: string }
  | { kind: 'start'; role: 'primary' | 'replica' }
  | { kind: 'elect' }
  | { kind: 'put'; key: string; value: number }
  | { kind: 'get'; key: string }

/** And from it. */
export type Told =
  | { kind: 'send'; to: number; bytes: string }
  | { kind: 'event'; name: string }
  | { kind: 'done'; result: unknown }

const [directory = '', id = ''] = process.argv.slice(2)
const tell = (told: Told) => process.send?.(told)

const env = await Environment.open(directory, { groupId, segmentBytes: 65_536, ringBytes: 65_536 })
const rep = env.replication({ memberId: Number(id), members: 3, ...quickGroup })
const rows = () => env.database<string, number>('rows')

rep.setTransport({
  sendBatch: (to, bytes) =>
    tell({ kind: 'send', to, bytes: Buffer.from(bytes).toString('base64') }),
})
for (const name of ['elected', 'primary', 'replica', 'newPrimary', 'rolledBack'] as const) {
  rep.on(name, () => tell({ kind: 'event', name }))
}

const carryOut = async (order: Order): Promise<unknown> => {
  switch (order.kind) {
    case 'message':
      await rep.processMessages(Buffer.from(order.bytes, 'base64'), order.from)
      return undefined
    case 'start':
      await rep.start(order.role)
      return order.role
    case 'elect':
      return rep.elect({ members: 3, timeoutMs: 60_000 })
    case 'put':
      await rows().put(order.key, order.value, { durability: 'quorum' })
      return order.key
    case 'get':
      return rows().get(order.key)
  }
}

process.on('message', (order: Order) => {
  carryOut(order).then(
    (result) => {
      if (order.kind !== 'message') tell({ kind: 'done', result })
    },
    (error: unknown) => {
      // Of messages that are refused the protocol takes care.
      const code = error instanceof RingleaderError ? error.code : String(error)
      if (order.kind !== 'message') tell({ kind: 'done', result: { code } })
    },
  )
})
tell({ kind: 'done', result: 'up' })
