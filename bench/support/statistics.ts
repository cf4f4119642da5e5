// Figures of several rounds as one: the median, and between what it moved.

export interface Spread {
  median: number
  least: number
  most: number
}

export const spreadOf = (figures: readonly number[]): Spread => {
  const sorted = [...figures].sort((a, b) => a - b)
  const at = (index: number) => sorted[index] ?? NaN
  const middle = sorted.length / 2
  const median =
    sorted.length % 2 === 1 ? at(Math.floor(middle)) : (at(middle - 1) + at(middle)) / 2
  return { median, least: at(0), most: at(sorted.length - 1) }
}

/** 12,345, or 1.23 below a hundred. */
export const figure = (value: number): string =>
  value >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(2)

export const showSpread = ({ median, least, most }: Spread): string =>
  `${figure(median)} (${figure(least)}-${figure(most)})`
