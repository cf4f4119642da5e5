// The time that all stages have together, and the request to stop before it is over.

// `minutes` from now. `reason` is undefined as long as there is time, afterwards why there is none.
export const makeLimit = (minutes = Infinity, now = () => performance.now()) => {
  const endMs = now() + minutes * 60_000
  let stopped
  const leftMs = () => (stopped ? 0 : Math.max(0, endMs - now()))
  return {
    leftMs,
    stop: (reason) => {
      stopped ??= reason
    },
    get reason() {
      if (stopped) return stopped
      return leftMs() === 0 ? `the ${minutes} minutes of all stages are over` : undefined
    },
  }
}
