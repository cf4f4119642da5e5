// What is used again and again does not grow. RINGLEADER_TEST_SCALE=10 makes it a million
// transactions and a thousand cycles.
import test, { type ExecutionContext } from 'ava'

import { scale } from '../support/campaign.js'
import { temporaryDirectory } from '../support/logs.js'
import { startProgram } from '../support/programs.js'

const soak = async (t: ExecutionContext, mode: string, count: number) => {
  t.timeout(120_000 * scale)
  const directory = temporaryDirectory(t)
  const args = [directory, mode, `${count}`]
  const { code, output } = await startProgram(t, 'soak', args, { execArgv: ['--expose-gc'] }).ended
  const [first = '', ...rest] = output.trim().split('\n')
  if (rest.length > 0) t.log(rest.join('\n'))
  t.is(first, 'nothing')
  t.is(code, 0)
}

test('transactions leave nothing behind', async (t) => {
  await soak(t, 'transactions', 100_000 * scale)
})

test('opening and closing leaves nothing behind', async (t) => {
  await soak(t, 'cycles', 100 * scale)
})
