// Several processes on one log, and what is left of them when they are killed.
import test, { type ExecutionContext } from 'ava'
import { Log } from 'ringleader'

import { openLog, readTexts, small, temporaryDirectory } from '../support/logs.js'
import { startProgram, type Program } from '../support/programs.js'

const startWriter = (t: ExecutionContext, directory: string, name: string, count: number) =>
  startProgram(t, 'writer', [directory, name, `${count}`, '100'])

const acknowledgedBy = ({ messages }: Program) => messages.flat() as number[]

const reported = async (writer: Program, count: number) => {
  while (acknowledgedBy(writer).length < count) {
    await new Promise((resolve) => writer.child.once('message', resolve))
  }
}

const record = (name: string, number: number) => `${name} ${number} ${'x'.repeat(number % 200)}`

// Everything acknowledged is there, in its writer's order, and nothing is there that nobody wrote.
const checkRecords = (t: ExecutionContext, texts: string[], writers: Map<string, Program>) => {
  const found = new Map<string, number[]>([...writers.keys()].map((name) => [name, []]))
  for (const text of texts) {
    const [name = '', number = ''] = text.split(' ')
    t.is(text, record(name, Number(number)))
    found.get(name)?.push(Number(number))
  }
  for (const [name, writer] of writers) {
    const numbers = found.get(name) ?? []
    t.deepEqual(
      numbers,
      Array.from({ length: numbers.length }, (_, i) => i),
      `${name}: a gap, a double or a wrong order`,
    )
    const lost = acknowledgedBy(writer).filter((number) => number >= numbers.length)
    t.deepEqual(lost, [], `${name}: acknowledged and lost`)
  }
}

test('processes append to one log at the same time', async (t) => {
  const directory = temporaryDirectory(t)
  const writers = new Map<string, Program>()
  for (const name of ['a', 'b', 'c']) writers.set(name, startWriter(t, directory, name, 3000))
  for (const { ended } of writers.values()) t.like(await ended, { code: 0, output: '' })
  const log = await openLog(t, { create: false }, directory)
  t.like(log.stat(), { salvagedBytes: 0, recoveredTornTail: false })
  const texts = await readTexts(log)
  t.is(texts.length, 9000)
  checkRecords(t, texts, writers)
})

test('a killed writer takes nothing with it, and the others go on', async (t) => {
  const log = await openLog(t)
  const writers = new Map<string, Program>()
  for (const name of ['a', 'b', 'c', 'd']) {
    const writer = startWriter(t, log.directory, name, name === 'd' ? 4000 : 1_000_000)
    writers.set(name, writer)
    if (name === 'd') continue
    await reported(writer, 100 + Math.floor(Math.random() * 1000))
    writer.child.kill('SIGKILL')
    t.like(await writer.ended, { signal: 'SIGKILL' })
    await log.append(`main ${writers.size - 1} ${'x'.repeat(writers.size - 1)}`)
  }
  const last = writers.get('d')
  t.like(await last?.ended, { code: 0, output: '' })
  const texts = (await readTexts(log)).filter((text) => !text.startsWith('main'))
  checkRecords(t, texts, writers)
  t.true(texts.filter((text) => text.startsWith('d ')).length === 4000)
  t.is(await log.verify(), texts.length + 3)
})

for (const round of [1, 2, 3]) {
  test(`all processes killed at once lose nothing acknowledged (${round})`, async (t) => {
    const directory = temporaryDirectory(t)
    const writers = new Map<string, Program>()
    for (const name of ['a', 'b', 'c']) {
      writers.set(name, startWriter(t, directory, name, 1_000_000))
    }
    for (const writer of writers.values()) await reported(writer, Math.random() * 1000)
    for (const { child } of writers.values()) child.kill('SIGKILL')
    for (const { ended } of writers.values()) t.like(await ended, { signal: 'SIGKILL' })
    const log = await openLog(t, { create: false }, directory)
    checkRecords(t, await readTexts(log), writers)
    const { end } = await log.append('goes on')
    t.is(log.stat().durable, end)
  })
}

test('a process that is stopped does not stop the others', async (t) => {
  const log = await openLog(t)
  const writer = startWriter(t, log.directory, 'a', 1_000_000)
  await reported(writer, 100)
  writer.child.kill('SIGSTOP')
  // It may hold a lock now; then it has to be killed for the others to go on, and nothing is lost.
  const going = Promise.all(Array.from({ length: 100 }, () => log.append('main')))
  setTimeout(() => writer.child.kill('SIGKILL'), 200)
  await going
  await writer.ended
  const texts = await readTexts(log)
  t.is(texts.filter((text) => text === 'main').length, 100)
  checkRecords(
    t,
    texts.filter((text) => text !== 'main'),
    new Map([['a', writer]]),
  )
})

test('a log written by one process is followed by another', async (t) => {
  const directory = temporaryDirectory(t)
  const writer = startWriter(t, directory, 'a', 2000)
  await reported(writer, 1)
  const log = await Log.open(directory, small)
  let from = 0
  let seen = 0
  while (seen < 2000) {
    for await (const { payload, end } of log.read({ from })) {
      t.is(Buffer.from(payload).toString(), record('a', seen))
      seen += 1
      from = end
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await log.close()
  t.like(await writer.ended, { code: 0 })
})
