// Random numbers that follow from a seed: the same seed builds the same crash states.
export const makeRandom = (...seeds) => {
  let state = 0x9e3779b9
  const next = () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  for (const seed of seeds) {
    state = (state ^ Math.imul(seed + 1, 0x85ebca6b)) | 0
    next()
  }
  return {
    below: (limit) => Math.floor(next() * limit),
    chance: (probability) => next() < probability,
    fraction: next,
  }
}
