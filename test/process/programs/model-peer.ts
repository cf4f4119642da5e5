// The second process of the model (test/support/model): does what its parent says, one call after
// the other.
import process from 'node:process'

import { Environment, type Database } from 'ringleader'

import type { Write } from '../../support/model/commands.js'
import { kinds } from '../../support/model/kinds.js'
import { modelOptions } from '../../support/model/options.js'
import type { PeerCalls, PeerReply, PeerRequest } from '../../support/model/peer.js'
import { foundIn } from '../../support/model/reading.js'
import { kindAt, placeOf } from '../../support/model/state.js'

let opened: Environment | undefined

const env = (): Environment => {
  if (opened) return opened
  throw new Error('no environment is open')
}

const database = (kind: number, create: boolean): Database<unknown> => {
  const { name, options } = kindAt(kind)
  return env().database<unknown, unknown>(name, { ...options, create })
}

type Answers = {
  [N in keyof PeerCalls]: (
    ...argument: Parameters<PeerCalls[N]>
  ) => ReturnType<PeerCalls[N]> | Promise<ReturnType<PeerCalls[N]>>
}

const write = async (writes: readonly Write[]): Promise<number> => {
  const { end } = await env().batch((batch) => {
    for (const { kind: i, key, number } of writes) {
      const kind = kindAt(i)
      const at = kind.keys[placeOf(kind, key)]
      if (number === undefined) batch.remove(database(i, false), at)
      else batch.put(database(i, false), at, kind.valueOf(number))
    }
  })
  return end
}

const answers: Answers = {
  open: async (directory) => {
    opened = await Environment.open(directory, modelOptions)
  },
  close: async () => {
    await opened?.close()
    opened = undefined
  },
  make: (kind) => {
    database(kind, true)
  },
  clear: (kind) => database(kind, false).clear(),
  drop: (kind) => database(kind, false).drop(),
  write,
  look: () =>
    env()
      .databases()
      .map(({ name }) => {
        const kind = kinds.findIndex((one) => one.name === name)
        return [name, foundIn(kindAt(kind), database(kind, false))] as const
      }),
}

const answer = async ({ name, argument }: PeerRequest): Promise<PeerReply> => {
  try {
    const call = answers[name] as (argument: unknown) => unknown
    return { result: await call(argument) }
  } catch (error) {
    return { error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

process.on('message', (request) => {
  void answer(request as PeerRequest).then((reply) => process.send?.(reply))
})
