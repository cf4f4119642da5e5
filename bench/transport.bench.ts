// Messages through a transport that the application brings, in batches: how many per second.
//
//   transport.bench.js [--messages N] [--bytes N] [--batch N] [--rounds N] [--dir DIR]
//
// A primary commits rows of so many bytes, each when the one before has been sent: so each travels
// in a message of its own, and the first figure is of the whole way there and back. The second is
// of what a transport has to do at the other end: the replica, which lacks them all, is handed the
// same messages in buffers of so many bytes (0: each by itself, through `processMessage`) until
// they are in its log, flushed, and applied.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { Environment } from 'ringleader'

import { figure, showSpread, spreadOf } from './support/statistics.js'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '30000' },
    bytes: { type: 'string', default: '400' },
    batch: { type: 'string', default: '65536' },
    rounds: { type: 'string', default: '5' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const messages = Number(values.messages)
const batchBytes = Number(values.batch)
const directory = mkdtempSync(join(values.dir, 'ringleader-bench-'))
const primaryId = 1
const replicaId = 2

interface Message {
  control: Uint8Array
  payload: Uint8Array
}

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await sleep(1)
}

const openMember = async (memberId: number, path: string) => {
  const env = await Environment.open(path, { groupId: '0123456789abcdef0123456789abcdef' })
  // Members that are cut off from each other do not call elections, and send on.
  const replication = env.replication({
    memberId,
    members: 2,
    electionTimeoutMs: 600_000,
    limitBytes: 0,
  })
  return { env, replication, log: () => env.stat().log }
}
type Member = Awaited<ReturnType<typeof openMember>>

const closeMember = async ({ env, replication }: Member): Promise<void> => {
  await replication.close()
  await env.close()
}

// Whoever closes does not wait for what it was given last.
const deliver = (to: Member, control: Uint8Array, payload: Uint8Array, from: number): void => {
  to.replication.processMessage(control, payload, from).catch(() => undefined)
}

/** The messages, and a replica that lacks just them. */
const record = async (path: string) => {
  const primary = await openMember(primaryId, join(path, 'primary'))
  const replica = await openMember(replicaId, join(path, 'replica'))
  const recorded: Message[] = []
  let live = true
  let recordedTo = 0
  primary.replication.setTransport((_to, control, payload, lsn) => {
    if (live) deliver(replica, control, payload, primaryId)
    else if (lsn > recordedTo) {
      recordedTo = lsn
      recorded.push({ control, payload })
    }
  })
  replica.replication.setTransport((_to, control, payload) => {
    // Its first message finds nobody.
    if (live && primary.replication.role) deliver(primary, control, payload, replicaId)
  })
  await replica.replication.start('replica')
  await primary.replication.start('primary')
  const rows = primary.env.database<string, string>('rows', { key: 'utf8', value: 'utf8' })
  await rows.put('first', 'row')
  await until(() => replica.log().durable === primary.log().durable)
  live = false
  const value = 'x'.repeat(Number(values.bytes))
  const began = performance.now()
  for (let i = 0; i < messages; i += 1) {
    const { lsn } = await rows.put(i.toString().padStart(8, '0'), value, { durability: 'memory' })
    while (recordedTo <= lsn) await turn()
  }
  const perSecond = (1000 * recorded.length) / (performance.now() - began)
  await closeMember(primary)
  return { replica, recorded, perSecond }
}

// What `sendBatch` on the other side would have given, so many bytes at a time.
const inBatches = (recorded: readonly Message[]): Uint8Array[] => {
  const batches: Uint8Array[] = []
  let parts: Uint8Array[] = []
  let bytes = 0
  const finish = () => {
    if (bytes > 0) batches.push(Buffer.concat(parts))
    parts = []
    bytes = 0
  }
  for (const { control, payload } of recorded) {
    parts.push(control, payload)
    bytes += control.length + payload.length
    if (bytes >= batchBytes) finish()
  }
  finish()
  return batches
}

const receive = async (replica: Member, recorded: readonly Message[]) => {
  const batches = batchBytes > 0 ? inBatches(recorded) : []
  const began = performance.now()
  const results: Promise<unknown>[] = batches.map((bytes) =>
    replica.replication.processMessages(bytes, primaryId),
  )
  for (const { control, payload } of batchBytes > 0 ? [] : recorded) {
    results.push(replica.replication.processMessage(control, payload, primaryId))
  }
  await Promise.all(results)
  const perSecond = (1000 * recorded.length) / (performance.now() - began)
  const rows = replica.env.database<string, string>('rows', { key: 'utf8', value: 'utf8' })
  if ((await rows.count({ exact: true })) !== messages + 1)
    throw new Error('the replica lacks rows')
  await closeMember(replica)
  return perSecond
}

const sent: number[] = []
const received: number[] = []
let count = 0
let bytes = 0
for (let round = 0; round < Number(values.rounds); round += 1) {
  const path = mkdtempSync(join(directory, 'round-'))
  const { replica, recorded, perSecond } = await record(path)
  sent.push(perSecond)
  received.push(await receive(replica, recorded))
  rmSync(path, { recursive: true })
  count += recorded.length
  for (const { control, payload } of recorded) bytes += control.length + payload.length
}
rmSync(directory, { recursive: true })
const handed = batchBytes > 0 ? `${figure(batchBytes)} bytes at a time` : 'one by one'
console.log(`messages of ${figure(bytes / count)} bytes; per second, median (least-most):`)
console.log(`committed and sent one by one: ${showSpread(spreadOf(sent))}`)
console.log(`handed to a replica ${handed}: ${showSpread(spreadOf(received))}`)
