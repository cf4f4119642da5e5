// An environment does what a map of maps does, whatever is done to it, by two processes: random
// commands, compared step by step (test/support/model).
import { join } from 'node:path'

import test from 'ava'
import fc from 'fast-check'

import { scale, seedFor } from '../support/campaign.js'
import { temporaryDirectory } from '../support/logs.js'
import { commandLists, type Command } from '../support/model/commands.js'
import { Peer } from '../support/model/peer.js'
import { World } from '../support/model/world.js'

const ordinaryMs = 20_000

test('an environment does what a map of maps does', async (t) => {
  t.timeout(ordinaryMs * scale + 120_000)
  const seed = seedFor(t)
  const directory = temporaryDirectory(t)
  const peer = new Peer(t)
  const rollBacks = { done: 0, trimmed: 0 }
  let lists = 0
  let commands = 0
  let running: Promise<void> = Promise.resolve()
  const run = async (list: Command[]) => {
    lists += 1
    const world = await World.open(join(directory, `${lists}`), peer)
    try {
      for (const command of list) await world.run(command)
      await world.run({ do: 'look', peer: lists % 2 === 0 })
      await world.run({ do: 'reopen', peer: 'closes' })
      await world.run({ do: 'look', peer: lists % 2 === 1 })
      commands += list.length
    } finally {
      await world.close()
    }
    rollBacks.done += world.rollBacks.done
    rollBacks.trimmed += world.rollBacks.trimmed
  }
  const property = fc.asyncProperty(commandLists, (list) => {
    running = run(list)
    return running
  })
  const found = await fc.check(property, {
    seed,
    numRuns: 1_000_000,
    interruptAfterTimeLimit: ordinaryMs * scale,
  })
  // What the time limit interrupts goes on by itself: to its end, before the peer goes.
  await running.catch(() => undefined)
  t.log(`${lists} lists, ${commands} commands, roll-backs: ${JSON.stringify(rollBacks)}`)
  const reason = found.errorInstance instanceof Error ? found.errorInstance.stack : ''
  t.false(found.failed, `${fc.defaultReportMessage(found)}\n${reason}`)
  t.true(commands > 100 && rollBacks.done > 0)
  await peer.kill()
})
