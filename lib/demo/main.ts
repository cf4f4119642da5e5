// The main job, and the other one.
//
//   main.js [...]             a group of three members; its primary is killed (group/job.ts)
//   main.js processes [...]   one environment and several processes (processes/job.ts)
import process from 'node:process'

import { runGroup } from './group/job.js'
import { runProcesses } from './processes/job.js'

const [first, ...rest] = process.argv.slice(2)
const job = first === 'processes' ? runProcesses(rest) : runGroup(process.argv.slice(2))

job.then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  },
)
