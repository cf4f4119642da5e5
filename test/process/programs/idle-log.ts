// Leaves a log open and has nothing more to do. Arguments: directory, and "pending" to leave an
// append under way as well.
import process from 'node:process'

import { Log } from 'ringleader'

const [directory = '', pending] = process.argv.slice(2)
const log = await Log.open(directory, { segmentBytes: 65_536, ringBytes: 65_536 })
await log.append('first')
if (pending) {
  void log.append('second').then(() => {
    console.log('resolved')
  })
} else {
  console.log('idle')
}
