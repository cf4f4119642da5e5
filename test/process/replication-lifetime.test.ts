// Members that nobody closes: at the end of their process, of their thread, of their name.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

import test, { type ExecutionContext } from 'ava'

import { openEnvironment, smallEnvironment } from '../support/environments.js'
import { quickGroup } from '../support/groups.js'
import { temporaryDirectory } from '../support/logs.js'
import { programFile, runProgram, startProgram } from '../support/programs.js'

/** The part is free, and the member leads again with all that it had. */
const takeOver = async (t: ExecutionContext, directory: string): Promise<void> => {
  const env = await openEnvironment(t, smallEnvironment, directory)
  const rep = env.replication({ memberId: 1, ...quickGroup })
  rep.setTransport(() => true)
  await rep.start('primary')
  const rows = env.database('rows')
  t.is(rows.get('a'), 1)
  await rows.put('after', 1)
  await env.close()
}

test('a member does not keep its process alive, and is ended with it', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'group-idle', [directory, 'idle']), 'idle')
  await takeOver(t, directory)
})

test('a member that nobody holds goes on until its process ends', async (t) => {
  const directory = temporaryDirectory(t)
  const exposeGc = { execArgv: ['--expose-gc'] }
  t.is(await runProgram(t, 'group-idle', [directory, 'dropped'], exposeGc), 'dropped')
  await takeOver(t, directory)
})

test('process.exit under everything that a member can wait for ends the process', async (t) => {
  const directory = temporaryDirectory(t)
  t.like(await startProgram(t, 'group-idle', [directory, 'exit']).ended, { code: 7 })
  await takeOver(t, directory)
})

test('a listener that throws is an uncaught exception, and the member goes on', async (t) => {
  const directory = temporaryDirectory(t)
  const output = await runProgram(t, 'group-idle', [directory, 'throws'])
  t.is(output, 'Error: of a listener\nthrows')
  await takeOver(t, directory)
})

test('a thread that is terminated leaves its part to the next one', async (t) => {
  const directory = temporaryDirectory(t)
  const env = await openEnvironment(t, smallEnvironment, directory)
  await env.database('rows').put('a', 1)
  let newest = -1
  for (let round = 0; round < 6; round += 1) {
    const worker = new Worker(programFile('group-thread'), { workerData: { directory } })
    t.teardown(() => worker.terminate())
    worker.on('message', (written: number) => {
      newest = written
    })
    await once(worker, 'message')
    await new Promise((resolve) => setTimeout(resolve, round * 3))
    await worker.terminate()
    t.true(Number(env.database('rows').get('newest')) >= newest)
  }
  // While it is being opened, too.
  for (let round = 0; round < 6; round += 1) {
    const worker = new Worker(programFile('group-thread'), { workerData: { directory } })
    await once(worker, 'online')
    await new Promise((resolve) => setTimeout(resolve, 30 + round * 8))
    await worker.terminate()
  }
  await takeOver(t, directory)
})
