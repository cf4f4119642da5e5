// A replicated stock ticker: one site of a group whose transport, naming, monitoring and elections
// are the application's own, in this directory, over plain TCP. What it takes from the package is
// the base API, `env.replication()`.
//
//   main.js --primary|--replica --member N --home DIR --listen HOST:PORT [--remote HOST:PORT]...
//           [--priority N] [--sites N] [--group NAME]
//
//   --primary   begins the group, with a home that is new; a site that comes back is a replica
//   --member    number of this site in the group: each has its own, and keeps it
//   --remote    another site, as often as wanted; one that knows the rest is enough
//   --priority  of two sites that know as much, the higher one leads; 0 never does. Default: 100
//   --sites     how many the group has; more than half of them have to be there. Default: 3
//
// Commands come on standard input ("help" lists them), answers go to standard output, what happens
// to standard error. The end of the input, Ctrl-C and SIGTERM end the site.
import process from 'node:process'
import { createInterface, type Interface } from 'node:readline'
import { parseArgs } from 'node:util'

import { Commands } from './commands.js'
import { isAddress, isMember } from './hello.js'
import { Site, type SiteOptions } from './site.js'

const quorumTimeoutMs = 5000

const number = (name: string, text: string | undefined, most: number): number => {
  const value = Number(text)
  if (text !== undefined && isMember(value) && value <= most) return value
  throw new Error(`--${name}: a number from 0 to ${most}`)
}

const address = (name: string, text: string | undefined): string => {
  if (isAddress(text)) return text
  throw new Error(`--${name}: HOST:PORT`)
}

const readOptions = (): Omit<SiteOptions, 'say'> => {
  const { values } = parseArgs({
    options: {
      primary: { type: 'boolean', default: false },
      replica: { type: 'boolean', default: false },
      member: { type: 'string' },
      home: { type: 'string' },
      listen: { type: 'string' },
      remote: { type: 'string', multiple: true, default: [] },
      priority: { type: 'string', default: '100' },
      sites: { type: 'string', default: '3' },
      group: { type: 'string', default: 'ticker' },
    },
  })
  if (values.primary === values.replica) throw new Error('either --primary or --replica')
  if (!values.home) throw new Error('--home: a directory')
  return {
    member: number('member', values.member, 2 ** 31 - 1),
    home: values.home,
    group: values.group,
    members: number('sites', values.sites, 15),
    listen: address('listen', values.listen),
    remotes: values.remote.map((text) => address('remote', text)),
    priority: number('priority', values.priority, 1_000_000),
    found: values.primary,
  }
}

// Commands one after the other, until the last one or the end of the input.
const converse = async (lines: Interface, commands: Commands): Promise<void> => {
  lines.prompt()
  for await (const line of lines) {
    const answer = await commands.run(line)
    if (answer === undefined) return
    for (const text of answer) console.log(text)
    lines.prompt()
  }
}

const main = async () => {
  const options = readOptions()
  const say = (text: string) => {
    console.error(`* ${text}`)
  }
  const site = await Site.open({ ...options, say })
  const commands = new Commands({ env: site.env, rep: site.rep, timeoutMs: quorumTimeoutMs, say })
  const terminal = process.stdin.isTTY
  const output = terminal ? { output: process.stdout } : {}
  const lines = createInterface({ input: process.stdin, ...output, terminal, prompt: 'quotes> ' })
  const end = () => {
    lines.close()
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, end)
  lines.once('SIGINT', end)
  await converse(lines, commands)
  lines.close()
  process.stdin.destroy()
  await site.close()
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
