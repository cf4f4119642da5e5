// Opens a log and says the code of the error. Arguments: directory, and optionally a platform to
// pretend to be.
import process from 'node:process'

import { Log, RingleaderError } from 'ringleader'

const [directory = '', platform] = process.argv.slice(2)
if (platform) Object.defineProperty(process, 'platform', { value: platform })
try {
  await Log.open(directory)
  console.log('opened')
} catch (error) {
  console.log(error instanceof RingleaderError ? error.code : error)
}
