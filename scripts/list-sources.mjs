// Prints the sources of the addon, one per line, for bindings.gyp: native/sources.list without the
// simulated environment.
//
//   node scripts/list-sources.mjs
import { readFileSync } from 'node:fs'

import { addonSources } from './support/sources.mjs'
import { at } from './support/project.mjs'

for (const source of addonSources(readFileSync(at('native', 'sources.list'), 'utf8'))) {
  console.log(source)
}
