// The main job (npm start), small, and ended on the way.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import test, { type ExecutionContext } from 'ava'

import { temporaryDirectory } from '../support/logs.js'

const main = fileURLToPath(new URL('../../../dist/demo/main.js', import.meta.url))

interface Job {
  directory: string
  /** Resolves when it has said this. */
  says: (text: string) => Promise<void>
  end: (signal: NodeJS.Signals) => void
  ended: Promise<{ code: number | null; output: string }>
}

const startJob = (t: ExecutionContext, args: string[]): Job => {
  const directory = temporaryDirectory(t)
  const child = spawn(process.execPath, [main, '--records', '10000', ...args], {
    env: { ...process.env, TMPDIR: directory },
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  const note = (text: Buffer) => {
    output += text.toString()
    child.emit('said')
  }
  child.stdout.on('data', note)
  child.stderr.on('data', note)
  return {
    directory,
    says: async (text) => {
      while (!output.includes(text)) {
        if (child.exitCode !== null) throw new Error(`ended without "${text}":\n${output}`)
        await Promise.race([once(child, 'said'), once(child, 'close')])
      }
    },
    end: (signal) => child.kill(signal),
    ended: once(child, 'close').then(([code]) => ({ code: code as number | null, output })),
  }
}

test('a group of three loses nothing when its primary is killed', async (t) => {
  const { ended, directory } = startJob(t, ['--json', '--seconds', '120'])
  const { code, output } = await ended
  t.is(code, 0, output)
  const summary = JSON.parse(output) as Record<string, unknown>
  const all = { foundById: 10_000, foundByName: 10_000, foundByCountry: 10_000 }
  t.like(summary, { members: 3, cities: 10_000, lost: 0, strays: 0, tornCities: 0, ...all })
  t.deepEqual(summary.problems, [])
  t.deepEqual(readdirSync(directory), [])
})

for (const moment of ['1 leads', 'killed member']) {
  test(`the main job ends in good order after "${moment}"`, async (t) => {
    const { ended, end, says, directory } = startJob(t, [])
    await says(moment)
    end('SIGINT')
    const { code, output } = await ended
    t.is(code, 130, output)
    t.deepEqual(readdirSync(directory), [])
  })
}

test('what takes too long has failed', async (t) => {
  const { ended, directory } = startJob(t, ['--seconds', '1', '--records', '1000000'])
  const { code, output } = await ended
  t.is(code, 1)
  t.regex(output, /not done after 1 seconds/)
  t.deepEqual(readdirSync(directory), [])
})
