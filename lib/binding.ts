// Loads the addon, when it is first needed: the only file that does.
//
// Looked for in this order: the file that RINGLEADER_ADDON names (a debug or sanitizer build); what
// node-gyp-build finds in the package, a local build or a prebuilt file.
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { RingleaderError, type ErrorCode, type Fate } from './errors.js'
import type { NativeBinding } from './native.js'

const packageRoot = fileURLToPath(new URL('..', import.meta.url))
const require = createRequire(import.meta.url)

const checkPlatform = () => {
  if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')) return
  throw new RingleaderError(
    'RL_PLATFORM',
    `ringleader runs on Linux on x64 and arm64 only, not on ${process.platform} on ${process.arch}`,
  )
}

const requireAddon = (): NativeBinding => {
  const named = process.env.RINGLEADER_ADDON
  if (named) return require(resolve(named)) as NativeBinding
  const load = require('node-gyp-build') as (directory: string) => NativeBinding
  return load(packageRoot)
}

const load = (): NativeBinding => {
  checkPlatform()
  let binding
  try {
    binding = requireAddon()
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new RingleaderError(
      'RL_ADDON',
      `the addon of ringleader cannot be loaded: ${reason}\n` +
        'Install the package again, or build it with: npm rebuild ringleader',
    )
  }
  binding.setErrorFactory(
    (code, fate, errno, message) =>
      new RingleaderError(code as ErrorCode, message, { fate: fate as Fate, errno }),
  )
  return binding
}

let loaded: NativeBinding | undefined

/** The addon; RL_PLATFORM or RL_ADDON where there is none. */
export const binding = (): NativeBinding => (loaded ??= load())
