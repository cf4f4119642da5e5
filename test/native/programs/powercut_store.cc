// Works on a store and tells what it has promised, to be recorded by test/powercut/io-recorder.c.
//
//   powercut_store DIRECTORY MARKS_FILE SEED STEPS [MUTANT]
//
// The marks, one write(2) each, in the order in which they come true:
//   O      the environment has been opened once, with its databases: it exists from now on
//   P n    the first n changing steps of the plan (powercut_plan.h) may be found from now on
//   A n    the first n are flushed
// The calls of two runs with the same arguments are the same: time and identities follow from the
// seed, and there is one thread.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "base/mutant.h"
#include "env/random.h"
#include "powercut_plan.h"

namespace ringleader {
namespace {

using namespace test;

class SeededRandom : public Random {
 public:
  explicit SeededRandom(uint64_t seed) : choices_(seed) {}
  void Fill(MutableBytes into) override {
    for (uint8_t& byte : into) byte = static_cast<uint8_t>(choices_.Below(256));
  }

 private:
  Choices choices_;
};

// Every look at the clock takes 2 ms, so that whatever is done once a second happens now and then.
class SteppingClock : public Clock {
 public:
  uint64_t MonotonicNanos() override { return now_ns_ += 2'000'000; }
  uint64_t WallMicros() override { return MonotonicNanos() / 1000; }

 private:
  uint64_t now_ns_ = 1'000'000'000'000;
};

class Runner {
 public:
  Runner(std::string directory, int marks, uint64_t seed)
      : directory_(std::move(directory)),
        marks_(marks),
        identities_(seed ^ 0x1d),
        env_{PosixEnv().files,  clock_, identities_, PosixEnv().host, PosixEnv().memory,
             PosixEnv().threads} {}

  void Run(const std::vector<PlanStep>& plan) {
    Open();
    for (const char* name : {"one", "two"}) MakeDatabase(*store_, name);
    CHECK_OK(store_->log().WaitFor(store_->Stat().log.visible, Level::kFlushed));
    FindIds();
    Mark("O\n");
    for (const PlanStep& step : plan) {
      Do(step);
      NoteFlushed();
    }
    Close();
  }

 private:
  void Open() { store_ = OpenStore(directory_, QuietStore(), env_); }
  void Close() {
    CHECK_OK(store_->Close());
    MarkCount('A', ends_.size());
  }
  void FindIds() {
    ids_.clear();
    CHECK_VALUE(const std::vector<Database> databases, store_->Databases());
    for (const Database& database : databases) ids_[database.name] = database.id;
  }

  void Do(const PlanStep& step) {
    switch (step.kind) {
      case StepKind::kCommit:
        return Change([&] { CommitStep(step); });
      case StepKind::kCreate:
        return Change([&] { MakeDatabase(*store_, "extra"); });
      case StepKind::kDrop:
        return Change([&] { CHECK_OK(store_->DropDatabase("extra")); });
      case StepKind::kClear:
        return Change([&] { CHECK_OK(store_->ClearDatabase("extra").status()); });
      case StepKind::kWrite:
        return Await(Level::kWritten);
      case StepKind::kFlush:
        return Await(Level::kFlushed);
      case StepKind::kFold:
        CHECK_OK(store_->Fold());
        return;
      case StepKind::kLimit:
        return MoveLimit(step.back);
      case StepKind::kTick:
        CHECK_OK(store_->log().Tick());
        return;
      case StepKind::kReopen:
        Close();
        Open();
        return;
    }
  }

  void Await(Level level) { CHECK_OK(store_->log().WaitFor(Visible(), level)); }
  Lsn Visible() { return store_->log().End(Level::kMemory); }

  // What has been folded stays folded, so a limit only moves up to where it was.
  void MoveLimit(uint64_t back) {
    if (back == 0 || back > ends_.size()) return store_->SetFoldLimit(kMaxLsn);
    store_->SetFoldLimit(ends_[ends_.size() - back]);
  }

  void Change(const std::function<void()>& change) {
    // Before the call: making room may write a part of it.
    MarkCount('P', ends_.size() + 1);
    change();
    ends_.push_back(Visible());
    FindIds();
  }

  void CommitStep(const PlanStep& step) {
    WriteSet writes;
    for (const PlanWrite& write : step.writes) {
      const std::string key = KeyOf(ids_.at(write.database), write.key);
      CHECK_OK(write.removes
                   ? writes.Remove(AsBytes(key))
                   : writes.Put(AsBytes(key), AsBytes(PlanValue(step.number, write.size))));
    }
    CHECK_OK(
        writes.Put(AsBytes(KeyOf(ids_.at("one"), "last")), AsBytes(std::to_string(step.number))));
    CommitWrites(*store_, writes);
  }

  // Whatever the log reports as flushed is a promise, whoever asked for it.
  void NoteFlushed() {
    const size_t before = acked_;
    while (acked_ < ends_.size() && store_->log().Reached(ends_[acked_], Level::kFlushed)) ++acked_;
    if (acked_ > before) MarkCount('A', acked_);
  }

  void MarkCount(char kind, uint64_t count) { Mark(kind + (" " + std::to_string(count)) + "\n"); }
  void Mark(const std::string& text) {
    CHECK_EQ(write(marks_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  const std::string directory_;
  const int marks_;
  SeededRandom identities_;
  SteppingClock clock_;
  Env env_;
  std::unique_ptr<Store> store_;
  std::map<std::string, DatabaseId> ids_;
  std::vector<Lsn> ends_;  // of the changing steps
  size_t acked_ = 0;
};

int Main(int argc, char** argv) {
  if (argc < 5 || (argc > 5 && !SelectMutant(argv[5]))) {
    std::fprintf(stderr, "usage: powercut_store DIRECTORY MARKS_FILE SEED STEPS [MUTANT]\n");
    return 2;
  }
  const int marks = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (marks < 0) return 2;
  const uint64_t seed = std::strtoull(argv[3], nullptr, 10);
  const uint64_t steps = std::strtoull(argv[4], nullptr, 10);
  try {
    Runner(argv[1], marks, seed).Run(MakePlan(seed, steps));
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s\n", failure.text.c_str());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
