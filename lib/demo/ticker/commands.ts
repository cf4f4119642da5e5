// What the prompt understands. Each command is answered by lines of its own.
import type { Database, Environment, Replication, RingleaderError } from '../../index.js'

export const help = [
  'put TICKER PRICE  stores a quote; resolved when a majority of the sites has it on disk',
  'get TICKER        the price, as this site knows it',
  'print             all quotes; so does an empty line',
  'stat              what this site is, and how far it is',
  'exit              ends this site',
]

const tickerPattern = /^[\w.:^=-]{1,32}$/
const pricePattern = /^\d{1,12}(\.\d{1,6})?$/

export interface CommandsOptions {
  env: Environment
  rep: Replication
  /** How long a quote may wait for the majority before its fate is called unknown. */
  timeoutMs: number
  say: (text: string) => void
}

export class Commands {
  readonly #options: CommandsOptions
  #quotes: Database<string, string> | undefined

  constructor(options: CommandsOptions) {
    this.#options = options
  }

  /** The answer to a line; undefined: that was the last one. */
  async run(line: string): Promise<string[] | undefined> {
    const [command = 'print', ...rest] = line.trim().split(/\s+/).filter(Boolean)
    try {
      switch (command) {
        case 'put':
          return [await this.#put(rest)]
        case 'get':
          return [this.#get(rest)]
        case 'print':
          return this.#print()
        case 'stat':
          return this.#stat()
        case 'exit':
        case 'quit':
          return undefined
        default:
          return help
      }
    } catch (error) {
      return [`error: ${(error as Error).message}`]
    }
  }

  async #put([ticker = '', price = '', ...more]: string[]): Promise<string> {
    if (!tickerPattern.test(ticker) || !pricePattern.test(price) || more.length > 0) {
      return 'error: put TICKER PRICE, as in: put IBM 131.50'
    }
    const { rep, timeoutMs } = this.#options
    try {
      const durability = { copies: 'quorum', timeoutMs } as const
      const { lsn } = await this.#open(true).put(ticker, price, { durability })
      return `stored ${ticker} ${price} at ${lsn}`
    } catch (error) {
      const { code, fate, message, token } = error as RingleaderError
      if (code === 'RL_NOT_PRIMARY' && fate === 'none') {
        const { primary } = rep
        const who = primary === undefined ? 'nobody leads' : `the primary is site ${primary}`
        return `refused ${ticker} ${price}: ${who}`
      }
      if (fate !== 'unknown') return `refused ${ticker} ${price}: ${message}`
      if (token !== undefined) void this.#follow(token, `${ticker} ${price}`)
      return `unknown ${ticker} ${price}: ${message}`
    }
  }

  // What has timed out is not lost: sooner or later it is known what has become of it.
  async #follow(token: string, quote: string): Promise<void> {
    const { env, say } = this.#options
    try {
      await env.waitFor(token, 'quorum')
      say(`stored ${quote} after all`)
    } catch (error) {
      say(`${(error as RingleaderError).code}: ${quote}`)
    }
  }

  #get([ticker = '']: string[]): string {
    const price = this.#known()?.get(ticker)
    return price === undefined ? `no quote of ${ticker}` : `${ticker} ${price}`
  }

  #print(): string[] {
    const rows = this.#known()?.range().toArray() ?? []
    return [...rows.map(({ key, value }) => `${key} ${value}`), `${rows.length} quotes`]
  }

  #stat(): string[] {
    const { role, primary, term, end, commit } = this.#options.rep.stat()
    return [`role ${role}, primary ${primary}, term ${term}, end ${end}, committed ${commit}`]
  }

  // A replica has the database when it has come with the log, and does not make it.
  #known(): Database<string, string> | undefined {
    try {
      return this.#open(this.#options.rep.role === 'primary')
    } catch (error) {
      const { code } = error as RingleaderError
      if (code === 'RL_NOT_FOUND' || code === 'RL_NOT_PRIMARY') return undefined
      throw error
    }
  }

  #open(create: boolean): Database<string, string> {
    const options = { key: 'utf8', value: 'utf8', create } as const
    return (this.#quotes ??= this.#options.env.database('quotes', options))
  }
}
