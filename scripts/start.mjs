// npm start: everything a fresh clone needs, then the main job with the arguments given.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'

import { runMain, setup, SetupError } from './setup.mjs'
import { at } from './support/project.mjs'
import { handleSignals } from './support/run.mjs'

await runMain(async () => {
  await setup()
  const main = at('dist', 'demo', 'main.js')
  if (!existsSync(main)) throw new SetupError('lib/demo/main.ts, the main job, does not exist')
  // In this process's own group and with its terminal: Ctrl-C and progress bars are the job's. It
  // ends in good order, and is waited for; being told so twice does not matter to it.
  const job = spawn(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  handleSignals((signal) => job.kill(signal))
  const [code, signal] = await once(job, 'close')
  process.exitCode = code ?? 128 + constants.signals[signal]
})
