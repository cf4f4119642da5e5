// Reads what io-recorder.c has written: the operations in order, each { kind, ... }. Files are
// numbered anew, because the kernel uses an inode's number again once the file is gone.

const newline = 10

export const readRecording = (buffer) => {
  const operations = []
  const fileOf = new Map() // inode number -> number of the file that has it now
  let files = 0
  let at = 0
  const take = (size) => {
    const data = buffer.subarray(at, at + size)
    if (data.length < size) throw new Error('the recording is cut short')
    at += size
    return data
  }
  const known = (inode) => {
    if (!fileOf.has(inode)) throw new Error(`inode ${inode} was never created`)
    return fileOf.get(inode)
  }
  const readers = {
    create: (inode, path) => {
      fileOf.set(inode, (files += 1))
      return { path, file: files }
    },
    mkdir: (path) => ({ path }),
    rename: (from, path) => ({ from, path }),
    unlink: (path) => ({ path }),
    syncdir: (path) => ({ path }),
    sync: (inode) => ({ file: known(inode) }),
    durable: (inode) => ({ file: known(inode) }),
    size: (inode, size) => ({ file: known(inode), size: Number(size) }),
    grow: (inode, size) => ({ file: known(inode), size: Number(size) }),
    write: (inode, offset, size) => ({
      file: known(inode),
      offset: Number(offset),
      data: take(Number(size)),
    }),
    mark: (size) => ({ text: take(Number(size)).toString('latin1').trim() }),
  }
  while (at < buffer.length) {
    const end = buffer.indexOf(newline, at)
    const [kind, ...fields] = buffer.toString('utf8', at, end).split('\t')
    at = end + 1
    operations.push({ kind, ...readers[kind](...fields) })
  }
  return operations
}
