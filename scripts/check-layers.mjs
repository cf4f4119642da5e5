// Refuses an include or import that goes against the arrows of support/layers.mjs, a file in no
// room, and a cycle.
//
//   node scripts/check-layers.mjs
import { readFileSync } from 'node:fs'

import { isCpp, listFiles } from './support/files.mjs'
import { checkLib, checkNative } from './support/layers.mjs'
import { at, packageJson } from './support/project.mjs'
import { reportRules } from './support/rules.mjs'

const textsOf = (directory, wanted) =>
  new Map(
    listFiles([directory], wanted).map((path) => [
      path.slice(directory.length + 1),
      readFileSync(at(path), 'utf8'),
    ]),
  )

const runtime = Object.keys(packageJson.dependencies)
const packages = { runtime, all: [...runtime, ...Object.keys(packageJson.devDependencies)] }

reportRules(
  new Map([
    ...checkNative(textsOf('native', isCpp)),
    ...checkLib(
      textsOf('lib', (path) => path.endsWith('.ts')),
      packages,
    ),
  ]),
)
