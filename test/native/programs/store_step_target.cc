// Does one thing to a store, to be killed in the middle of it.
//
//   store_step_target SECTION DIRECTORY LEDGER_FD VARIANT [MUTANT]
//
// Prepares what the section needs, stops itself, and when it is continued runs the section: that is
// the part that the test steps through (store_step_kill_test.cc). Nothing is closed in order.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <map>
#include <string>

#include "base/mutant.h"
#include "store_step.h"

namespace ringleader {
namespace {

using namespace test;

class Target {
 public:
  Target(StoreStepLedger& ledger, std::string directory, uint64_t variant)
      : ledger_(ledger), directory_(std::move(directory)), variant_(variant) {}

  void Run(const std::string& section) {
    const std::map<std::string, void (Target::*)()> sections = {
        {"commit", &Target::CommitSmall}, {"commit_huge", &Target::CommitHuge},
        {"batch", &Target::CommitBatch},  {"rotate", &Target::Rotate},
        {"fold", &Target::Fold},          {"catalogue", &Target::Catalogue},
        {"open", &Target::OpenOnly},      {"close", &Target::Close},
        {"rollback", &Target::RollBack},
    };
    const auto found = sections.find(section);
    if (found == sections.end()) throw Failure{"no section " + section};
    (this->*found->second)();
  }

 private:
  // Stops, runs `section` and tells that it came to the end.
  void Step(const std::function<Status()>& section) {
    kill(getpid(), SIGSTOP);
    const Status status = section();
    ledger_.section_done.store(1, std::memory_order_release);
    CHECK_OK(status);
  }

  void Open() {
    store_ = OpenStore(directory_);
    databases_ = FindStepDatabases(*store_);
  }
  Lsn CommitSome(size_t size) { return CommitNoted(ledger_, *store_, databases_, size); }

  void StepCommit(size_t size) {
    NotedTransaction noted(ledger_, databases_, size);
    Step([&] { return store_->CommitOne(noted.commit()); });
    noted.Settle();
  }

  void CommitSmall() {
    Open();
    CommitSome(100);
    StepCommit(20 + variant_ % 128);
  }
  void CommitHuge() {  // of several records
    Open();
    StepCommit(100'000 + variant_ % 4096);
  }
  void CommitBatch() {
    Open();
    NotedTransaction first(ledger_, databases_, 50), second(ledger_, databases_, 3000);
    NotedTransaction third(ledger_, databases_, 20);
    Commit* commits[] = {&first.commit(), &second.commit(), &third.commit()};
    Step([&] { return store_->TryCommit(commits).status(); });
    for (NotedTransaction* noted : {&first, &second, &third}) noted->Settle();
  }

  uint64_t Room() {
    const auto view = TakeView(*store_);
    const Generation& active = view->generations().active();
    return active.capacity() - active.used_bytes();
  }
  void Rotate() {
    Open();
    CommitSome(100);
    CHECK_OK(store_->Fold(kStepBoundNs));  // leaves one that is ready
    while (Room() > 120'000) CommitSome(50'000);
    const size_t size = static_cast<size_t>(Room()) - 2000;
    CHECK(size > Room() / 2);
    StepCommit(size);
  }
  void Fold() {
    Open();
    for (size_t i = 0; i < 3 + variant_ % 5; ++i) CommitSome(30 + 50 * i);
    Step([&] { return store_->Fold(kStepBoundNs); });
  }
  void Catalogue() {
    Open();
    const std::string name = "extra" + std::to_string(variant_);
    CHECK_OK(store_->OpenDatabase(name, {}, true).status());
    Step([&] { return store_->DropDatabase(name); });
  }

  void RollBack() {
    Open();
    const Lsn to = CommitSome(40);
    const uint32_t first = ledger_.count.load(std::memory_order_acquire);
    const uint32_t end = first + 1 + static_cast<uint32_t>(variant_ % 4);
    for (uint32_t i = first; i < end; ++i) CommitSome(30 + 700 * (variant_ % 40));
    for (uint32_t i = first; i < end; ++i) {
      ledger_.transaction[i].fate.store(StepFate::kTried, std::memory_order_release);
    }
    ledger_.together_first.store(first, std::memory_order_release);
    ledger_.together_end.store(end, std::memory_order_release);
    Step([&] { return store_->RollBack(to); });
    for (uint32_t i = first; i < end; ++i) {
      ledger_.transaction[i].fate.store(StepFate::kGone, std::memory_order_release);
    }
  }

  void OpenOnly() {
    Step([&] {
      auto opened = Store::Open(PosixEnv(), directory_, QuietStore());
      if (opened.ok()) store_ = std::move(opened).value();
      return opened.status();
    });
  }
  void Close() {
    Open();
    CommitSome(variant_ % 500 + 8);
    Step([&] { return store_->Close(); });
  }

  StoreStepLedger& ledger_;
  const std::string directory_;
  const uint64_t variant_;
  std::unique_ptr<Store> store_;
  StepDatabases databases_{};
};

int Main(int argc, char** argv) {
  if (argc < 5 || (argc > 5 && !SelectMutant(argv[5]))) {
    std::fprintf(stderr, "usage: store_step_target SECTION DIRECTORY LEDGER_FD VARIANT [MUTANT]\n");
    return 2;
  }
  void* memory = mmap(nullptr, sizeof(StoreStepLedger), PROT_READ | PROT_WRITE, MAP_SHARED,
                      std::atoi(argv[3]), 0);
  if (memory == MAP_FAILED) return 2;
  auto& ledger = *static_cast<StoreStepLedger*>(memory);
  try {
    Target(ledger, argv[2], std::strtoull(argv[4], nullptr, 10)).Run(argv[1]);
    _exit(0);
  } catch (const Failure& failure) {
    std::strncpy(ledger.report.data(), failure.text.c_str(), ledger.report.size() - 1);
    _exit(1);
  }
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
