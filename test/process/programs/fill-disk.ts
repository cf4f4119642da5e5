// Fills a small file system with a log, makes room, and goes on. Starts itself once more in a mount
// namespace of its own, where it may mount one.
import { execFileSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { Log, type RingleaderError } from 'ringleader'

const inNamespace = () => {
  const own = [process.execPath, fileURLToPath(import.meta.url), 'inside']
  const mounted = ['--map-root-user', '--mount', ...own]
  process.stdout.write(execFileSync('unshare', mounted))
}

const fill = async () => {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', '/mnt'])
  writeFileSync('/mnt/ballast', new Uint8Array(1_000_000))
  const log = await Log.open('/mnt/environment', { segmentBytes: 65_536, ringBytes: 65_536 })
  const payload = new Uint8Array(4096)
  let appended = 0
  let failure: unknown
  while (failure === undefined) {
    const append = log.append(payload, { level: 'memory' })
    failure = await append.then(
      () => {
        appended += 1
        return undefined
      },
      (error: unknown) => error,
    )
  }
  const { code, fate, retry } = failure as RingleaderError
  const full = log.stat().diskFull
  rmSync('/mnt/ballast')
  for (let kept = appended; kept < appended + 100;) {
    const error = await log.append(payload).then(
      () => undefined,
      (reason: unknown) => reason as RingleaderError,
    )
    if (error === undefined) kept += 1
    else if (error.code !== 'RL_NO_SPACE') throw error
    else await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const goesOn = (await log.verify()) === appended + 100
  await log.close()
  console.log(`${code} ${fate} ${retry} ${full}, ${goesOn ? 'goes on' : 'lost some'}`)
}

if (process.argv[2] === 'inside') await fill()
else inNamespace()
