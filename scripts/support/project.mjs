// Where things are. Every path a script uses starts from `root`, never from the working directory.
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

export const at = (...parts) => join(root, ...parts)

export const packageJson = JSON.parse(readFileSync(at('package.json'), 'utf8'))

// True in a clone of the repository, false in an installed package.
export const isCheckout = () => existsSync(at('package-lock.json'))

// The file of an installed dependency: `dependencyFile('cmake-js', 'bin/cmake-js')`.
// Goes through the package's own package.json, so it finds files that `exports` hides, as long as
// the dependency lets its package.json be seen.
export const dependencyFile = (name, file) => {
  const require = createRequire(at('package.json'))
  return join(dirname(require.resolve(`${name}/package.json`)), file)
}
