// Hostile messages, in short; the long campaign is npm run fuzz:messages.
import test from 'ava'

import { kinds } from '../messages/frames.js'
import { MessageCampaign } from '../messages/campaign.js'
import { scale, seedFor } from '../support/campaign.js'
import { temporaryDirectory } from '../support/logs.js'

test('hostile messages come to results that are counted, and harm nobody', async (t) => {
  t.timeout(120_000 * scale)
  const options = { directory: temporaryDirectory(t), seed: seedFor(t), count: 30_000 * scale }
  const counts = await new MessageCampaign(options).run()
  t.log(JSON.stringify(counts))
  t.is(counts.messages, options.count)
  t.is(counts.taken + counts.refused, counts.messages)
  for (const kind of kinds) t.true(counts.kinds[kind] > 0, kind)
})
