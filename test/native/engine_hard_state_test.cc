// The file of a member's hard state: what it promised it knows again, after a power cut anywhere in
// any save, and after a disk that fails.
#include "engine/hard_state_file.h"
#include "env/sim/sim_env.h"
#include "harness.h"
#include "log/log_gate.h"

namespace ringleader {
namespace {

using namespace test;

constexpr uint64_t kSavedMark = 1;  // value: sequence number of the last state that is promised
constexpr char kDirectory[] = "env";

HardState StateOf(uint64_t sequence) {
  HardState state;
  state.sequence = sequence;
  state.group_id = {1, 2, 3};
  state.self = MemberId(4);
  state.incarnation = Incarnation(99);
  state.promised = {Term(static_cast<uint32_t>(sequence * 3)), Incarnation(sequence * 7)};
  state.commit = Lsn(sequence * 4096);
  state.smallest_votes = 2;
  state.established = sequence % 2 == 0;
  return state;
}

std::unique_ptr<HardStateFile> OpenFile(Env& env) {
  CHECK_VALUE(std::unique_ptr<HardStateFile> file, HardStateFile::Open(env, kDirectory));
  return file;
}

void Flip(Env& env, uint64_t at) {
  CHECK_VALUE(const std::unique_ptr<File> file,
              env.files.Open(JoinPath(kDirectory, kGroupFileName), OpenMode::kReadWrite));
  uint8_t byte = 0;
  CHECK_OK(ReadExactly(*file, at, {&byte, 1}, "group"));
  byte ^= 0x10;
  CHECK_OK(file->WriteAt(at, {&byte, 1}));
}

TEST(engine_hard_state, is_there_again) {
  SimWorld world({.seed = Seed()});
  Env& env = world.StartProcess().env();
  CHECK_OK(env.files.MakeDirectory(kDirectory));
  CHECK_CODE(HardStateFile::Open(env, kDirectory).status(), Code::kNotFound);
  CHECK_OK(HardStateFile::Create(env, kDirectory));
  CHECK_CODE(HardStateFile::Create(env, kDirectory), Code::kExists);
  CHECK(!OpenFile(env)->state());
  const auto file = OpenFile(env);
  CHECK_CODE(file->Save(StateOf(2)), Code::kInvalidArgument);
  for (uint64_t sequence = 1; sequence <= 9; ++sequence) {
    CHECK_OK(file->Save(StateOf(sequence)));
    CHECK(OpenFile(env)->state() == StateOf(sequence));
    CHECK_CODE(file->Save(StateOf(sequence)), Code::kInvalidArgument);
    CHECK_CODE(file->Save(StateOf(sequence + 2)), Code::kInvalidArgument);
  }
  // A twin makes up for one damaged copy, and opening makes it good; both gone is damage.
  const uint64_t newest = SlotOf(9) * kHardStateSlotBytes;
  Flip(env, newest + 40);
  CHECK(OpenFile(env)->state() == StateOf(9));
  Flip(env, newest + kHardStateCopyOffset + 40);
  CHECK(OpenFile(env)->state() == StateOf(9));
  Flip(env, newest + 40);
  Flip(env, newest + kHardStateCopyOffset + 40);
  CHECK_CODE(HardStateFile::Open(env, kDirectory).status(), Code::kCorruption);
}

TEST(engine_hard_state, the_first_error_is_final) {
  for (const bool at_sync : {false, true}) {
    SimWorld world({.seed = Seed()});
    Env& env = world.StartProcess().env();
    CHECK_OK(env.files.MakeDirectory(kDirectory));
    CHECK_OK(env.files.SyncDirectory("."));
    CHECK_OK(HardStateFile::Create(env, kDirectory));
    const auto file = OpenFile(env);
    CHECK_OK(file->Save(StateOf(1)));
    const SimCall call = at_sync ? SimCall::kSyncData : SimCall::kWrite;
    world.disk().AddFault({.calls = Calls({call}), .path = kGroupFileName, .count = 1});
    const Status failed = file->Save(StateOf(2));
    CHECK_CODE(failed, Code::kIo);
    CHECK(failed.fate() == Fate::kUnknown);
    // The disk is well again; nobody knows what it has.
    for (int i = 0; i < 3; ++i) CHECK_CODE(file->Save(StateOf(2)), Code::kFailed);
    CHECK(file->state() == StateOf(1));
    // What a new object reads it has flushed.
    const auto again = OpenFile(env);
    CHECK(again->state() == StateOf(at_sync ? 2 : 1));
    const uint64_t known = again->state()->sequence;
    SimWorld after({.seed = Seed()},
                   world.disk().CrashState(world.disk().last_op(), CrashPolicy::Nothing(), 1));
    CHECK(OpenFile(after.StartProcess().env())->state() == StateOf(known));
  }
}

// The state after a cut is the promised one or the one that was being saved, and goes on from
// there.
TEST(engine_hard_state, power_cuts) {
  uint64_t states = 0;
  for (uint64_t run = 0; run < Scale(4); ++run) {
    SimWorld world({.seed = Seed() + run});
    Env& env = world.StartProcess().env();
    CHECK_OK(env.files.MakeDirectory(kDirectory));
    CHECK_OK(env.files.SyncDirectory("."));
    const uint64_t first = world.disk().last_op();
    CHECK_OK(HardStateFile::Create(env, kDirectory));
    world.disk().Mark(kSavedMark, 0);
    {
      const auto file = OpenFile(env);
      for (uint64_t sequence = 1; sequence <= 12; ++sequence) {
        CHECK_OK(file->Save(StateOf(sequence)));
        world.disk().Mark(kSavedMark, sequence);
      }
    }
    SimRng rng(Seed() + run);
    for (uint64_t op = first; op <= world.disk().last_op(); ++op) {
      for (uint64_t kind = 0; kind < 6; ++kind, ++states) {
        const CrashPolicy policy = kind == 0   ? CrashPolicy::Nothing()
                                   : kind == 1 ? CrashPolicy::Everything()
                                               : CrashPolicy::Random();
        SimWorld after({.seed = 1}, world.disk().CrashState(op, policy, op * 10 + kind));
        Env& then = after.StartProcess().env();
        const auto opened = HardStateFile::Open(then, kDirectory);
        const auto saved = world.disk().LastMark(kSavedMark, op);
        if (!saved && opened.status().code() == Code::kNotFound) {
          CHECK_OK(HardStateFile::Create(then, kDirectory));
          CHECK(!OpenFile(then)->state());
          continue;
        }
        CHECK_OK(opened.status());
        const auto& state = opened.value()->state();
        const uint64_t found = state ? state->sequence : 0;
        CHECK(found == saved.value_or(0) || found == saved.value_or(0) + 1);
        CHECK(!state || *state == StateOf(found));
        // What was found is promised from now on: a second cut, in the opening or the next save.
        const uint64_t opened_at = after.disk().last_op();
        CHECK_OK(opened.value()->Save(StateOf(found + 1)));
        const uint64_t second = opened_at + rng.Below(after.disk().last_op() - opened_at + 1);
        SimWorld last({.seed = 1}, after.disk().CrashState(second, policy, op));
        const auto again = OpenFile(last.StartProcess().env());
        const uint64_t then_found = again->state() ? again->state()->sequence : 0;
        CHECK(then_found == found || then_found == found + 1);
      }
    }
  }
  std::printf("engine_hard_state: %llu crash states\n", static_cast<unsigned long long>(states));
}

}  // namespace
}  // namespace ringleader
