// Processes that die between the place of their transactions in the log and their place in the
// overlay.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include "child_process.h"
#include "store/commit_section.h"
#include "store_fixture.h"

namespace ringleader::test {

// Inserts the first `whole` transactions and dies before it has inserted any of the next one.
class DyingHook : public WriterHook {
 public:
  DyingHook(Generation& generation, size_t whole) : generation_(generation), whole_(whole) {}

  Admission Admit(size_t, Lsn, Entry&) override { return Admission::kAppend; }
  Status Insert(Lsn end, const Entry& entry) override {
    if (whole_-- == 0) raise(SIGKILL);
    return InsertPayload(generation_, end, entry.payload, false);
  }
  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }
  void Mend() override {}

 private:
  Generation& generation_;
  size_t whole_;
};

// A process appends all of `payloads` in one section and dies when `whole` of them are inserted.
inline void DieInserting(const std::string& directory,
                         const std::vector<std::vector<uint8_t>>& payloads, size_t whole) {
  Child child([&] {
    const auto store = OpenStore(directory);
    const auto view = TakeView(*store);
    DyingHook hook(view->generations().active(), whole);
    std::vector<Entry> entries;
    for (const auto& payload : payloads) entries.push_back(EntryOf(payload));
    std::vector<Appended> appended(entries.size());
    // So that ring and segments have room for all of them.
    CHECK_OK(store->log().Tick());
    CHECK_OK(store->log().WaitFor(view->lsn(), Level::kWritten));
    CHECK_VALUE(const size_t placed, store->log().TryAppend(entries, appended, &hook));
    Fail(__FILE__, __LINE__, "only " + std::to_string(placed) + " are placed");
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
}

// Bytes in pages of their own, of which the last one can be taken away.
class TornBytes {
 public:
  explicit TornBytes(const std::vector<uint8_t>& bytes)
      : size_(bytes.size()), pages_((bytes.size() + kPage - 1) / kPage) {
    void* const at =
        mmap(nullptr, pages_ * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(at != MAP_FAILED);
    at_ = static_cast<uint8_t*>(at);
    std::copy(bytes.begin(), bytes.end(), at_);
  }
  TornBytes(const TornBytes&) = delete;
  TornBytes& operator=(const TornBytes&) = delete;
  ~TornBytes() { munmap(at_, pages_ * kPage); }

  Bytes bytes() const { return {at_, size_}; }
  // Whoever reads on to the end is killed.
  void Tear() const {
    CHECK(signal(SIGSEGV, [](int) { raise(SIGKILL); }) != SIG_ERR);
    CHECK_EQ(mprotect(at_ + (pages_ - 1) * kPage, kPage, PROT_NONE), 0);
  }

 private:
  static constexpr size_t kPage = 4096;
  const size_t size_, pages_;
  uint8_t* at_;
};

// Dies while the last value is being copied into the overlay.
class TearingHook : public WriterHook {
 public:
  TearingHook(Generation& generation, const TornBytes& payload)
      : generation_(generation), payload_(payload) {}

  Admission Admit(size_t, Lsn, Entry&) override { return Admission::kAppend; }
  Status Insert(Lsn end, const Entry& entry) override {
    payload_.Tear();
    return InsertPayload(generation_, end, entry.payload, false);
  }
  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }
  void Mend() override {}

 private:
  Generation& generation_;
  const TornBytes& payload_;
};

// A process appends `payload` and dies when its last value is in the overlay in part.
inline void DieCopying(const std::string& directory, const StoreOptions& options,
                       const std::vector<uint8_t>& payload) {
  Child child([&] {
    const auto store = OpenStore(directory, options);
    const auto view = TakeView(*store);
    const TornBytes torn(payload);
    TearingHook hook(view->generations().active(), torn);
    Entry entry;
    entry.payload = torn.bytes();
    CHECK_OK(store->log().Append(entry, &hook).status());
  });
  CHECK_EQ(child.JoinKilled(), SIGKILL);
}

}  // namespace ringleader::test
