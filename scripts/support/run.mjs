// Runs programs. A child gets its own process group, so that a time limit or Ctrl-C ends whatever
// the child has started as well.
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { constants, setPriority } from 'node:os'
import { dirname } from 'node:path'

import { root } from './project.mjs'

// From the request to end until the order: a child that runs groups of its own ends them meanwhile.
const graceMs = 2000
// setTimeout takes no more.
const longestMs = 2 ** 31 - 1

const running = new Set()

const signalGroup = (child, signal) => {
  try {
    process.kill(-child.pid, signal)
  } catch {
    // It has ended in the meantime.
  }
}

const endGroup = (child) => {
  signalGroup(child, 'SIGTERM')
  setTimeout(() => signalGroup(child, 'SIGKILL'), graceMs).unref()
}

// Ends whatever run() has started; its promises resolve as ever.
export const endAll = () => {
  for (const child of running) endGroup(child)
}

let onSignal = (signal) => {
  for (const child of running) signalGroup(child, 'SIGTERM')
  // Those that have not ended by then are not ours to wait for any longer.
  const exit = () => {
    for (const child of running) signalGroup(child, 'SIGKILL')
    process.exit(128 + constants.signals[signal])
  }
  if (running.size === 0) exit()
  setTimeout(exit, graceMs / 2)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => onSignal(signal))

// What a signal that asks this process to end does, instead of ending it at once.
export const handleSignals = (handler) => {
  onSignal = handler
}

// Seconds of processor time, user and system, that the children waited for have used, with all
// that they have waited for themselves. Linux counts it in hundredths.
const waitedCpuSeconds = () => {
  const stat = readFileSync('/proc/self/stat', 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / 100
}

let countedCpuSeconds = waitedCpuSeconds()

// What has been added since the last call: asked whenever a child ends, it is that child's. (Two
// that end in the same instant may be counted as one.)
const newCpuSeconds = () => {
  const before = countedCpuSeconds
  countedCpuSeconds = waitedCpuSeconds()
  return countedCpuSeconds - before
}

// Runs `command` (program and arguments) and resolves with { code, timedOut, cpuSeconds }: code is
// 128 + the signal's number when a signal ended it, 127 when it could not be started. Output goes
// to this process's own, or with `logFile` to the end of that file. Never rejects.
//
//   cwd, env     where it runs; what its environment has besides this process's own
//   timeoutMs    after which it is ended
//   niceness     by how much it gives way to others, 0
export const run = (command, options = {}) => {
  const { cwd = root, env = {}, logFile, timeoutMs = longestMs, niceness = 0 } = options
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
    const limit = Math.min(timeoutMs, longestMs)
    const timer = setTimeout(() => {
      timedOut = true
      endGroup(child)
    }, limit)
    const finish = (code) => {
      clearTimeout(timer)
      running.delete(child)
      if (logFile) closeSync(output)
      resolve({ code, timedOut, cpuSeconds: newCpuSeconds() })
    }
    child.once('error', () => finish(127))
    child.once('exit', (code, signal) => {
      // What it has left behind must not disturb what comes next.
      signalGroup(child, 'SIGKILL')
      finish(code ?? 128 + constants.signals[signal])
    })
    if (niceness > 0 && child.pid) lowerPriority(child.pid, niceness)
  })
}

const lowerPriority = (pid, niceness) => {
  try {
    setPriority(pid, niceness)
  } catch {
    // It has ended, or this is not allowed here.
  }
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
