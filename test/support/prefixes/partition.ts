/** How many of the numbers from 0 to below `length` a condition holds for, which ends once. */
export const countWhile = (length: number, holds: (i: number) => boolean): number => {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low
}
