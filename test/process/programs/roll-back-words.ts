// What a thread that rolls back and the one that tells it to have in common. words[0]: what is
// under way; words[1] and words[2]: the end to roll back to, in two halves of 30 bits and the rest.
export const waiting = 0
export const asked = 1
export const done = 2

export interface RollBackTask {
  directory: string
  words: Int32Array<SharedArrayBuffer>
}
