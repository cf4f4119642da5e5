// Another process of a member's environment, which has no part in the replication. It does what it
// is told, one thing after the other, and says what has come of it:
//   ['put', key, value]  ['get', key]  ['fill', prefix, count]  ['end']
import process from 'node:process'

import { Environment, type RingleaderError } from 'ringleader'

const [directory = ''] = process.argv.slice(2)
const env = await Environment.open(directory, { create: false })

type Command = [what: string, key?: string, value?: string | number]

const run = async ([what, key = '', value = '']: Command): Promise<unknown> => {
  const rows = env.database<string, string>('rows', { value: 'utf8' })
  if (what === 'get') return rows.get(key)
  if (what === 'put') {
    await rows.put(key, String(value))
    return 'done'
  }
  const all = Array.from({ length: Number(value) }, (_, i) =>
    rows.put(`${key}-${i}`, String(i), { durability: 'memory' }),
  )
  await Promise.all(all)
  return 'done'
}

let before: Promise<unknown> = Promise.resolve()
process.on('message', (message) => {
  const command = message as Command
  before = before.then(async () => {
    if (command[0] === 'end') {
      await env.close()
      process.disconnect()
      return
    }
    const answer = await run(command).catch((error: unknown) => (error as RingleaderError).code)
    process.send?.(answer ?? 'nothing')
  })
})
process.send?.('open')
