// What JavaScript forgets to end, the garbage collector ends.
import test from 'ava'

import { temporaryDirectory } from '../support/logs.js'
import { runProgram } from '../support/programs.js'

test('forgotten snapshots, walks and transactions give their places back', async (t) => {
  const args = [temporaryDirectory(t)]
  const options = { execArgv: ['--expose-gc'] }
  t.is(await runProgram(t, 'drop-views', args, options), 'all came back')
})
