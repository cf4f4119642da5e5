// Runs programs. A child gets its own process group, so that a time limit or Ctrl-C ends whatever
// the child has started as well.
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { constants } from 'node:os'
import { dirname } from 'node:path'

import { root } from './project.mjs'

const running = new Set()

const endGroup = (child, signal) => {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended in the meantime.
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => {
    for (const child of running) endGroup(child, 'SIGKILL')
    process.exit(128 + constants.signals[signal])
  })
}

// Runs `command` (program and arguments) and resolves with { code, timedOut }: code is 128 + the
// signal's number when a signal ended it, 127 when it could not be started. Output goes to this
// process's own, or with `logFile` to the end of that file. Never rejects.
export const run = (command, options = {}) => {
  const { cwd = root, env = {}, logFile, timeoutMs } = options
  if (logFile) mkdirSync(dirname(logFile), { recursive: true })
  const output = logFile ? openSync(logFile, 'a') : 'inherit'
  return new Promise((resolve) => {
    let timedOut = false
    const child = spawn(command[0], command.slice(1), {
      cwd,
      env: { ...process.env, ...env },
      detached: true,
      stdio: ['ignore', output, output],
    })
    running.add(child)
    const timer = timeoutMs
      ? setTimeout(() => {
          timedOut = true
          endGroup(child, 'SIGKILL')
        }, timeoutMs)
      : undefined
    const finish = (code) => {
      clearTimeout(timer)
      running.delete(child)
      if (logFile) closeSync(output)
      resolve({ code, timedOut })
    }
    child.once('error', () => finish(127))
    child.once('exit', (code, signal) => finish(code ?? 128 + constants.signals[signal]))
  })
}

export class CommandError extends Error {}

// Runs `command` quietly; when it fails, throws a CommandError that carries the end of its output.
// `logFile` receives all of it.
export const runOrThrow = async (command, { logFile, ...options }) => {
  const { code } = await run(command, { ...options, logFile })
  if (code === 0) return
  throw new CommandError(`${lastLines(logFile, 40)}\n${command.join(' ')}: exit code ${code}`)
}

export const lastLines = (file, count) =>
  readFileSync(file, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
