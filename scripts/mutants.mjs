// Proves the tests: every planted bug must be noticed by the tests that are named for it here, and
// those tests must pass without it. A planted bug is one of
//
//   native/base/mutant.h       compiled into program and addon by the target `mutants`; in the
//                              program those in `tests` have to notice, in the addon that in `unit`
//   support/lib-mutants.mjs    a change of one line of a compiled file of lib
//
//   node scripts/mutants.mjs [NAME...]
//
// A test that runs into the time limit has noticed too: some bugs make a log wait for ever. As many
// tests run at a time as there are processors.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'

import { countLine } from './support/counts.mjs'
import { libMutants, withMutant } from './support/lib-mutants.mjs'
import { mutantsFile } from './support/presets.mjs'
import { at } from './support/project.mjs'
import { run } from './support/run.mjs'

const timeLimitMs = 60_000
const unitTimeLimitMs = 30_000

// One that is in several rows is noticed by each.
const mutants = [
  ...['TakeForeignGroup', 'TrustSender', 'SkipFrameChecksum'].map((name) => ({
    name,
    unit: [
      'unit/message-fuzz',
      'hostile messages come to results that are counted, and harm nobody',
    ],
  })),
  {
    name: 'TakeForeignGroup',
    unit: [
      'unit/replication-messages',
      'hostile messages are refused, counted, and change nothing',
    ],
  },
  {
    name: 'TrustSender',
    unit: [
      'unit/replication-messages',
      'hostile messages are refused, counted, and change nothing',
    ],
  },
  {
    name: 'TakeTornBatch',
    unit: [
      'unit/replication-messages',
      'hostile messages are refused, counted, and change nothing',
    ],
  },
  { name: 'JoinAcrossGap', tests: ['engine_arrival.what_a_batch_lacks_is_missing'] },
  { name: 'PermanentEarly', tests: ['engine_arrival.what_is_permanent_is_flushed'] },
  {
    name: 'FailedBeforeFlush',
    tests: ['engine_arrival.what_could_not_be_sent_is_flushed_when_it_is_told'],
  },
  { name: 'AnswerAll', tests: ['scenario.limits_of_requests'] },
  { name: 'AnswerAll', tests: ['scenario.base_limit_at_the_primary'] },
  { name: 'OneLane', tests: ['engine_outbox.what_is_urgent_goes_first'] },
  { name: 'UnboundedOutbox', tests: ['engine_outbox.what_waits_is_bounded'] },
  { name: 'RingPublishEarly', tests: ['ring_step.a_producer_dies'] },
  { name: 'RingTrustShared', tests: ['ring_step.a_head_changes_while_it_is_read'] },
  { name: 'RingTrustHead', tests: ['ring_hostile.heads'] },
  { name: 'RingSleepBlind', tests: ['ring_link_sleep.it_looks_once_more_before_it_sleeps'] },
  { name: 'RingSkipSeals', tests: ['ring_memory.every_seal_counts'] },
  { name: 'SkipDataSync', tests: ['log_powercut.every_promise_survives'] },
  { name: 'SkipChainCheck', tests: ['log_fault.a_record_of_another_history_ends_the_log'] },
  { name: 'AcceptTornBelowMark', tests: ['log_fault.a_lying_disk_is_found_out'] },
  { name: 'SkipDirectorySync', tests: ['log_powercut.every_promise_survives'] },
  { name: 'SkipRecycleInvalidate', tests: ['log_powercut.every_promise_survives'] },
  { name: 'SkipPayloadCheck', tests: ['log_powercut.every_promise_survives'] },
  {
    name: 'TrustControl',
    tests: [
      'log_process.a_trim_is_finished_only_when_its_control_page_is_flushed',
      'log_process.a_roll_back_is_finished_only_when_its_control_page_is_flushed',
    ],
  },
  {
    name: 'TrustNames',
    tests: ['log_process.the_name_of_a_segment_lasts_though_its_flush_has_failed'],
  },
  {
    name: 'DiscardByName',
    tests: ['log_process.a_segment_that_was_rolled_back_stays_away_though_the_flush_has_failed'],
  },
  { name: 'SkipTailRewrite', tests: ['log_process.what_recovery_reports_as_flushed_is_flushed'] },
  { name: 'SkipSegmentBarrier', tests: ['log_powercut.every_promise_survives'] },
  { name: 'DurableBeforeSync', tests: ['log_fault.a_failed_flush_is_final'] },
  { name: 'UpdateStateInPlace', tests: ['log_step_state.append'] },
  { name: 'PublishBeforeCopy', tests: ['log_step_state.append'] },
  { name: 'RetryFailedSync', tests: ['log_fault.a_failed_flush_is_final'] },
  {
    name: 'IgnoreRetention',
    tests: ['log.segments_are_recycled_when_their_consumers_have_passed'],
  },
  {
    name: 'SkipTombstone',
    tests: ['store_generation.what_is_inserted_is_found_at_every_snapshot'],
  },
  {
    name: 'PublishBeforeVersion',
    tests: ['store_generation_crash.any_instruction_may_be_the_last'],
  },
  {
    name: 'AppliedOutsideBatch',
    tests: ['store_base_process.readers_in_threads_see_whole_batches'],
  },
  { name: 'SkipRowChecksum', tests: ['store_base_damage.a_flip_anywhere_in_a_row_is_met'] },
  { name: 'LookOnceAtBase', tests: ['store_base_process.opens_beside_commits'] },
  {
    name: 'IgnoreRanges',
    tests: ['store_transaction.a_change_inside_a_range_that_was_read_is_a_conflict'],
  },
  {
    name: 'ReadBaseBeforeGenerations',
    tests: ['store_view.misses_nothing_that_is_folded_while_it_is_taken'],
  },
  { name: 'SkipRedo', tests: ['store_death.what_counts_is_inserted_by_the_next_writer'] },
  { name: 'InsertBeforeFlip', tests: ['store_death.what_counts_is_inserted_by_the_next_writer'] },
  { name: 'FoldPastLimit', tests: ['store_fold.never_passes_the_limit'] },
  {
    name: 'FreezeHeldBack',
    tests: ['store_fold.writers_go_on_while_the_limit_stands'],
  },
  { name: 'FoldBeforeFlush', tests: ['store_fold.waits_until_the_log_is_flushed'] },
  {
    name: 'BackupWithoutHold',
    tests: ['store_backup.holds_the_log_until_it_is_copied'],
  },
  {
    name: 'BulkLoadEarlyName',
    tests: ['store_bulk.whoever_sees_the_name_sees_all_rows'],
  },
  {
    name: 'KeepHashIndex',
    tests: ['store_base_hash_index.a_state_never_answers_for_another'],
  },
  { name: 'RollBackKeepsMark', tests: ['log_rollback.power_cuts_leave_one_of_two_ends'] },
  { name: 'RollBackKeepsTail', tests: ['log_rollback.power_cuts_leave_one_of_two_ends'] },
  {
    name: 'ReaderKeepsHalf',
    tests: ['log_reader.a_transaction_that_could_not_be_read_is_read_later'],
  },
  {
    name: 'ForgetFulfilled',
    tests: ['log_service.a_request_that_another_process_is_fulfilling_is_told_at_once'],
  },
  { name: 'SkipReclaim', tests: ['store_death.redo_has_room_for_a_transaction_of_any_size'] },
  {
    name: 'IgnoreStaleIds',
    unit: ['unit/database', 'clearing takes all rows at once, for everybody'],
  },
  {
    name: 'KeepGuardedSlot',
    unit: ['process/views', 'forgotten snapshots, walks and transactions give their places back'],
  },
  {
    name: 'GuardAnyGeneration',
    unit: ['process/views', 'forgotten snapshots, walks and transactions give their places back'],
  },
  {
    name: 'DurableViewsAreLocal',
    unit: ['unit/levels-group', 'durable reads do not see what the group has not committed'],
  },
  { name: 'CloseBesideJobs', unit: ['unit/environment', 'closing waits for what is under way'] },
  {
    name: 'ShareQueuedBytes',
    unit: ['unit/database', 'commits that wait for room keep their bytes'],
  },
  { name: 'WakeOneThread', unit: ['unit/environment', 'an environment that is open twice is one'] },
  {
    name: 'CloseSharedStore',
    unit: ['unit/environment', 'an environment that is open twice is one'],
  },
  { name: 'SkipChainCheck', tests: ['log_raw_append.forged_records_are_refused'] },
  { name: 'SkipPayloadCheck', tests: ['log_raw_append.a_flip_anywhere_is_met'] },
  { name: 'SkipRedo', tests: ['log_gate.whoever_appends_shipped_records_may_die'] },
  { name: 'IgnoreGate', tests: ['log_gate.holds_writers_of_all_processes'] },
  { name: 'PassOverUnseen', tests: ['log_raw_append.padding_is_not_taken_for_records'] },
  { name: 'PassOverUnseen', tests: ['log_raw_append.pieces_are_not_taken_for_other_pieces'] },
  { name: 'ShowPieces', tests: ['log_raw_append.the_hook_gets_whole_transactions'] },
  { name: 'ForgetPieces', tests: ['log_raw_powercut.a_replica_keeps_its_promises'] },
  { name: 'ForgetRing', tests: ['log_gate.whoever_appends_shipped_records_may_die'] },
  { name: 'DiscardUnflushed', tests: ['log_discarded.power_cuts'] },
  {
    name: 'ReplaceUnderControl',
    tests: ['log_replacement.a_power_cut_leaves_one_of_three'],
  },
  {
    name: 'SkipSnapshotChecksum',
    tests: ['store_snapshot.damage_anywhere_changes_nothing'],
  },
  {
    name: 'InstallUnmarked',
    tests: [
      'store_snapshot.a_failure_anywhere_leaves_one_of_two_states',
      'store_snapshot.a_power_cut_anywhere_leaves_one_of_two_states',
    ],
  },
  {
    name: 'InstallUnderViews',
    tests: ['store_snapshot.processes_that_are_attached_see_one_history_or_the_other'],
  },
  { name: 'InstallOld', tests: ['store_snapshot.damage_anywhere_changes_nothing'] },
  {
    name: 'ForgetIncoming',
    tests: ['engine_snapshot.a_receiver_that_restarts_goes_on_where_it_was'],
  },
  { name: 'SendUnpaced', tests: ['engine_snapshot.pieces_keep_to_the_rate'] },
  { name: 'HardStateUnflushed', tests: ['engine_hard_state.power_cuts'] },
  { name: 'HardStateRetries', tests: ['engine_hard_state.the_first_error_is_final'] },
  { name: 'SkipFrameChecksum', tests: ['wire_hostile.every_changed_byte_is_refused'] },
  { name: 'SkipFrameHeadCheck', tests: ['transport_frame.every_bit_of_a_head_counts'] },
  { name: 'IgnoreCredit', tests: ['tcp_stream.who_sends_more_than_he_may_is_refused'] },
  { name: 'SkipFrameSequence', tests: ['tcp_stream.frames_that_have_no_place_are_refused'] },
  { name: 'UnboundedMessage', tests: ['tcp_stream.a_message_that_does_not_end_is_refused'] },
  { name: 'SkipProof', tests: ['tcp_hostile.what_was_recorded_makes_no_link'] },
  { name: 'SkipFrameSequence', tests: ['transport_frame.no_frame_is_missed_or_taken_twice'] },
  {
    name: 'SkipProof',
    tests: [
      'transport_handshake.a_wrong_secret_convinces_nobody',
      'transport_handshake.what_was_recorded_is_worth_nothing',
    ],
  },
  { name: 'TakeOwnProof', tests: ['transport_handshake.what_is_reflected_is_worth_nothing'] },
  { name: 'UnboundedMessage', tests: ['transport_frame.a_message_has_its_limit'] },
  { name: 'SkipFrameLength', tests: ['wire_hostile.lengths_that_do_not_fit_are_refused'] },
  {
    name: 'AcceptDamagedHardState',
    tests: ['core_hard_state.no_flushed_promise_is_forgotten'],
  },
  { name: 'ForkOneRowOn', tests: ['core_terms.forks_are_where_the_records_part'] },
  { name: 'SpeakUnflushed', tests: ['scenario.vote_lost_in_crash'] },
  { name: 'VoteForStale', tests: ['scenario.vote_not_for_an_older_log'] },
  { name: 'VoteForLonger', tests: ['scenario.commit_waits_for_own_term'] },
  { name: 'AckBeyondMatched', tests: ['scenario.vote_ends_acknowledging'] },
  { name: 'AckUnflushed', tests: ['scenario.ack_waits_for_the_flush'] },
  { name: 'AckOldReign', tests: ['scenario.vote_ends_acknowledging'] },
  { name: 'CommitOldTerm', tests: ['scenario.commit_waits_for_own_term'] },
  { name: 'CountLearners', tests: ['scenario.view_never_counts'] },
  { name: 'CountUnflushed', tests: ['scenario.ack_waits_for_the_flush'] },
  { name: 'OneCopyLess', tests: ['scenario.ack_waits_for_the_flush'] },
  { name: 'OneVoteLess', tests: ['scenario.election_donor_alone_blocks'] },
  { name: 'NoStepDown', tests: ['scenario.primary_loses_its_group'] },
  { name: 'CommitWhileAsking', tests: ['scenario.commit_not_while_asking'] },
  { name: 'RollBackTooFar', tests: ['scenario.primaries_take_turns'] },
  {
    name: 'FoldUncommitted',
    tests: ['engine_replication.what_nobody_else_has_is_rolled_back_and_kept_in_a_file'],
  },
  { name: 'AppointLoser', tests: ['scenario.base_winner_comes_too_late'] },
  { name: 'CountUnknownDisk', tests: ['engine_copy_rule.an_unknown_disk_is_no_other_disk'] },
  {
    name: 'SurviveInherited',
    tests: ['engine_copy_rule.what_a_reign_has_inherited_needs_its_first_record'],
  },
  {
    name: 'JudgeByEnd',
    tests: ['engine_copy_rule.a_token_is_judged_by_the_reign_that_wrote_there'],
  },
  {
    name: 'LookOnce',
    tests: ['engine_board.readers_beside_a_writer_see_one_state_at_a_time'],
  },
  { name: 'FillInPlace', tests: ['engine_board.a_writer_that_dies_leaves_the_state_before'] },
  {
    name: 'ServeByOldRound',
    tests: [
      'engine_group_process.a_linearizable_read_sees_what_was_acknowledged_before_it_was_asked_for',
    ],
  },
  {
    name: 'ShareRole',
    tests: ['engine_board.one_process_has_the_role_and_its_death_frees_it'],
  },
  {
    name: 'DiscardUnkept',
    tests: ['engine_replication.what_nobody_else_has_is_rolled_back_and_kept_in_a_file'],
  },
  { name: 'TakeStaleDonation', tests: ['core_replicator.a_donation_takes_nothing_away'] },
  {
    name: 'SettleUncompared',
    tests: ['core_replicator.what_is_settled_counts_in_the_same_history_only'],
  },
  { name: 'CountOldFlush', tests: ['scenario.flush_ends_late'] },
  { name: 'CountOldDisk', tests: ['scenario.wiped_member'] },
  { name: 'StrangerVotes', tests: ['scenario.vote_of_a_new_disk'] },
  { name: 'TwoChanges', tests: ['scenario.change_waits_for_the_first_record'] },
  { name: 'EarlyChange', tests: ['scenario.change_waits_for_the_first_record'] },
  { name: 'PromoteEarly', tests: ['scenario.learner_must_have_caught_up'] },
  { name: 'OneConfiguration', tests: ['scenario.shrink_by_the_wrong_members'] },
  { name: 'LeaseKept', tests: ['scenario.hand_over_drops_the_lease'] },
  { name: 'LeaseIgnored', tests: ['scenario.lease_outlasts_silence'] },
  { name: 'LeaseForgotten', tests: ['scenario.lease_survives_a_restart_of_the_voters'] },
  { name: 'ReadEarly', tests: ['scenario.read_waits_for_the_first_record'] },
  { name: 'ReadWithoutRound', tests: ['scenario.read_while_the_clock_stands'] },
  { name: 'ReadByOldRound', tests: ['scenario.read_while_the_clock_stands'] },
  { name: 'CommitBeyondMatched', tests: ['scenario.rollback_of_one_record'] },
  { name: 'AckBeforeShrink', tests: ['scenario.witness_shrinks_before_it_acknowledges'] },
  { name: 'LeadOutOfSync', tests: ['scenario.witness_shrinks_before_it_acknowledges'] },
  { name: 'CountUnknownSwap', tests: ['scenario.witness_answer_is_lost'] },
  { name: 'ShareOldView', tests: ['store_view.is_current_until_somebody_commits'] },
  { name: 'VoteBelowPromise', tests: ['core_walk.random_groups_keep_what_they_promise'] },
  { name: 'LeaseFromReceipt', tests: ['core_walk.random_groups_keep_what_they_promise'] },
  { name: 'GrowUnawaited', tests: ['core_walk.seeds_that_have_found_something'] },
  { name: 'GrowEarly', tests: ['core_walk.random_groups_keep_what_they_promise'] },
  { name: 'GrowByCommit', tests: ['core_walk.seeds_that_have_found_something'] },
  { name: 'ForgetSwap', tests: ['core_takeover.a_swap_that_comes_late'] },
  { name: 'SwapUnpromised', tests: ['core_walk.random_groups_keep_what_they_promise'] },
  { name: 'AppendAnywhere', tests: ['scenario.records_behind_a_fork'] },
  { name: 'OldSnapshot', tests: ['scenario.snapshot_older_than_the_commit'] },
  { name: 'LeaseIgnoresDrift', tests: ['scenario.lease_with_clocks_that_differ'] },
  { name: 'SpeakUnflushed', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'VoteForStale', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'AckUnflushed', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'AckOldReign', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'CommitOldTerm', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'CountUnflushed', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'OneCopyLess', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'OneVoteLess', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'RollBackTooFar', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'Outbid', tests: ['core_explore.every_run_of_three_members'] },
  { name: 'SpeakUnflushed', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'AckUnflushed', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'AckOldReign', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'AckBeforeShrink', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'GrowUnawaited', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'GrowEarly', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  { name: 'SwapUnpromised', tests: ['core_explore.runs_of_two_members_and_a_witness'] },
  // And by groups on simulated disks, in the seeds of every run.
  ...[
    'SkipDataSync',
    'HardStateUnflushed',
    'SpeakUnflushed',
    'AckUnflushed',
    'AckOldReign',
    'OneVoteLess',
    'OneCopyLess',
    'CountUnflushed',
    'CountLearners',
    'CommitBeyondMatched',
    'RollBackTooFar',
  ].map((name) => ({ name, tests: ['sim_full.groups_keep_their_promises'] })),
]

// kNone and kCount are not bugs.
const declared = [
  ...readFileSync(at('native', 'base', 'mutant.h'), 'utf8').matchAll(/^ {2}k(\w+),/gm),
].map(([, name]) => name)

const program = mutantsFile('native-test')
const logFile = at('build', 'test-logs', 'mutants-output.log')
const result = { passed: 0, failed: 0, skipped: 0 }

const count = (good, text) => {
  result[good ? 'passed' : 'failed'] += 1
  if (!good) console.log(`FAILED ${text}`)
}

const nativeTest = (...args) => run([program, ...args], { logFile, timeoutMs: timeLimitMs })

for (const name of declared.filter((name) => name !== 'Count')) {
  if (!mutants.some((mutant) => mutant.name === name)) count(false, `${name}: no test is named`)
}

const ava = at('node_modules', 'ava/entrypoints/cli.mjs')
const unitTest = ([file, title], options = {}) => {
  const env = { RINGLEADER_ADDON: mutantsFile('ringleader.node'), ...options.env }
  const command = [process.execPath, ava, '--tap', `test/${file}.test.ts`, '--match', title]
  return run(command, { logFile, timeoutMs: unitTimeLimitMs, ...options, env })
}

const forEach = async (all, use) => {
  const waiting = [...all]
  const useNext = async () => {
    while (waiting.length > 0) await use(waiting.shift())
  }
  await Promise.all(Array.from({ length: availableParallelism() }, useNext))
}

const wanted = process.argv.slice(2)
const isChosen = ({ name }) => wanted.length === 0 || wanted.includes(name)
const chosen = [...mutants, ...libMutants].filter(isChosen)

const tests = [...new Set(chosen.flatMap((mutant) => mutant.tests ?? []))]
if (tests.length > 0) {
  const healthy = await nativeTest(...tests)
  count(healthy.code === 0, `${tests.join(' ')}: fail without any planted bug`)
}
const unitTests = new Map(chosen.flatMap(({ unit }) => (unit ? [[unit.join(': '), unit]] : [])))
await forEach(unitTests, async ([text, unit]) => {
  const healthy = await unitTest(unit)
  count(healthy.code === 0, `${text}: fails without any planted bug`)
})

const runMutant = (mutant) => {
  const { name, tests, unit, file } = mutant
  if (tests) return nativeTest(`--mutant=${name}`, ...tests)
  if (!file) return unitTest(unit, { env: { RINGLEADER_MUTANT: name } })
  return withMutant(mutant, (cwd) => unitTest(unit, { cwd }))
}

await forEach(chosen, async (mutant) => {
  const { name } = mutant
  const { code, timedOut } = await runMutant(mutant)
  // 1: a test has failed. A signal: a check inside the engine has. 2: there is no such mutant.
  const noticed = timedOut || code === 1 || code > 128
  count(noticed, `${name} survives ${mutant.tests ?? mutant.unit} (exit code ${code})`)
  if (noticed) console.log(`${name}: noticed${timedOut ? ' (never ends)' : ''}`)
})

console.log(countLine(result))
process.exitCode = result.failed > 0 || result.passed === 0 ? 1 : 0
