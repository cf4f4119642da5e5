// What the command lines of the jobs have in common.
import { existsSync, readdirSync } from 'node:fs'

export const positive = (text: string, name: string, max: number): number => {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= max) return number
  throw new Error(`--${name}: an integer from 1 to ${max}, not ${text}`)
}

/** For --dir, which may be left out. */
export const checkNewDirectory = (directory: string | undefined): void => {
  if (directory && existsSync(directory) && readdirSync(directory).length > 0) {
    throw new Error(`--dir: ${directory} is not empty`)
  }
}
