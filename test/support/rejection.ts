// What a failed call has failed with.
import type { ExecutionContext } from 'ava'
import { RingleaderError, type ErrorCode } from 'ringleader'

/** The RingleaderError of that code that a call throws or rejects with. */
export const rejection = async (
  t: ExecutionContext,
  code: ErrorCode,
  call: () => unknown,
): Promise<RingleaderError> => {
  let failed: unknown
  try {
    await call()
  } catch (error) {
    failed = error
  }
  t.true(failed instanceof RingleaderError, `${code} was expected, and there is ${String(failed)}`)
  const error = failed as RingleaderError
  t.is(error.code, code, error.message)
  return error
}
