// What a power cut may leave of the files of a recording. The rules are those of the simulated disk
// (native/env/sim/sim_crash.h), in short:
//   - bytes written since the file's last flush may be there or not, each write and each sector of
//     512 bytes by itself; a sector that is there holds every earlier write to it as well;
//   - what was written through a descriptor of O_DSYNC is there once the call has returned;
//   - the size stops at any of the values it has had since then, whatever became of the bytes;
//   - a name is certain only once its directory has been flushed. Until then each change of names
//     may be lost, but one that survives brings along the earlier ones of the same name or file;
//     `ordered`: they survive in order, as in a journal;
//   - a rename is atomic, and names lead to inodes: moving a name moves no bytes.
import { dirname } from 'node:path'

const sectorBytes = 512

export const everything = { survives: () => true, stop: (count) => count, torn: true }

// One way to decide about everything that is not certain.
export const drawPolicy = (random) => {
  const kind = random.below(8)
  const torn = random.below(4) !== 0
  const ordered = random.below(2) === 0
  if (kind === 0) return { survives: () => false, stop: () => 0, torn, ordered }
  if (kind === 1) return { ...everything, ordered }
  const probability = random.fraction()
  return {
    survives: () => random.chance(probability),
    stop: (count) => random.below(count + 1),
    torn,
    ordered,
  }
}

const noFile = () => ({ certain: Buffer.alloc(0), pending: [] })

const sized = (bytes, size) => {
  if (bytes.length >= size) return bytes.subarray(0, size)
  return Buffer.concat([bytes, Buffer.alloc(size - bytes.length)])
}

// The sizes that `pending` leads through, from the certain one on.
const sizesOf = ({ certain, pending }) => {
  let size = certain.length
  return pending.map((operation) => {
    if (operation.kind === 'size') size = operation.size
    else if (operation.kind === 'grow') size = Math.max(size, operation.size)
    else size = Math.max(size, operation.offset + operation.data.length)
    return size
  })
}

// How many of the sizes have been reached for certain: up to a durable write that grew the file.
const certainSizes = ({ certain, pending }) =>
  1 +
  pending.findLastIndex(
    ({ kind, durable, offset, data }) =>
      kind === 'write' && durable && offset + data.length > certain.length,
  )

const copySectors = (from, to, start, end, survives) => {
  const first = start - (start % sectorBytes)
  for (let sector = first; sector < end; sector += sectorBytes) {
    if (survives()) from.copy(to, sector, sector, Math.min(sector + sectorBytes, end))
  }
}

// The bytes of one file after the cut.
const contentOf = (file, policy) => {
  const { certain, pending } = file
  if (pending.length === 0) return certain
  const sizes = sizesOf(file)
  const stop = Math.max(policy.stop(pending.length), certainSizes(file))
  const room = Math.max(certain.length, ...sizes)
  const cache = Buffer.alloc(room)
  const disk = Buffer.alloc(room)
  certain.copy(cache)
  certain.copy(disk)
  for (const [index, operation] of pending.entries()) {
    if (operation.kind === 'size') {
      cache.fill(0, operation.size)
      if (index < stop) disk.fill(0, operation.size)
    } else if (operation.kind === 'write') {
      const end = operation.offset + operation.data.length
      operation.data.copy(cache, operation.offset)
      const whole = policy.torn || policy.survives()
      if (operation.durable) cache.copy(disk, operation.offset, operation.offset, end)
      else if (whole)
        copySectors(cache, disk, operation.offset, end, policy.torn ? policy.survives : () => true)
    }
  }
  return disk.subarray(0, stop === 0 ? certain.length : sizes[stop - 1])
}

const applyName = (names, { kind, from, path, file }) => {
  if (kind === 'create') names.set(path, file)
  else if (kind === 'mkdir') names.set(path, 'directory')
  else if (kind === 'unlink') names.delete(path)
  else if (names.has(from)) {
    names.set(path, names.get(from))
    names.delete(from)
  }
}

const subjectsOf = ({ from, path, file }) =>
  [path, from, file].filter((subject) => subject !== undefined)

// Which of the pending changes of names survive, given who does so by itself.
const withCauses = (pending, chosen) => {
  const survivors = new Set()
  const wanted = new Set()
  for (const change of pending.toReversed()) {
    if (!chosen(change) && !change.subjects.some((subject) => wanted.has(subject))) continue
    survivors.add(change)
    for (const subject of change.subjects) wanted.add(subject)
  }
  return survivors
}

// Follows a recording and builds, at any point, the states that a cut there may leave.
export class CrashModel {
  #files = new Map()
  #names = new Map() // as they are on the disk for certain: path -> file number or 'directory'
  #cached = new Map() // as programs see them
  #pending = [] // changes of names, in order

  apply(operation) {
    const { kind, path, file } = operation
    if (kind === 'mark') return
    if (kind === 'durable') this.#markDurable(this.#files.get(file))
    else if (kind === 'sync') this.#syncFile(this.#files.get(file))
    else if (kind === 'syncdir') this.#syncDirectory(path)
    else if (path === undefined) this.#files.get(file).pending.push(operation)
    else this.#changeNames(operation)
  }

  // path -> content of the files, or 'directory', parents first.
  crash(policy) {
    const names = new Map(this.#names)
    const chosen = policy.ordered
      ? new Set(this.#pending.slice(0, policy.stop(this.#pending.length)))
      : withCauses(this.#pending, policy.survives)
    for (const change of this.#pending) if (chosen.has(change)) applyName(names, change)
    const state = new Map()
    for (const path of [...names.keys()].sort()) {
      const parent = dirname(path)
      if (parent !== '.' && state.get(parent) !== 'directory') continue
      const file = names.get(path)
      state.set(path, file === 'directory' ? file : contentOf(this.#files.get(file), policy))
    }
    return state
  }

  #changeNames(operation) {
    const { kind, from, path } = operation
    if (kind === 'create') this.#files.set(operation.file, noFile())
    // What a rename or a removal is about: two of the same file keep their order.
    const file = operation.file ?? this.#cached.get(from ?? path)
    const change = { ...operation, subjects: subjectsOf({ ...operation, file }) }
    applyName(this.#cached, operation)
    this.#pending.push(change)
  }

  #markDurable({ pending }) {
    pending.push({ ...pending.pop(), durable: true })
  }

  #syncFile(file) {
    const size = sizesOf(file).at(-1) ?? file.certain.length
    file.certain = sized(Buffer.from(contentOf(file, everything)), size)
    file.pending = []
  }

  #syncDirectory(directory) {
    const certain = withCauses(this.#pending, ({ from, path }) =>
      [from, path].every((name) => name === undefined || dirname(name) === directory),
    )
    for (const change of this.#pending) if (certain.has(change)) applyName(this.#names, change)
    this.#pending = this.#pending.filter((change) => !certain.has(change))
  }
}
