// A writer that dies inside Insert: in the state after every single instruction, and by SIGKILL at
// random moments. The same operations are inserted again by somebody else, as the contract says.
//
// The first test needs no death: a child is stepped through a transaction, and the memory after
// each instruction is what its death there would leave. Readers go on in the memory itself; redo is
// tried in a copy.
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include <chrono>
#include <thread>

#include "child_process.h"
#include "generation_fixture.h"
#include "kill_stepper.h"

namespace ringleader {
namespace {

using namespace test;

// A mapping that children write and this process reads.
class SharedPages {
 public:
  explicit SharedPages(size_t size) : size_(size) {
    at_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(at_ != MAP_FAILED);
  }
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  ~SharedPages() { munmap(at_, size_); }

  MutableBytes bytes() { return {static_cast<uint8_t*>(at_), size_}; }

 private:
  const size_t size_;
  void* at_;
};

Status PutAll(Generation& generation, uint64_t lsn, const std::vector<Change>& changes) {
  for (const Change& change : changes) RL_RETURN_IF_ERROR(Put(generation, lsn, change));
  return Status::Ok();
}

void PutAll(GenerationModel& model, uint64_t lsn, const std::vector<Change>& changes) {
  for (const Change& change : changes) model.Put(lsn, change);
}

// The instructions of sanitized code are not those that ship.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// --- after every instruction ---------------------------------------------------------------------

constexpr uint64_t kBefore = 40;  // transactions that are there already
constexpr uint64_t kStepped = 100;

class SteppedInsert {
 public:
  SteppedInsert() : pages_(kMinGenerationBytes), generation_(Fresh(pages_.bytes())) {
    std::mt19937_64 random(Seed());
    for (uint64_t lsn = 1; lsn <= kBefore; ++lsn) {
      const std::vector<Change> one = {{TrickyRowKey(random, 20), "v" + std::to_string(lsn)}};
      CHECK_OK(PutAll(generation_, lsn, one));
      PutAll(before_, lsn, one);
    }
    const std::string old = before_.rows().begin()->first;
    const std::string removed = before_.rows().rbegin()->first;
    changes_ = {{RowKeyOf(1, "m"), "new"},
                {old, "changed"},
                {removed, {}},
                {RowKeyOf(1, "m"), "new, and changed at once"},
                {RowKeyOf(1, Tall()), "tall"},
                {RowKeyOf(1, std::string(100, 'm')), ""},
                {RowKeyOf(1, "n"), {}}};
    after_ = before_;
    PutAll(after_, kStepped, changes_);
  }

  void Run() {
    Child child([&] {
      CHECK(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0);
      raise(SIGSTOP);
      CHECK_OK(PutAll(generation_, kStepped, changes_));
      done_->store(1, std::memory_order_release);
      for (;;) pause();
    });
    Stopped(child, SIGSTOP);
    uint64_t steps = 0;
    for (; done_->load(std::memory_order_acquire) == 0; ++steps) {
      CHECK(ptrace(PTRACE_SINGLESTEP, child.pid(), nullptr, nullptr) == 0);
      Stopped(child, SIGTRAP);
      try {
        Look(steps);
      } catch (const Failure& failure) {
        throw Failure{"after " + std::to_string(steps) + " steps: " + failure.text};
      }
    }
    after_.CheckAll(generation_, kStepped);
    std::printf("store_generation_crash: %llu steps, %llu states redone\n",
                static_cast<unsigned long long>(steps), static_cast<unsigned long long>(redone_));
  }

 private:
  // A key whose node is on several levels.
  static std::string Tall() {
    for (int i = 0;; ++i) {
      const std::string key = "tall " + std::to_string(i);
      if ((HashRowKey(BytesOf(RowKeyOf(1, key))) & 0xff) == 0) return key;
    }
  }

  static void Stopped(Child& child, int signal) {
    siginfo_t info{};
    const int wanted = WSTOPPED | WEXITED | WNOWAIT;
    CHECK(waitid(P_PID, static_cast<id_t>(child.pid()), &info, wanted) == 0);
    CHECK(info.si_code == CLD_TRAPPED || info.si_code == CLD_STOPPED);
    CHECK_EQ(info.si_status, signal);
  }

  void Look(uint64_t step) {
    if (std::memcmp(last_.data(), pages_.bytes().data(), last_.size()) == 0) return;
    std::memcpy(last_.data(), pages_.bytes().data(), last_.size());
    before_.CheckAll(generation_, kStepped - 1);
    before_.CheckBackwards(generation_, kStepped - 1);
    CheckNewest();
    std::memcpy(copy_.bytes().data(), last_.data(), last_.size());
    CHECK_VALUE(Generation copy, Generation::Attach(copy_.bytes()));
    CHECK_OK(PutAll(copy, kStepped, changes_));
    Check(copy, after_);
    // And life goes on: more versions and nodes, next to what was left behind.
    GenerationModel later = after_;
    for (uint64_t lsn = kStepped + 1; lsn < kStepped + 4; ++lsn) {
      const std::vector<Change> more = {{RowKeyOf(1, "m"), std::to_string(step)},
                                        {RowKeyOf(1, "m" + std::to_string(lsn)), "more"}};
      CHECK_OK(PutAll(copy, lsn, more));
      PutAll(later, lsn, more);
    }
    Check(copy, later);
    ++redone_;
  }

