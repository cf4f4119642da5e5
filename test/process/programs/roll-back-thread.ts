// A worker thread that rolls an environment back whenever it is told to, while the thread that
// tells it stands still (roll-back-words.ts). Posts a message when it has begun.
import { parentPort, workerData } from 'node:worker_threads'

import { Environment } from 'ringleader'

import { asked, done, type RollBackTask } from './roll-back-words.js'

const { directory, words } = workerData as RollBackTask
const env = await Environment.open(directory)
parentPort?.postMessage('open')
for (;;) {
  const now = Atomics.load(words, 0)
  if (now !== asked) {
    Atomics.wait(words, 0, now)
    continue
  }
  await env.rollBack(Atomics.load(words, 1) + Atomics.load(words, 2) * 2 ** 30)
  Atomics.store(words, 0, done)
  Atomics.notify(words, 0)
}
