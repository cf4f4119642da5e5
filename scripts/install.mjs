// Runs when npm installs the package: uses the prebuilt addon when there is one for this machine,
// builds from source otherwise (or always, with npm install --build-from-source).
import { buildAddon, usableAddon } from './support/addon.mjs'
import { compilerProblem, nodeProblem, platformProblem } from './support/toolchain.mjs'

const fail = (text) => {
  console.error(text)
  process.exit(1)
}

const fromSource = process.env.npm_config_build_from_source === 'true'

const problem = platformProblem() || nodeProblem()
if (problem) fail(problem)
if (fromSource || !usableAddon()) {
  const missing = compilerProblem()
  if (missing) fail(missing)
  try {
    await buildAddon()
  } catch (error) {
    fail(`${error.message}\nringleader: the addon could not be built from source`)
  }
}
