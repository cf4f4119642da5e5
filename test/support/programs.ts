// Runs the programs of test/process/programs, each in a process of its own.
import { fork, type ChildProcess, type ForkOptions } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

import type { ExecutionContext } from 'ava'

export const programFile = (name: string) =>
  fileURLToPath(new URL(`../process/programs/${name}.js`, import.meta.url))

export interface Program {
  child: ChildProcess
  /** Messages that have arrived until now. */
  messages: unknown[]
  /** Resolves with exit code, signal and standard output. */
  ended: Promise<{ code: number | null; signal: string | null; output: string }>
}

export const startProgram = (
  t: ExecutionContext,
  name: string,
  args: string[],
  options: ForkOptions = {},
): Program => {
  const child = fork(programFile(name), args, { ...options, silent: true })
  t.teardown(() => child.kill('SIGKILL'))
  const messages: unknown[] = []
  child.on('message', (message) => messages.push(message))
  let output = ''
  const note = (text: Buffer) => {
    output += text.toString()
  }
  child.stdout?.on('data', note)
  child.stderr?.on('data', note)
  const ended = once(child, 'close').then((values) => {
    const [code, signal] = values as [number | null, string | null]
    return { code, signal, output }
  })
  return { child, messages, ended }
}

/** Runs a program to its end, which has to be a good one; its standard output, trimmed. */
export const runProgram = async (
  t: ExecutionContext,
  name: string,
  args: string[],
  options: ForkOptions = {},
): Promise<string> => {
  const { code, signal, output } = await startProgram(t, name, args, options).ended
  t.is(code, 0, `${name}: code ${code}, signal ${signal}\n${output}`)
  return output.trim()
}
