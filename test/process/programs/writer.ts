// Appends durably until it is killed or has done its share, and reports what has resolved.
// Arguments: directory, a name, how many, how many outstanding. A record is "NAME NUMBER ...".
import process from 'node:process'

import { Log } from 'ringleader'

const [directory = '', name = '', count = '0', outstanding = '1'] = process.argv.slice(2)
const log = await Log.open(directory, { segmentBytes: 65_536, ringBytes: 65_536 })
let next = 0
let acknowledged: number[] = []

const report = () => {
  process.send?.(acknowledged)
  acknowledged = []
}

const appendInTurn = async () => {
  while (next < Number(count)) {
    const number = next
    next += 1
    await log.append(`${name} ${number} ${'x'.repeat(number % 200)}`)
    if (acknowledged.length === 0) setImmediate(report)
    acknowledged.push(number)
  }
}

await Promise.all(Array.from({ length: Number(outstanding) }, appendInTurn))
setImmediate(() => {
  void log.close().then(() => {
    process.disconnect()
  })
})
