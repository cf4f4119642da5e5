// The long campaigns in TypeScript: brings the project to the point where they run, and runs one.
//
//   node scripts/campaign.mjs shuffle|messages [ARGUMENT...]
//
// Arguments are the campaign's: test/NAME/main.ts.
import { runMain, setup, SetupError } from './setup.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'

await runMain(async () => {
  const [name, ...args] = process.argv.slice(2)
  if (name !== 'shuffle' && name !== 'messages') throw new SetupError(`no campaign ${name}`)
  await setup({ tests: true })
  const { code } = await run([process.execPath, at('dist-test', 'test', name, 'main.js'), ...args])
  process.exitCode = code
})
