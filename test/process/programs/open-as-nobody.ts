// Opens a log without the rights of the superuser, and says how that fails. Argument: directory.
import process from 'node:process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Log, RingleaderError } from 'ringleader'

const [directory = ''] = process.argv.slice(2)
// Everything that has to be loaded is loaded while that is still allowed.
const own = mkdtempSync(join(tmpdir(), 'ringleader-test-'))
await (await Log.open(own, { segmentBytes: 65_536, ringBytes: 65_536 })).close()
rmSync(own, { recursive: true })
if (process.geteuid?.() === 0) process.seteuid?.(65_534)
try {
  await Log.open(directory)
  console.log('opened')
} catch (error) {
  console.log(error instanceof RingleaderError ? `${error.code} ${error.errno}` : error)
}
