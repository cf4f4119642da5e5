// What the compiler accepts and refuses of replication. Nothing here runs.
import { Replication, sendFlags, type Environment, type ProcessResult } from 'ringleader'

export const replicate = async (env: Environment): Promise<ProcessResult> => {
  const rep: Replication = env.replication({ memberId: 1, view: true, ackLevel: 'applied' })
  rep.setTransport((to, control, record, lsn, flags) => {
    const urgent = (flags & sendFlags.noBuffer) !== 0
    return urgent || (to !== Replication.broadcast && control.length + record.length > lsn)
  })
  rep.setTransport({
    sendBatch: async (to, bytes, { count, lsn, flags }) =>
      Promise.resolve(to + bytes.length + count + lsn + flags > 0),
  })
  rep.on('permanentFailed', ({ lsn }) => lsn.toFixed())
  rep.on('newMember', ({ member, contact }) => member + contact.length)
  // @ts-expect-error: there is no such event
  rep.on('none', () => undefined)
  // @ts-expect-error: a member has a name
  env.replication({ view: true })
  // @ts-expect-error: roles are two
  await rep.start('candidate')
  // @ts-expect-error: who sent it has to be said
  await rep.processMessage(new Uint8Array(), new Uint8Array())
  const { elected, primary } = await rep.elect({ members: 3, votes: 2 })
  if (elected && primary !== undefined) await rep.start('primary', new Uint8Array(1))
  return rep.processMessage(new Uint8Array(), new Uint8Array(), 2)
}
