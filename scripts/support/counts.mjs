// How a program tells its results: readers that find passed, failed and skipped in its output.

export const noCounts = () => ({ passed: 0, failed: 0, skipped: 0 })

export const add = (total, counts) => {
  for (const key of Object.keys(total)) total[key] += counts[key]
  return total
}

// "3 passed, 0 failed", and ", 1 skipped" when there are any.
export const countLine = ({ passed, failed, skipped }) =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`

// What a whole run ends with. Skipped ones are told elsewhere: readers of this line know two
// numbers.
export const totalLine = ({ passed, failed }) => `${passed} passed, ${failed} failed`

// The last line that countLine could have written, or undefined.
export const readCountLine = (output) => {
  const lines = output.matchAll(/^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\s*$/gm)
  const last = [...lines].at(-1)
  if (!last) return undefined
  const [passed, failed, skipped] = last.slice(1).map((digits) => Number(digits ?? 0))
  return { passed, failed, skipped }
}

// The summary comments that end a TAP stream: ava writes "# skip", node:test "# skipped".
export const readTap = (output) => {
  const last = (word) => [...output.matchAll(new RegExp(`^# ${word} (\\d+)$`, 'gm'))].at(-1)
  const passed = last('pass')
  const failed = last('fail')
  if (!passed || !failed) return undefined
  const skipped = last('skip(?:ped)?')
  return {
    passed: Number(passed[1]),
    failed: Number(failed[1]),
    skipped: skipped ? Number(skipped[1]) : 0,
  }
}
