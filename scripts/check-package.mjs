// Packs the package and installs it into empty projects outside of this clone, the way an
// application would: once with a prebuilt addon, when nothing may be compiled, and once without,
// when npm install must build it.
//
// The packages it depends on come from npm's cache when they are there. Prints a line per check and
// "N passed, N failed".
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { countLine, noCounts } from './support/counts.mjs'
import { listFiles } from './support/files.mjs'
import { at } from './support/project.mjs'
import { tsc } from './support/types.mjs'

const work = mkdtempSync(join(tmpdir(), 'ringleader-package-'))
const unpacked = join(work, 'package')
const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm']

const commandWith = ({ cwd, env = {} }, ...words) => {
  const options = { cwd, env: { ...process.env, ...env }, encoding: 'utf8' }
  const { status, stdout, stderr } = spawnSync(words[0], words.slice(1), options)
  if (status !== 0) throw new Error(`${words.join(' ')}: exit code ${status}\n${stdout}${stderr}`)
  return stdout.trim()
}

const command = (cwd, ...words) => commandWith({ cwd }, ...words)

const expect = (condition, text) => {
  if (!condition) throw new Error(text)
}

const pack = (directory, ...flags) => {
  const target = mkdtempSync(join(work, 'tarball-'))
  command(directory, ...npm, 'pack', '--pack-destination', target, ...flags)
  return join(target, readdirSync(target)[0])
}

// An application with nothing but the package in it; its directory.
const install = (tarball, env = {}) => {
  const project = mkdtempSync(join(work, 'application-'))
  writeFileSync(join(project, 'package.json'), '{ "private": true }\n')
  const flags = ['--prefer-offline', '--no-audit', '--no-fund']
  commandWith({ cwd: project, env }, ...npm, 'install', ...flags, tarball)
  return project
}

const installed = (project, ...parts) => join(project, 'node_modules', 'ringleader', ...parts)

const addonOf = (project) => {
  const script = 'console.log(require("node-gyp-build").resolve(process.argv[1]))'
  return command(project, process.execPath, '-e', script, installed(project))
}

const useFrom = (project, file, source) => {
  writeFileSync(join(project, file), source)
  return command(project, process.execPath, file)
}

const checkUse = (project) => {
  const names = 'Object.keys(api).filter((name) => name !== "default").sort().join()'
  const imported = useFrom(
    project,
    'use.mjs',
    `import * as api from 'ringleader'
console.log(${names})`,
  )
  const required = useFrom(
    project,
    'use.cjs',
    `const api = require('ringleader')
console.log(Object.keys(api).filter((name) => name !== '__esModule').sort().join())`,
  )
  expect(imported !== '', 'import finds no exported name')
  expect(imported === required, `import gives ${imported}, require gives ${required}`)
  const addon = JSON.stringify(addonOf(project))
  command(project, process.execPath, '-e', `process.dlopen({ exports: {} }, ${addon})`)
}

const checkTypes = (project) => {
  writeFileSync(join(project, 'use.mts'), "import * as api from 'ringleader'\nexport default api\n")
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023']
  const types = ['--types', 'node', '--typeRoots', at('node_modules', '@types')]
  command(project, ...tsc(), ...flags, ...types, 'use.mts')
}

const checkContents = (directory) => {
  const sources = listFiles(['native']).map((path) => join(directory, path))
  const others = ['dist/index.js', 'dist/index.d.ts', 'LICENSE', 'README.md', 'CMakeLists.txt']
  for (const path of [...sources, ...others.map((name) => join(directory, name))]) {
    expect(existsSync(path), `${path} is not packed`)
  }
  for (const name of ['test', 'lib', 'build', 'dist/demo', 'binding.gyp']) {
    expect(!existsSync(join(directory, name)), `${name} is packed`)
  }
}

// That it can be built is the question: the addon of the first stage is the same one, optimized.
// cmake-js takes variables of CMake from these of the environment.
const quickBuild = {
  npm_cmake_CMAKE_CXX_FLAGS_RELEASE: '-O0',
  npm_cmake_RINGLEADER_PRECOMPILE: 'ON',
}

const state = {}
const checks = {
  'npm pack takes what is needed and no more': () => {
    command(work, 'tar', '-xzf', pack(at()))
    checkContents(unpacked)
    // Prebuilt addons that this clone happens to have are not the ones tested here.
    rmSync(join(unpacked, 'prebuilds'), { recursive: true, force: true })
    state.source = pack(unpacked, '--ignore-scripts')
  },
  'a prebuilt addon is built and packed': () => {
    const out = join(unpacked, 'prebuilds')
    command(at(), process.execPath, 'scripts/prebuild.mjs', '--out', out)
    state.prebuilt = pack(unpacked, '--ignore-scripts')
  },
  'installing with a prebuilt addon compiles nothing': () => {
    state.application = install(state.prebuilt)
    expect(!existsSync(installed(state.application, 'build')), 'there is a build directory')
    expect(addonOf(state.application).includes('/prebuilds/'), 'another addon is found')
  },
  'the installed package can be imported and required': () => checkUse(state.application),
  'its types compile in an application': () => checkTypes(state.application),
  'installing without one builds the addon': () => {
    state.application = install(state.source, quickBuild)
    expect(addonOf(state.application).includes('/build/Release/'), 'another addon is found')
    checkUse(state.application)
  },
}

const counts = noCounts()
for (const [name, check] of Object.entries(checks)) {
  try {
    check()
    counts.passed += 1
    console.log(`ok      ${name}`)
  } catch (error) {
    counts.failed += 1
    console.log(`FAILED  ${name}\n${error.message}`)
  }
}
rmSync(work, { recursive: true, force: true })
console.log(countLine(counts))
process.exitCode = counts.failed > 0 ? 1 : 0
