// One key at a time. A key that is an object may have accessors or iterators of its own, so code of
// the application may run while it is being written to where it belongs: into the batch of this
// turn, or the memory that is shared with the addon. What that code would write or read there in
// the meantime is refused; it may do so in accessors of values, which are encoded before.
import { invalidArgument } from './errors.js'

let writing = false

/** Throws where it is called by the key that is being written. */
export const checkNoKeyTurn = (): void => {
  if (writing) throw invalidArgument('key: what runs while it is encoded cannot use a database')
}

/** A key that is an object is being written, until endKeyTurn. */
export const beginKeyTurn = (): void => {
  checkNoKeyTurn()
  writing = true
}

export const endKeyTurn = (): void => {
  writing = false
}
