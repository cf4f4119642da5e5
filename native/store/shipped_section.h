// The transactions of another member's log inside the writer section: room and insertion.
//
// They have been decided where they were committed, so nothing is validated. Whoever applies them
// is one at a time over all processes (LogAppender::AppendRecords).
// Threads: one call.
#pragma once

#include <cstdint>

#include "log/writer_hook.h"
#include "store/commit_section.h"
#include "store/overlay.h"
#include "store/store_region.h"

namespace ringleader {

class ShippedSection : public WriterHook {
 public:
  ShippedSection(Overlay& overlay, StoreRegion& region, GenerationSetRef set)
      : overlay_(overlay), region_(region), set_(std::move(set)) {}

  // Why it went no further.
  Stop stop() const { return stop_; }

  void Foresee(std::span<const Entry> entries) override;
  Admission Admit(size_t index, Lsn, Entry& entry) override;
  Status Insert(Lsn end, const Entry& entry) override;
  // Parts of the hook that is set for good.
  Status Redo(Lsn, const Entry&) override { return Status::Ok(); }
  void Mend() override {}

 private:
  Overlay& overlay_;
  StoreRegion& region_;
  GenerationSetRef set_;
  bool changes_catalogue_ = false;  // of the entry that was admitted last
  bool inserted_ = false;
  Stop stop_ = Stop::kNone;
};

}  // namespace ringleader
