// The stock ticker, driven as a user drives it: processes, standard input, standard output. And
// what its sockets do with bytes that no site has sent.
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { temporaryDirectory } from '../support/logs.js'

const main = fileURLToPath(new URL('../../../dist/demo/ticker/main.js', import.meta.url))
const patienceMs = 60_000

// A site and a conversation with it.
class Site {
  readonly member: number
  readonly #child: ChildProcessWithoutNullStreams
  readonly #answers: string[] = []
  readonly #notices: string[] = []
  readonly ended: Promise<{ code: number | null; signal: string | null }>

  constructor(t: ExecutionContext, member: number, args: string[]) {
    this.member = member
    this.#child = spawn(process.execPath, [main, '--member', `${member}`, ...args])
    t.teardown(() => this.#child.kill('SIGKILL'))
    this.#child.stdin.on('error', () => undefined) // it may be dead
    const keep = (lines: string[]) => (line: string) => {
      lines.push(line)
      this.#child.emit('line')
    }
    createInterface({ input: this.#child.stdout }).on('line', keep(this.#answers))
    createInterface({ input: this.#child.stderr }).on('line', keep(this.#notices))
    this.ended = once(this.#child, 'close').then((values) => {
      const [code, signal] = values as [number | null, string | null]
      this.#child.emit('line')
      return { code, signal }
    })
  }

  get notices(): readonly string[] {
    return this.#notices
  }

  /** The first notice that matches, which may have come before. */
  notice(pattern: RegExp): Promise<RegExpMatchArray> {
    return this.#find(this.#notices, 0, pattern)
  }

  /** Says a line and gives the first line of the answer that matches. */
  async ask(line: string, pattern: RegExp): Promise<RegExpMatchArray> {
    const from = this.#answers.length
    this.#child.stdin.write(`${line}\n`)
    return this.#find(this.#answers, from, pattern)
  }

  /** What `print` says: the quotes. */
  async quotes(): Promise<string[]> {
    const from = this.#answers.length
    await this.ask('print', /^\d+ quotes$/)
    return this.#answers.slice(from, -1)
  }

  async put(ticker: string, price: string): Promise<string> {
    return (await this.ask(`put ${ticker} ${price}`, /^(stored|refused|unknown|error).*$/))[0]
  }

  say(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended
  }

  async #find(lines: string[], from: number, pattern: RegExp): Promise<RegExpMatchArray> {
    const signal = AbortSignal.timeout(patienceMs)
    for (let i = from; ; i += 1) {
      while (i >= lines.length) {
        const { exitCode, signalCode } = this.#child
        if (signal.aborted || exitCode !== null || signalCode !== null) {
          throw new Error(`site ${this.member} does not say ${pattern}:\n${this.#story}`)
        }
        await once(this.#child, 'line', { signal }).catch(() => undefined)
      }
      const match = lines[i]?.match(pattern)
      if (match) return match
    }
  }

  get #story(): string {
    return [...this.#answers.slice(-20), ...this.#notices.slice(-40)].join('\n')
  }
}

interface Started {
  site: Site
  address: string
}

const start = async (
  t: ExecutionContext,
  directory: string,
  member: number,
  role: 'primary' | 'replica',
  remotes: string[],
): Promise<Started> => {
  const home = join(directory, `site-${member}`)
  const others = remotes.flatMap((address) => ['--remote', address])
  const args = [`--${role}`, '--home', home, '--listen', '127.0.0.1:0', ...others]
  const site = new Site(t, member, args)
  const [, address = ''] = await site.notice(/listens on (.*)$/)
  return { site, address }
}

const startGroup = async (t: ExecutionContext, directory: string) => {
  const one = await start(t, directory, 1, 'primary', [])
  await one.site.notice(/this site is the primary/)
  const two = await start(t, directory, 2, 'replica', [one.address])
  const three = await start(t, directory, 3, 'replica', [one.address])
  for (const { site } of [two, three]) await site.notice(/caught up/)
  return { one, two, three }
}

// Replicas have what is committed a moment later.
const agree = async (t: ExecutionContext, sites: Site[], expected: string[]) => {
  const end = Date.now() + patienceMs
  for (const site of sites) {
    let found = await site.quotes()
    while (found.join() !== expected.join() && Date.now() < end) {
      await pause(50)
      found = await site.quotes()
    }
    t.deepEqual(found, expected, `site ${site.member}`)
  }
}

// Who has become the primary, and who has not.
const whoLeads = async (one: Started, two: Started): Promise<[Started, Started]> => {
  const leads = /this site is the primary/
  return Promise.race([
    one.site.notice(leads).then((): [Started, Started] => [one, two]),
    two.site.notice(leads).then((): [Started, Started] => [two, one]),
  ])
}

const endAll = async (t: ExecutionContext, sites: Site[]) => {
  for (const site of sites) site.say('exit')
  for (const site of sites) {
    t.deepEqual(await site.ended, { code: 0, signal: null }, site.notices.join('\n'))
  }
}

test('three sites keep their quotes: one dies, another leads, the dead one is back', async (t) => {
  const directory = temporaryDirectory(t)
  const { one, two, three } = await startGroup(t, directory)
  const quotes = new Map<string, string>()
  const put = async ({ site }: Started, ticker: string, price: string) => {
    t.regex(await site.put(ticker, price), new RegExp(`^stored ${ticker} ${price} at \\d+$`))
    quotes.set(ticker, price)
  }
  const expected = () => [...quotes].map(([ticker, price]) => `${ticker} ${price}`).sort()

  t.is((await one.site.quotes()).length, 0)
  await put(one, 'IBM', '131.50')
  await put(one, 'RHT', '24')
  for (let i = 0; i < 50; i += 1) await put(one, `T${i % 10}`, `${i}`)
  await agree(t, [one.site, two.site, three.site], expected())
  t.regex(await two.site.put('IBM', '1'), /^refused IBM 1: the primary is site 1$/)
  t.is((await three.site.ask('get IBM', /^.+$/))[0], 'IBM 131.50')
  t.regex(await three.site.put('IBM', 'much'), /^error/)

  one.site.say('put LAST 1')
  await one.site.kill()
  const [elected, other] = await whoLeads(two, three)
  await put(elected, 'NEW', '7')
  for (let i = 0; i < 20; i += 1) await put(elected, `T${i % 10}`, `${i}.5`)
  // Nobody had been told that it was stored: it may be there or not.
  const last = (await elected.site.ask('get LAST', /^.+$/))[0]
  if (last === 'LAST 1') quotes.set('LAST', '1')
  await agree(t, [elected.site, other.site], expected())

  const back = await start(t, directory, 1, 'replica', [other.address])
  await back.site.notice(/caught up/)
  await put(elected, 'BACK', '1')
  await agree(t, [elected.site, other.site, back.site], expected())

  // With the one that is back there are two of three again without the other one.
  await other.site.kill()
  await put(elected, 'LEFT', '2')
  await agree(t, [elected.site, back.site], expected())
  await endAll(t, [elected.site, back.site])
})

test('a primary that hangs is replaced, and gives way when it goes on', async (t) => {
  const directory = temporaryDirectory(t)
  const { one, two, three } = await startGroup(t, directory)
  t.regex(await one.site.put('IBM', '1'), /^stored/)
  one.site.signal('SIGSTOP')
  const late = one.site.put('IBM', '2')
  const [elected, other] = await whoLeads(two, three)
  t.regex(await elected.site.put('RHT', '3'), /^stored/)
  one.site.signal('SIGCONT')
  await one.site.notice(/this site is a replica/)
  t.regex(await late, /^(refused|unknown) IBM 2/)
  await agree(t, [elected.site, other.site, one.site], ['IBM 1', 'RHT 3'])
  await endAll(t, [elected.site, other.site, one.site])
})

test('sites that have all died elect one of them', async (t) => {
  const directory = temporaryDirectory(t)
  const { one, two, three } = await startGroup(t, directory)
  t.regex(await one.site.put('IBM', '1'), /^stored/)
  for (const { site } of [one, two, three]) site.signal('SIGKILL')
  for (const { site } of [one, two, three]) await site.ended
  // The one that began the group does not lead because it says so.
  const again = await start(t, directory, 1, 'primary', [])
  await again.site.notice(/is not new: starting as a replica/)
  const back = await start(t, directory, 2, 'replica', [again.address])
  const [elected, other] = await whoLeads(again, back)
  t.regex(await elected.site.put('RHT', '3'), /^stored/)
  await agree(t, [elected.site, other.site], ['IBM 1', 'RHT 3'])
  await endAll(t, [elected.site, other.site])
})

const attack = async (address: string, bytes: Buffer): Promise<Socket> => {
  const [host = '', port = ''] = address.split(':')
  const socket = connect({ host, port: Number(port) })
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  socket.write(bytes)
  return socket
}

const frame = (kind: number, body: string | Buffer, length = Buffer.byteLength(body)): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(length)
  head.writeUInt8(kind, 4)
  return Buffer.concat([head, Buffer.from(body)])
}

const hello = (given: object = {}) => {
  const sane = { group: 'ticker', member: 9, address: '127.0.0.1:9', others: [] }
  return JSON.stringify({ ...sane, ...given })
}

test('a site outlives what anybody sends to its port', async (t) => {
  const directory = temporaryDirectory(t)
  const { one, two, three } = await startGroup(t, directory)
  t.regex(await one.site.put('IBM', '1'), /^stored/)
  const hostile: [what: string, bytes: Buffer][] = [
    ['random bytes', randomBytes(65_536)],
    ['a frame of 4 GiB', frame(1, '', 0xffff_ffff)],
    ['a greeting that is too long', frame(1, Buffer.alloc(8193, 'x'))],
    ['no greeting', frame(2, 'what')],
    ['no JSON', frame(1, '{')],
    ['null', frame(1, 'null')],
    ['another group', frame(1, hello({ group: 'other' }))],
    ['a member that is none', frame(1, hello({ member: -1 }))],
    ['an address that is none', frame(1, hello({ address: 'nowhere' }))],
    ['a port that is none', frame(1, hello({ address: 'nowhere:99999' }))],
    ['others that are none', frame(1, hello({ others: [[1]] }))],
    ['too many others', frame(1, hello({ others: new Array(33).fill([5, 'a:1']) }))],
    ['another kind', Buffer.concat([frame(1, hello()), frame(3, 'x')])],
    ['a batch of 33 MiB', Buffer.concat([frame(1, hello()), frame(2, '', 33 * 2 ** 20)])],
  ]
  for (const [what, bytes] of hostile) {
    const socket = await attack(one.address, bytes)
    socket.resume()
    await t.notThrowsAsync(once(socket, 'close', { signal: AbortSignal.timeout(patienceMs) }), what)
  }
  // Well framed nonsense of a greeted site is refused by the library, and counted there.
  const greeted = await attack(one.address, frame(1, hello({ member: 2 })))
  for (let i = 0; i < 100; i += 1) greeted.write(frame(2, randomBytes(10 * i)))
  // One byte at a time is as good as all at once.
  const slow = await attack(one.address, Buffer.alloc(0))
  for (const byte of frame(1, hello({ member: 8 }))) slow.write(Buffer.of(byte))
  await once(slow, 'data')
  for (const socket of [greeted, slow]) socket.destroy()
  t.regex(await one.site.put('IBM', '2'), /^stored/)
  await agree(t, [one.site, two.site, three.site], ['IBM 2'])
  await endAll(t, [one.site, two.site, three.site])
})

test('the command line is checked', async (t) => {
  const sane = ['--replica', '--home', 'nowhere', '--listen', '127.0.0.1:0']
  const wrong: [args: string[], says: RegExp][] = [
    [[], /either --primary or --replica/],
    [[...sane, '--primary'], /either --primary or --replica/],
    [['--replica'], /--home/],
    [[...sane.slice(0, 3)], /--listen/],
    [[...sane, '--remote', 'nobody'], /--remote/],
    [[...sane, '--priority', '-1'], /priority/],
    [[...sane, '--sites', 'some'], /--sites/],
  ]
  await Promise.all(
    wrong.map(async ([args, says]) => {
      const site = new Site(t, 1, args)
      t.like(await site.ended, { code: 1 })
      t.regex(site.notices.join('\n'), says)
    }),
  )
})
