// How the package behaves at the ends of processes and objects.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import test from 'ava'
import * as imported from 'ringleader'

import { openLog, readAll, readTexts, temporaryDirectory } from '../support/logs.js'
import { runProgram, startProgram } from '../support/programs.js'

const exposeGc = { execArgv: ['--expose-gc'] }

test('require gives the same as import', (t) => {
  const required = createRequire(import.meta.url)('ringleader') as typeof imported
  t.is(required.Log, imported.Log)
  t.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort())
})

test('a CommonJS program can require the package', (t) => {
  const directory = temporaryDirectory(t)
  const program = `
    const { Log } = require('ringleader')
    Log.open(process.argv[1]).then(async (log) => {
      await log.append('from CommonJS')
      for await (const { payload } of log.read()) console.log(Buffer.from(payload).toString())
      await log.close()
    })`
  const cwd = fileURLToPath(new URL('../../..', import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, ['-e', program, directory], { cwd })
  t.is(stdout.toString(), 'from CommonJS\n')
  t.is(status, 0)
})

test('an idle log does not keep the process alive', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'idle-log', [directory]), 'idle')
  // It was closed in order on the way out.
  const log = await openLog(t, {}, directory)
  t.like(log.stat(), { salvagedBytes: 0, recoveredTornTail: false })
  t.deepEqual(await readTexts(log), ['first'])
})

test('a pending append keeps the process alive until it has resolved', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'idle-log', [directory, 'pending']), 'resolved')
  t.deepEqual(await readTexts(await openLog(t, {}, directory)), ['first', 'second'])
})

test('process.exit in the middle of everything ends the process', async (t) => {
  const directory = temporaryDirectory(t)
  t.like(await startProgram(t, 'exit-now', [directory]).ended, { code: 7, output: '' })
  const log = await openLog(t, {}, directory)
  const entries = await readAll(log)
  t.true(entries.some(({ payload }) => Buffer.from(payload).toString() === 'waited for'))
})

test('a log that is collected is closed', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'drop-logs', [directory], exposeGc), 'resolved 20')
})

test('a thousand logs leave nothing behind', async (t) => {
  const directory = temporaryDirectory(t)
  t.is(await runProgram(t, 'open-close-many', [directory], exposeGc), 'nothing')
})
