// A process that dies between the place of its transactions in the log and their place in the
// overlay.
#pragma once

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

}  // namespace ringleader::test