  static void Check(const Generation& generation, const GenerationModel& model) {
    for (const uint64_t at : {kBefore / 2, kStepped - 1, kStepped, kStepped + 10}) {
      model.CheckAll(generation, at);
    }
    model.CheckBackwards(generation, kStepped + 10);
    CHECK(generation.nodes() <= model.rows().size());
    CHECK(generation.nodes() + 1 >= model.rows().size());
  }

  // What has been linked is whole, although nobody asks for it yet.
  void CheckNewest() {
    Generation::Cursor cursor(generation_);
    for (bool on = cursor.SeekAtLeast({}); on; on = cursor.Next()) {
      Row row;
      const Found found = cursor.Read(Lsn(kStepped), &row);
      const std::string row_key = TextOf(cursor.row_key());
      CHECK(found == Found::kValue || found == Found::kRemoved);
      bool known = false;
      for (const Change& change : changes_) {
        known |= change.row_key == row_key && row.version.value == kStepped &&
                 change.content.has_value() == (found == Found::kValue) &&
                 change.content.value_or("") == TextOf(row.value);
      }
      if (!known) before_.CheckFind(generation_, row_key, kStepped - 1);
      if (!known) CHECK(row.version.value < kStepped);
    }
    CHECK(!cursor.damaged());
  }

  SharedPages pages_;
  Generation generation_;
  GenerationModel before_;
  GenerationModel after_;
  std::vector<Change> changes_;
  SharedValue<std::atomic<uint32_t>> done_;
  std::vector<uint8_t> last_ = std::vector<uint8_t>(kMinGenerationBytes);
  HeapMemory copy_{kMinGenerationBytes};
  uint64_t redone_ = 0;
};

TEST(store_generation_crash, any_instruction_may_be_the_last) {
  RequirePtrace();
  SteppedInsert().Run();
}

#endif

// --- by SIGKILL ----------------------------------------------------------------------------------

constexpr size_t kCampaignBytes = size_t{32} << 20;
constexpr uint64_t kMostPerLife = 200;  // transactions: most are killed before

// The changes of a transaction follow from its LSN.
std::vector<Change> ChangesOf(uint64_t lsn) {
  std::mt19937_64 random(lsn * 2654435761 + Seed());
  std::vector<Change> changes(1 + random() % 6);
  for (Change& change : changes) {
    change.row_key = TrickyRowKey(random, 30);
    if (random() % 4 != 0)
      change.content = std::string(random() % 200, static_cast<char>(random()));
  }
  return changes;
}

// A writer after any other: what may be there in part, then on and on.
void Write(MutableBytes memory, std::atomic<uint64_t>& visible) {
  CHECK_VALUE(Generation generation, Generation::Attach(memory));
  for (uint64_t count = 0;; ++count) {
    const uint64_t lsn = visible.load(std::memory_order_acquire) + 1;
    if (count == kMostPerLife) pause();
    CHECK_OK(PutAll(generation, lsn, ChangesOf(lsn)));
    visible.store(lsn, std::memory_order_release);
  }
}

TEST(store_generation_crash, killed_at_random_and_redone) {
  std::mt19937_64 dice(Seed());
  uint64_t kills = 0;
  for (uint64_t round = 0; round < Scale(10); ++round) {
    SharedPages pages(kCampaignBytes);
    const Generation generation = Fresh(pages.bytes());
    SharedValue<std::atomic<uint64_t>> visible;
    GenerationModel model;
    uint64_t modelled = 0;
    for (int life = 0; life < 20; ++life, ++kills) {
      Child child([&] { Write(pages.bytes(), *visible); });
      const uint64_t before = modelled;
      while (visible->load(std::memory_order_acquire) == before) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
      std::this_thread::sleep_for(std::chrono::microseconds(dice() % 300));
      child.Kill();
      const uint64_t now = visible->load(std::memory_order_acquire);
      for (; modelled < now; ++modelled) PutAll(model, modelled + 1, ChangesOf(modelled + 1));
      model.CheckAll(generation, now);
      model.CheckAll(generation, dice() % (now + 1));
      if (life % 8 == 0) model.CheckBackwards(generation, now);
    }
    CHECK(generation.used_bytes() <= generation.capacity());
  }
  std::printf("store_generation_crash: killed %llu times\n",
              static_cast<unsigned long long>(kills));
}

}  // namespace
}  // namespace ringleader
