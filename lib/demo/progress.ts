// Shows how far the demonstration has got: a bar on a terminal, a line per second elsewhere.
import type cliProgress from 'cli-progress'

import { requireForDevelopment } from './cities.js'

export interface Progress {
  update(cities: number, transactions: number): void
  say(text: string): void
  stop(): void
}

type CliProgress = typeof cliProgress

const format =
  '{bar} {percentage}% | {value}/{total} cities | {rate}/s | {transactionRate} transactions/s'

// Per second since the first cities, which come when the writers' processes have started.
class Rates {
  #began = 0

  of(...counts: number[]): string[] {
    this.#began ||= performance.now() - 1
    const seconds = (performance.now() - this.#began) / 1000
    return counts.map((count) => Math.round(count / seconds).toLocaleString('en'))
  }
}

const showBar = (total: number): Progress => {
  const { SingleBar, Presets } = requireForDevelopment('cli-progress') as CliProgress
  const bar = new SingleBar({ format, hideCursor: true }, Presets.shades_classic)
  const rates = new Rates()
  bar.start(total, 0, { rate: '0', transactionRate: '0' })
  return {
    update(cities, transactions) {
      const [rate, transactionRate] = rates.of(cities, transactions)
      bar.update(cities, { rate, transactionRate })
    },
    say(text) {
      process.stdout.write(`\r\u001b[K${text}\n`)
    },
    stop() {
      bar.stop()
    },
  }
}

const showLines = (total: number): Progress => {
  const rates = new Rates()
  let shown = performance.now()
  return {
    update(cities, transactions) {
      const [rate, transactionRate] = rates.of(cities, transactions)
      const now = performance.now()
      if (now - shown < 1000 && cities < total) return
      shown = now
      const share = Math.floor((100 * cities) / total)
      console.log(
        `${share}% | ${cities}/${total} cities | ${rate}/s | ${transactionRate} transactions/s`,
      )
    },
    say(text) {
      console.log(text)
    },
    stop() {
      // Every line has ended.
    },
  }
}

const ignore = () => undefined
const showNothing = (): Progress => ({ update: ignore, say: ignore, stop: ignore })

export const showProgress = (total: number, quiet: boolean): Progress => {
  if (quiet) return showNothing()
  return process.stdout.isTTY ? showBar(total) : showLines(total)
}
