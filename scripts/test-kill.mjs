// The long kill campaign: thousands of processes killed at random, and wider single-step sweeps.
//
//   node scripts/test-kill.mjs [SCALE]      default 20: about twenty thousand kills
import { buildPreset, presetFile } from './support/presets.mjs'
import { run } from './support/run.mjs'

const scale = process.argv[2] ?? '20'
await buildPreset('release')
const nativeTest = (factor, ...suites) =>
  run([presetFile('release', 'native-test'), ...suites], {
    env: { RINGLEADER_TEST_SCALE: String(factor) },
  })
const random = await nativeTest(scale, 'log_kill', 'store_kill')
// A sweep's time grows with its steps: three times as many places say nearly all there is to say.
const steps = await nativeTest(Math.min(Number(scale), 3), 'log_step', 'store_step')
process.exitCode = random.code === 0 && steps.code === 0 ? 0 : 1
