// The base tree among several threads and processes, some of which are killed.
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "child_process.h"
#include "concurrent.h"
#include "env_posix_mount.h"
#include "store_base_fixture.h"
#include "watched_files.h"

namespace ringleader::test {
namespace {

constexpr int kRows = 200;

std::string NthKey(int row) { return RowKey(1, "row" + std::to_string(row)); }

// A batch after which every row says `number`, like the applied LSN. Every third one has rows of
// its own, which the next one takes away.
void CommitNumber(BaseTree& base, uint64_t number) {
  const std::string value = std::string(number % 90, 'x') + std::to_string(number);
  CHECK_VALUE(auto batch, base.Begin());
  for (int row = 0; row < kRows; ++row) PutRow(*batch, NthKey(row), number, value);
  if (number % 3 == 0) {
    for (int row = 0; row < 50; ++row) {
      PutRow(*batch, RowKey(2, std::to_string(row)), number, std::string(2500, 'y'));
    }
  } else {
    CHECK_OK(batch->RemoveRows(2, 1000).status());
  }
  CHECK_OK(batch->SetApplied(Lsn(number)));
  CHECK_OK(batch->Commit());
}

// The number of the batch that a snapshot shows, all of it and nothing else.
uint64_t CheckNumber(BaseTree::Snapshot& snapshot) {
  const uint64_t number = snapshot.applied().value;
  const std::string value = std::string(number % 90, 'x') + std::to_string(number);
  int rows[2] = {0, 0};
  CHECK_VALUE(auto cursor, BaseTree::Cursor::Open(snapshot));
  CHECK_OK(cursor->SeekAtLeast({}));
  while (cursor->valid()) {
    CHECK_EQ(cursor->row().version, Lsn(number));
    const DatabaseId database = LoadRowPrefix(cursor->row_key());
    rows[database - 1] += 1;
    if (database == 1) CHECK_EQ(AsText(cursor->row().value), value);
    CHECK_OK(cursor->Next());
  }
  CHECK_EQ(rows[0], kRows);
  CHECK_EQ(rows[1], number % 3 == 0 ? 50 : 0);
  CHECK_VALUE(const uint64_t counted, snapshot.Rows(2));
  CHECK_EQ(counted, number % 3 == 0 ? 50u : 0u);
  return number;
}

// Threads that read until they are told to stop.
class Readers {
 public:
  explicit Readers(BaseTree& base) : base_(base) {
    for (const bool thorough : {true, true, false}) {
      threads_.emplace_back([this, thorough] { Run(thorough); });
    }
  }
  Readers(const Readers&) = delete;
  Readers& operator=(const Readers&) = delete;
  ~Readers() { Join(); }

