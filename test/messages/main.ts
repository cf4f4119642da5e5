// Hostile messages by the million (docs/TESTING.md, "Hostile messages").
//
//   main.js [--count N] [--seed N]
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { removeAtEnd, removeNow } from '../support/undertaker.js'
import { MessageCampaign } from './campaign.js'

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: `${Date.now() % 2 ** 31}` },
  },
})

const seed = Number(values.seed)
const directory = mkdtempSync(join(tmpdir(), 'ringleader-messages-'))
removeAtEnd(directory)
console.log(`seed ${seed}`)
let told = 0
const progress = (count: number, perSecond: number) => {
  if (count < told + 1e6) return
  told = count
  console.log(`${count} messages, ${Math.round(perSecond)} per second`)
}
const campaign = new MessageCampaign({ directory, seed, count: Number(values.count), progress })
try {
  console.log(await campaign.run())
} catch (error) {
  console.log(campaign.counts)
  console.error(error)
  process.exitCode = 1
} finally {
  removeNow(directory)
}
