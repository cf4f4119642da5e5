// Environments for a test, gone when it has ended.
import type { ExecutionContext } from 'ava'
import { Environment, type EnvironmentOptions } from 'ringleader'

import { temporaryDirectory } from './logs.js'

/** Small files and memory: most tests need no more, and see their ends. */
export const smallEnvironment: EnvironmentOptions = {
  segmentBytes: 65_536,
  ringBytes: 65_536,
  generationBytes: 2 ** 20,
}

/** Opened; closed behind the test. */
export const openEnvironment = async (
  t: ExecutionContext,
  options: EnvironmentOptions = smallEnvironment,
  directory = temporaryDirectory(t),
): Promise<Environment> => {
  const env = await Environment.open(directory, options)
  t.teardown(async () => {
    // A test that makes it fail has looked at that itself.
    await env.close().catch(() => undefined)
  })
  return env
}
