// Prints the directory with the C sources of LMDB, for CMakeLists.txt, after checking that they are
// the expected ones.
//
//   node scripts/find-lmdb.mjs
import { lmdbDirectory } from './support/lmdb.mjs'

try {
  console.log(lmdbDirectory())
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}
