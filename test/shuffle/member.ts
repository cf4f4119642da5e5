// A member of a group in a process of its own, with clients that write and read there. The process
// that has started it carries its messages, or does not (orders.ts).
//
// Arguments: directory of the environment, of the archive, file for the record, member id, which of
// its lives this is, seed, settings as JSON.
import process from 'node:process'

import { Elections } from '#lib/demo/ticker/elections'
import { Environment, RingleaderError } from 'ringleader'

import { randomNumbers } from '../support/history/simulator.js'
import {
  databaseName,
  lastKey,
  type Order,
  type Question,
  type Settings,
  type Shown,
  type Told,
} from './orders.js'
import { Readers } from './readers.js'
import { Recorder } from './record.js'
import { Generations, Writers } from './writers.js'

const [directory = '', archive = '', file = '', id = '', life = '', seed = '', json = ''] =
  process.argv.slice(2)
const member = Number(id)
const settings = JSON.parse(json) as Settings
const random = randomNumbers(Number(seed))
const idsOfLife = 1_000_000
const idsOfMember = 1_000 * idsOfLife

const tell = (told: Told, then: () => void = () => undefined) => {
  if (process.connected) process.send?.(told, undefined, undefined, then)
}

const env = await Environment.open(directory, {
  ...{ groupId: '5348554646'.padEnd(32, '0'), archive },
  ...{ segmentBytes: settings.segmentBytes, ringBytes: 262_144 },
  ...{ generationBytes: 2 ** 20, foldIntervalMs: 100 },
})
const rep = env.replication({
  ...{ memberId: member, members: settings.members },
  ...{ electionTimeoutMs: 500, heartbeatIntervalMs: 40 },
})

const heardAt = new Map<number, number>()
const silentMs = (from: number) => performance.now() - (heardAt.get(from) ?? -Infinity)
const elections = new Elections({
  rep,
  rules: { members: settings.members, priority: 100, silenceMs: 400, pauseMs: 100, timeoutMs: 800 },
  silentMs,
  say: () => undefined,
})

// Now and then a transport says that it could not send, whether it has or not.
const sent = () => random() >= 0.01
rep.setTransport(
  settings.oneByOne
    ? (to, control, record) => {
        tell({ kind: 'message', to, control, record })
        return sent()
      }
    : {
        sendBatch: (to, bytes) => {
          tell({ kind: 'batch', to, bytes })
          return sent()
        },
      },
)
for (const name of ['elected', 'primary', 'replica', 'rolledBack', 'snapshotDone'] as const) {
  rep.on(name, () => {
    tell({ kind: 'event', name })
  })
}
rep.on('halted', (reason) => {
  tell({ kind: 'event', name: 'halted', detail: reason })
})
rep.on('failed', (error) => {
  tell({ kind: 'event', name: 'failed', detail: error.message })
})

const recorder = new Recorder(file)
const generations = new Generations()
const clients = { env, rep, recorder, random, settings, generations, tell }
const writers = new Writers(clients, member * idsOfMember + Number(life) * idsOfLife)
const readers = new Readers(clients, `${id}.${life}`, member)

const refused = (error: unknown) => {
  if (!(error instanceof RingleaderError)) throw error
}

const finish = async (): Promise<unknown> => {
  const rows = env.database<string, number>(databaseName, { key: 'utf8', value: 'json' })
  const durability = { copies: 'all', timeoutMs: 5_000 } as const
  return (await rows.put(lastKey, 1, { durability })).token
}

const show = async (atLeast: string): Promise<Shown> => {
  const snapshot = await env.snapshotAt({ level: 'durable', atLeast, timeoutMs: 20_000 })
  const database = env.database<string, unknown>(databaseName, { create: false })
  const rows = snapshot.range(database).toArray()
  snapshot.close()
  await env.verify()
  const { rollBacks, snapshots } = rep.stat()
  return { rows: rows.map(({ key, value }) => [key, value]), stat: { rollBacks, snapshots } }
}

const close = async (): Promise<void> => {
  elections.close()
  await env.close()
  recorder.close()
}

const answer = async (question: Question): Promise<unknown> => {
  switch (question.what) {
    case 'start':
      return rep.start(question.role)
    case 'finish':
      return finish()
    case 'show':
      return show(question.atLeast)
    case 'close':
      return close()
  }
}

const work = async (on: boolean): Promise<void> => {
  if (on) {
    writers.start()
    readers.start()
    return
  }
  await Promise.all([writers.stop(), readers.stop()])
  tell({ kind: 'event', name: 'idle' })
}

const take = (order: Order): void => {
  switch (order.kind) {
    case 'batch':
      heardAt.set(order.from, performance.now())
      rep.processMessages(order.bytes, order.from).catch(refused)
      break
    case 'message':
      heardAt.set(order.from, performance.now())
      rep.processMessage(order.control, order.record, order.from).catch(refused)
      break
    case 'token':
      readers.learn(order.id, order.token)
      break
    case 'work':
      void work(order.on)
      break
    case 'elect':
      elections.hold('somebody wants one')
      break
    case 'stepDown':
      if (rep.role === 'primary') rep.start('replica').catch(refused)
      break
    case 'ask': {
      const { number } = order
      answer(order.question).then(
        (result) => {
          const isLast = order.question.what === 'close'
          tell({ kind: 'answer', number, result }, () => {
            if (isLast) process.exit()
          })
        },
        (error: unknown) => {
          tell({ kind: 'answer', number, failed: String(error) })
        },
      )
    }
  }
}

process.on('message', (order) => {
  take(order as Order)
})
// Nobody is left to work for.
process.on('disconnect', () => {
  process.exit()
})
tell({ kind: 'up' })
