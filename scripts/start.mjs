// npm start: everything a fresh clone needs, then the main job with the arguments given.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'

import { runMain, setup, SetupError } from './setup.mjs'
import { at } from './support/project.mjs'

await runMain(async () => {
  await setup()
  const main = at('dist', 'demo', 'main.js')
  if (!existsSync(main)) throw new SetupError('lib/demo/main.ts, the main job, does not exist')
  // In this process's own group and with its terminal: Ctrl-C and progress bars are the job's.
  const job = spawnSync(process.execPath, [main, ...process.argv.slice(2)], { stdio: 'inherit' })
  process.exitCode = job.status ?? 128 + constants.signals[job.signal]
})