  uint64_t seen() const { return seen_.load(std::memory_order_acquire); }
  uint64_t failed() const { return failed_.load(std::memory_order_acquire); }
  void Join() {
    stop_.store(true, std::memory_order_release);
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  void Run(bool thorough) {
    try {
      CHECK_VALUE(auto snapshot, base_.OpenSnapshot());
      uint64_t before = 0;
      while (!stop_.load(std::memory_order_acquire)) {
        CHECK_OK(snapshot->Renew());
        const uint64_t number = snapshot->applied().value;
        CHECK(number >= before);
        before = number;
        CHECK_VALUE(const auto row, snapshot->Get(AsBytes(NthKey(0))));
        CHECK(row && row->version == Lsn(number));
        if (thorough) CheckNumber(*snapshot);
        if (thorough) seen_.fetch_add(1, std::memory_order_acq_rel);
      }
    } catch (const Failure& failure) {
      std::printf("    %s\n", failure.text.c_str());
      failed_.fetch_add(1, std::memory_order_acq_rel);
    }
  }

  BaseTree& base_;
  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> seen_{0}, failed_{0};
  std::vector<std::thread> threads_;
};

TEST(store_base_process, readers_in_threads_see_whole_batches) {
  auto base = OpenBase(TempDir());
  CommitNumber(*base, 5000);
  Readers readers(*base);
  const uint64_t last = 5000 + Scale(60);
  uint64_t number = 5000;
  while (readers.failed() == 0 && (number < last || readers.seen() < 50)) {
    CommitNumber(*base, ++number);
  }
  readers.Join();
  CHECK_EQ(readers.failed(), 0u);
  CHECK_OK(base->Verify().status());
}

struct Progress {
  std::atomic<uint64_t> committed, read;
  std::atomic<bool> stop;
};

TEST(store_base_process, a_killed_writer_leaves_whole_batches) {
  const std::string directory = TempDir();
  SharedValue<Progress> progress;
  CommitNumber(*OpenBase(directory), 5000);
  progress->committed.store(5000, std::memory_order_release);
  Child reader([&] {
    auto base = OpenBase(directory);
    CHECK_VALUE(auto snapshot, base->OpenSnapshot());
    while (!progress->stop.load(std::memory_order_acquire)) {
      const uint64_t before = progress->committed.load(std::memory_order_acquire);
      CHECK_OK(snapshot->Renew());
      CHECK(CheckNumber(*snapshot) >= before);
      progress->read.fetch_add(1, std::memory_order_acq_rel);
    }
  });
  AWAIT(progress->read.load(std::memory_order_acquire) > 0);
  std::mt19937_64 random(Seed());
  const uint64_t kills = Scale(40);
  for (uint64_t i = 0; i < kills; ++i) {
    Child writer([&] {
      auto base = OpenBase(directory);
      for (;;) {
        CHECK_VALUE(auto snapshot, base->OpenSnapshot());
        const uint64_t number = snapshot->applied().value + 1;
        CommitNumber(*base, number);
        progress->committed.store(number, std::memory_order_release);
      }
    });
    usleep(static_cast<useconds_t>(random() % 25'000));
    writer.Kill();
    if (i % 10 == 0) {
      Child checker([&] { CHECK_OK(OpenBase(directory)->Verify().status()); });
      checker.Join();
    }
  }
  progress->stop.store(true, std::memory_order_release);
  reader.Join();
  auto base = OpenBase(directory);
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK(CheckNumber(*snapshot) >= progress->committed.load(std::memory_order_acquire));
  CHECK_OK(base->Verify().status());
}

TEST(store_base_process, opening_races_with_closing) {
  const std::string directory = TempDir();
  SharedValue<Progress> progress;
  {
    std::vector<std::unique_ptr<Child>> children;
    for (int i = 0; i < 6; ++i) {
      children.push_back(std::make_unique<Child>([&directory, &progress, i] {
        for (uint64_t round = 0; round < Scale(25); ++round) {
          auto base = OpenBase(directory);
          const std::string key = RowKey(1, std::to_string(i));
          CHECK_VALUE(auto batch, base->Begin());
          PutRow(*batch, key, round, std::to_string(round));
          CHECK_OK(batch->Commit());
          CHECK_VALUE(auto snapshot, base->OpenSnapshot());
          CHECK(GetRow(*snapshot, key) == (ModelRow{round, std::to_string(round)}));
          progress->committed.fetch_add(1, std::memory_order_acq_rel);
        }
      }));
    }
    for (const auto& child : children) child->Join();
  }
  CHECK_EQ(progress->committed.load(std::memory_order_acquire), 6 * Scale(25));
  CHECK_VALUE(const uint64_t rows, OpenBase(directory)->Verify());
  CHECK_EQ(rows, 6u);
}

// Whoever opens it reads one meta page and then the other; commits in between are no damage.
TEST(store_base_process, opens_beside_commits) {
  const std::string directory = TempDir();
  CommitNumber(*OpenBase(directory), 5000);
  struct Numbers {
    std::atomic<uint64_t> wanted{5000}, committed{0};
  };
  SharedValue<Numbers> numbers;
  Child writer([&] {
    auto base = OpenBase(directory);
    for (uint64_t number = 5000;; ++number) {
      numbers->committed.store(number, std::memory_order_release);
      AWAIT(numbers->wanted.load(std::memory_order_acquire) > number);
      CommitNumber(*base, number + 1);
    }
  });
  AWAIT(numbers->committed.load(std::memory_order_acquire) == 5000);
  for (const uint64_t commits : {1, 2, 3, 4, 5}) {
    uint64_t reads = 0;
    WatchedFiles files([&](const std::string& call, const std::string& path) {
      if (call != "read" || !path.ends_with("/data.mdb") || ++reads != 2) return Status::Ok();
      const uint64_t last = numbers->wanted.fetch_add(commits, std::memory_order_acq_rel) + commits;
      AWAIT(numbers->committed.load(std::memory_order_acquire) == last);
      return Status::Ok();
    });
    Env env = files.env();
    CHECK_VALUE(const auto base, BaseTree::Open(env, directory, TestBaseOptions()));
    CHECK(reads >= 2);
    CHECK_VALUE(const auto snapshot, base->OpenSnapshot());
    CHECK_EQ(CheckNumber(*snapshot), numbers->wanted.load(std::memory_order_acquire));
  }
}

TEST(store_base_process, places_of_dead_readers_are_used_again) {
  const std::string directory = TempDir();
  BaseOptions options = TestBaseOptions();
  options.max_readers = 5;
  auto base = OpenBase(directory, options);
  SharedValue<std::atomic<bool>> ready;
  std::vector<std::unique_ptr<BaseTree::Snapshot>> snapshots;
  const auto open = [&](BaseTree& tree) {
    CHECK_VALUE(auto snapshot, tree.OpenSnapshot());
    snapshots.push_back(std::move(snapshot));
  };
  Child other([&] {
    auto tree = OpenBase(directory, options);
    for (int i = 0; i < 4; ++i) open(*tree);
    ready->store(true, std::memory_order_release);
    for (;;) pause();
  });
  while (!ready->load(std::memory_order_acquire)) usleep(1000);
  open(*base);
  CHECK_CODE(base->OpenSnapshot().status(), Code::kBusy);
  other.Kill();
  for (int i = 0; i < 4; ++i) open(*base);
  CHECK_CODE(base->OpenSnapshot().status(), Code::kBusy);
  // A released snapshot keeps its place.
  snapshots[0]->Release();
  CHECK_CODE(base->OpenSnapshot().status(), Code::kBusy);
  snapshots.pop_back();
  open(*base);
  CHECK_OK(base->CheckReaders());
}

TEST(store_base_process, a_copy_while_writing_is_one_state) {
  const std::string directory = TempDir();
  auto base = OpenBase(directory);
  CommitNumber(*base, 5000);
  Worker writer([&](const std::stop_token& stop) {
    for (uint64_t number = 5001; !stop.stop_requested(); ++number) CommitNumber(*base, number);
  });
  for (uint64_t i = 0; i < Scale(8); ++i) {
    const std::string target = TempDir();
    std::filesystem::create_directory(target + "/base");
    std::ofstream out(target + "/base/data.mdb", std::ios::binary);
    const auto applied = base->Copy([&](Bytes piece) {
      out << AsText(piece);
      usleep(2000);
      return Status::Ok();
    });
    out.close();
    CHECK_OK(applied.status());
    auto copy = OpenBase(target);
    CHECK_VALUE(auto snapshot, copy->OpenSnapshot());
    CHECK_EQ(CheckNumber(*snapshot), applied.value().value);
    snapshot.reset();
    CHECK_OK(copy->Verify().status());
    CommitNumber(*copy, 90'000 + i);
    CHECK_OK(copy->Verify().status());
  }
  const Status refusal(Code::kNoSpace, "the sink is full");
  CHECK_CODE(base->Copy([&](Bytes) { return refusal; }).status(), Code::kNoSpace);
  writer.Stop();
}

TEST(store_base_process, a_full_disk_refuses_a_batch_whole) {
  WithMount("tmpfs", "size=3m", [](const std::string& directory) {
    auto base = OpenBase(directory);
    uint64_t number = 5000;
    CommitNumber(*base, number);
    const auto fill = [&](uint64_t rows) {
      CHECK_VALUE(auto batch, base->Begin());
      Status status;
      for (uint64_t i = 0; i < rows && status.ok(); ++i) {
        const std::string key = RowKey(1, "filler" + std::to_string(i));
        status = batch->Put(AsBytes(key), Lsn(1), AsBytes(std::string(1000, 'f')));
      }
      return status.ok() ? batch->Commit() : status;
    };
    for (int i = 0; i < 3; ++i) CHECK_CODE(fill(4000), Code::kNoSpace);
    CHECK_VALUE(auto snapshot, base->OpenSnapshot());
    CHECK_EQ(CheckNumber(*snapshot), number);
    CHECK_OK(base->Verify().status());
    CHECK_EQ(mount("none", directory.c_str(), "tmpfs", MS_REMOUNT, "size=30m"), 0);
    CHECK_OK(fill(4000));
    CHECK_VALUE(const uint64_t rows, base->Verify());
    CHECK_EQ(rows, 4000u + kRows);
  });
}

TEST(store_base_process, a_child_of_fork_opens_for_itself) {
  const std::string directory = TempDir();
  auto base = OpenBase(directory);
  CommitNumber(*base, 5000);
  Child child([&] {
    auto own = OpenBase(directory);
    CommitNumber(*own, 5001);
    base.reset();
  });
  child.Join();
  CHECK_VALUE(auto snapshot, base->OpenSnapshot());
  CHECK_EQ(CheckNumber(*snapshot), 5001u);
  Child other([&] { CommitNumber(*OpenBase(directory), 5002); });
  other.Join();
  CHECK_OK(snapshot->Renew());
  CHECK_EQ(CheckNumber(*snapshot), 5002u);
}

}  // namespace
}  // namespace ringleader::test
