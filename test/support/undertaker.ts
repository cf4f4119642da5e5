// Removes directories of tests, with what environments in them have left in shared memory: also
// where this process does not come to it. A shell in a session of its own does it. Its input ends
// when this process does, in whatever way; then it removes whatever is left.
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import type { Writable } from 'node:stream'

// An environment's names in shared memory follow from its lock file.
const script = `
remove() {
  find "$1" -name lock -type f | while read -r lock; do
    number=$(printf %x "$(stat -c %i "$lock")")
    rm -f /dev/shm/ringleader-"$(stat -c %D "$lock")-$number"-*
  done
  rm -rf "$1"
}
while read -r order directory; do
  if [ "$order" = now ]; then remove "$directory"; else set -- "$@" "$directory"; fi
done
for directory; do
  if [ -e "$directory" ]; then remove "$directory"; fi
done`

let input: Writable | undefined

const tell = (order: string, directory: string) => {
  if (input === undefined) {
    const shell = spawn('/bin/sh', ['-c', script], {
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    })
    shell.unref()
    input = shell.stdin
    if (input instanceof Socket) input.unref()
  }
  input.write(`${order} ${directory}\n`)
}

export const removeAtEnd = (directory: string): void => {
  tell('end', directory)
}

export const removeNow = (directory: string): void => {
  tell('now', directory)
}
