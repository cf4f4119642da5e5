// A group of three processes whose messages this one carries: what a quorum has acknowledged is
// there when the primary has been killed, and when it has come back.
import { setTimeout as sleep } from 'node:timers/promises'

import test, { type ExecutionContext } from 'ava'

import { temporaryDirectory } from '../support/logs.js'
import { startProgram, type Program } from '../support/programs.js'
import type { Order, Told } from './programs/group-member.js'

interface Process {
  id: number
  directory: string
  program: Program
  events: string[]
  answers: ((result: unknown) => void)[]
}

class Processes {
  readonly members = new Map<number, Process>()
  readonly #t: ExecutionContext

  constructor(t: ExecutionContext) {
    this.#t = t
  }

  async add(id: number, directory = temporaryDirectory(this.#t)): Promise<Process> {
    const program = startProgram(this.#t, 'group-member', [directory, `${id}`])
    const member: Process = { id, directory, program, events: [], answers: [] }
    this.members.set(id, member)
    const up = new Promise((resolve) => member.answers.push(resolve))
    program.child.on('message', (told: Told) => {
      if (told.kind === 'event') member.events.push(told.name)
      else if (told.kind === 'done') member.answers.shift()?.(told.result)
      else this.#carry(id, told.to, told.bytes)
    })
    await up
    return member
  }

  #carry(from: number, to: number, bytes: string): void {
    for (const { id, program } of this.members.values()) {
      if (id === from || (to !== -1 && to !== id) || !program.child.connected) continue
      // Lost where it has just died.
      program.child.send({ kind: 'message', from, bytes } satisfies Order, () => undefined)
    }
  }

  order(member: Process, order: Order): Promise<unknown> {
    return new Promise((resolve) => {
      member.answers.push(resolve)
      member.program.child.send(order)
    })
  }

  async kill(member: Process): Promise<void> {
    this.members.delete(member.id)
    member.program.child.kill('SIGKILL')
    await member.program.ended
  }
}

test('what a quorum has acknowledged outlives the primary, which comes back', async (t) => {
  const group = new Processes(t)
  const [one, two, three] = [await group.add(1), await group.add(2), await group.add(3)]
  for (const replica of [two, three]) await group.order(replica, { kind: 'start', role: 'replica' })
  t.is(await group.order(one, { kind: 'start', role: 'primary' }), 'primary')
  for (let i = 0; i < 20; i += 1) {
    t.is(await group.order(one, { kind: 'put', key: `${i}`, value: i }), `${i}`)
  }
  t.deepEqual(await group.order(two, { kind: 'put', key: 'x', value: 1 }), {
    code: 'RL_NOT_PRIMARY',
  })
  await group.kill(one)
  // The winner is told so by its result, and leads; the other one resolves when it hears of that.
  const elections = [two, three].map(async (member) => {
    const result = (await group.order(member, { kind: 'elect' })) as { elected?: boolean }
    if (result.elected) await group.order(member, { kind: 'start', role: 'primary' })
    return { member, ...result }
  })
  const results = await Promise.all(elections)
  const winner = results.find(({ elected }) => elected)
  t.is(results.filter(({ elected }) => elected).length, 1)
  if (!winner) return
  for (let i = 0; i < 20; i += 1) {
    t.is(await group.order(winner.member, { kind: 'get', key: `${i}` }), i)
  }
  t.is(await group.order(winner.member, { kind: 'put', key: 'after', value: 99 }), 'after')
  const again = await group.add(1, one.directory)
  await group.order(again, { kind: 'start', role: 'replica' })
  for (let tries = 0; tries < 200; tries += 1) {
    if ((await group.order(again, { kind: 'get', key: 'after' })) === 99) break
    await sleep(20)
  }
  t.is(await group.order(again, { kind: 'get', key: 'after' }), 99)
  t.true(again.events.includes('newPrimary'))
})
