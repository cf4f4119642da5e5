// Ends with process.exit() while appends, a read and a verification are under way.
// Argument: directory.
import process from 'node:process'

import { Log } from 'ringleader'

const log = await Log.open(process.argv[2] ?? '', { segmentBytes: 65_536, ringBytes: 65_536 })
for (let i = 0; i < 1000; i += 1) void log.append(Buffer.alloc(1000))
await log.append('waited for')
for (let i = 0; i < 1000; i += 1) void log.append(Buffer.alloc(1000))
void log.verify()
void log.read().next()
setImmediate(() => process.exit(7))
