// Runs stages one after the other. Two stages' checks never run at the same time, because some of
// them measure time or load; the next stages are built meanwhile, one at a time.
import { buildStage, runStage } from './stage-runner.mjs'

// Calls `onResult` with every stage and its result, in order, until all are done or `limit` (see
// limit.mjs) has no more time. A stage that is `alone` makes what others are built from: nothing is
// built before it is done.
export const runStages = async (chosen, limit, onResult) => {
  const built = new Map()
  let building = Promise.resolve()
  const buildAhead = (stages) => {
    for (const stage of stages) {
      building = building.then(() => buildStage(stage, limit))
      built.set(stage, building)
    }
  }
  for (const [index, stage] of chosen.entries()) {
    if (limit.reason) break
    if (built.size === 0 && !stage.alone) buildAhead(chosen.slice(index))
    onResult(stage, await runStage(stage, limit, built.get(stage)))
  }
  // With nothing left of the time, what is being built has been told to end.
  await building
}
