#include "store/committer.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/coding.h"
#include "base/mutant.h"
#include "store/atomic_rule.h"
#include "store/catalogue.h"
#include "store/operations.h"

namespace ringleader {
namespace {

constexpr size_t kChunk = 64;  // commits prepared and tried together
constexpr uint64_t kLookAgainNs = 10'000'000;
constexpr uint32_t kManyOperations = 65535;
constexpr int kMaxRefreshes = 1000;

}  // namespace

// The hook of whoever appends without a commit, and of the repair after a death.
class Committer::Plain : public WriterHook {
 public:
  explicit Plain(Committer& committer) : committer_(committer) {}

  // Records that are not transactions of databases pass; those that are come from Section.
  Admission Admit(size_t, Lsn, Entry& entry) override {
    return entry.type == RecordType::kTransaction ? Admission::kRefuse : Admission::kAppend;
  }
  Status Insert(Lsn, const Entry&) override { return Status::Ok(); }

  Status Redo(Lsn end, const Entry& entry) override {
    if (entry.type != RecordType::kTransaction) return Status::Ok();
    RL_ASSIGN_OR_RETURN(const PayloadSummary summary, SummarizePayload(entry.payload));
    RL_ASSIGN_OR_RETURN(const GenerationSetRef set, committer_.overlay_.Current());
    RL_RETURN_IF_ERROR(InsertPayload(set->active(), end, entry.payload, true));
    if (summary.changes_catalogue) NoteCatalogueChange(committer_.region_, end);
    return Status::Ok();
  }

  void Mend() override { committer_.overlay_.MendRotation(); }

 private:
  Committer& committer_;
};

Committer::Committer(Env& env, Log& log, Overlay& overlay, BaseTree& base, StoreRegion& region,
                     Reservation& reservation, std::function<void()> room_wanted)
    : env_(env),
      log_(log),
      overlay_(overlay),
      base_(base),
      region_(region),
      reservation_(reservation),
      room_wanted_(std::move(room_wanted)),
      hash_keys_(region->header.hash_seed),
      plain_(std::make_unique<Plain>(*this)) {}

Committer::~Committer() = default;

WriterHook& Committer::hook() { return *plain_; }

std::unique_ptr<View> Committer::BorrowView() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (views_.empty()) return std::make_unique<View>(overlay_, base_);
  std::unique_ptr<View> view = std::move(views_.back());
  views_.pop_back();
  return view;
}

void Committer::ReturnView(std::unique_ptr<View> view) {
  view->Release();
  const std::lock_guard<std::mutex> lock(mutex_);
  views_.push_back(std::move(view));
}

// Applies the rule of an atomic operation to the row as it is now.
Status Committer::ReadForAtomic(Commit& commit, PreparedCommit* prepared) {
  std::unique_ptr<View> view = BorrowView();
  Status status = view->Renew();
  if (status.ok()) {
    prepared->read_at = view->lsn();
    prepared->changed = false;
    commit.history = view->history();
    const auto row = view->Get(commit.atomic->row_key);
    status =
        row.ok() ? ApplyAtomicRule(row.value(), commit.atomic, &prepared->payload) : row.status();
  }
  ReturnView(std::move(view));
  return status;
}

void Committer::Prepare(Commit& commit, PreparedCommit* prepared) {
  if (commit.verdict != Verdict::kPending) return;
  Bytes payload = commit.payload;
  if (commit.atomic != nullptr) {
    prepared->hash = HashRowKey(commit.atomic->row_key, hash_keys_);
    commit.error = ReadForAtomic(commit, prepared);
    payload = prepared->payload;
  }
  if (commit.error.ok()) {
    auto summary = SummarizePayload(payload);
    if (summary.ok()) prepared->summary = summary.value();
    if (!summary.ok()) commit.error = Status(Code::kInvalidArgument, summary.status().message());
  }
  if (commit.error.ok() && commit.catalogue == 0) commit.error = CheckDatabases(commit, payload);
  if (!commit.error.ok() && commit.verdict == Verdict::kPending) commit.verdict = Verdict::kInvalid;
}

// Whether all databases that the payload writes to exist, as of a state of the catalogue that is
// noted in the commit.
Status Committer::CheckDatabases(Commit& commit, Bytes payload) {
  for (;;) {
    const uint64_t state = region_->commit.catalogue.load(std::memory_order_acquire);
    const Lsn state_end(region_->commit.catalogue_end.load(std::memory_order_acquire));
    RL_CHECK(state != 0);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (live_state_ == state) {
        OperationReader reader(payload);
        Operation operation;
        while (reader.Next(&operation)) {
          const DatabaseId id = LoadRowPrefix(operation.row_key);
          if (id == kCatalogueId || std::ranges::binary_search(live_, id)) continue;
          commit.verdict = Verdict::kDropped;
          return Status::Ok();
        }
        commit.catalogue = state;
        return Status::Ok();
      }
    }
    std::unique_ptr<View> view = BorrowView();
    Status status = view->Renew();
    std::vector<DatabaseId> live;
    if (status.ok()) {
      const auto databases = ListDatabases(*view);
      status = databases.status();
      if (databases.ok()) {
        for (const Database& database : databases.value()) live.push_back(database.id);
      }
    }
    const bool current = view->lsn() >= state_end;
    ReturnView(std::move(view));
    RL_RETURN_IF_ERROR(status);
    if (!current) {
      // A change that counts but is not visible yet. Its writer may have died: the next holder of
      // the lock makes it visible.
      RL_RETURN_IF_ERROR(log_.InSection([](Lsn) { return Status::Ok(); }));
      continue;
    }
    std::ranges::sort(live);
    const std::lock_guard<std::mutex> lock(mutex_);
    live_ = std::move(live);
    live_state_ = state;
  }
}

// With its verdict the turn of a reservation has served its purpose: nobody waits for the flush.
void Committer::EndTurn(const Commit& commit) {
  if (commit.ticket != 0) reservation_.GiveBack(commit.ticket);
}

Result<size_t> Committer::TryCommit(std::span<Commit*> commits) {
  RL_RETURN_IF_ERROR(overlay_.CheckProcess());
  size_t done = 0;
  while (done < commits.size()) {
    const size_t count = std::min(kChunk, commits.size() - done);
    const std::span<Commit*> chunk = commits.subspan(done, count);
    std::array<PreparedCommit, kChunk> prepared;
    std::array<Entry, kChunk> entries;
    std::array<Appended, kChunk> appended;
    for (size_t i = 0; i < count; ++i) {
      Prepare(*chunk[i], &prepared[i]);
      entries[i].payload =
          chunk[i]->atomic != nullptr ? Bytes(prepared[i].payload) : chunk[i]->payload;
      entries[i].operations =
          static_cast<uint16_t>(std::min(prepared[i].summary.operations, kManyOperations));
      if (chunk[i]->verdict != Verdict::kPending) entries[i].payload = Bytes();
    }
    size_t placed = 0;
    for (int tries = 0; placed < count; ++tries) {
      RL_ASSIGN_OR_RETURN(GenerationSetRef set, overlay_.Current());
      if (tries == 0 && count > 1) FetchPlaces(set->active(), std::span(entries).first(count));
      CommitSection section(overlay_, region_, reservation_, std::move(set), chunk.subspan(placed),
                            std::span(prepared).subspan(placed));
      const auto appends = log_.TryAppend(std::span(entries).subspan(placed, count - placed),
                                          std::span(appended).subspan(placed), &section);
      if (!appends.ok()) {
        // What has its verdict keeps it: a gate may close between two of them.
        if (done + placed > 0) return done + placed;
        return appends.status();
      }
      const size_t now = appends.value();
      for (size_t i = placed; i < placed + now; ++i) {
        if (chunk[i]->verdict == Verdict::kPending) {
          chunk[i]->verdict = Verdict::kCommitted;
          chunk[i]->appended = appended[i];
        }
        EndTurn(*chunk[i]);
      }
      placed += now;
      if (placed == count) break;
      Commit& next = *chunk[placed];
      const Stop stop = section.stop();
      if (stop == Stop::kCatalogue) next.catalogue = 0;
      const bool again = stop == Stop::kCatalogue || stop == Stop::kReread;
      if (again) {
        Prepare(next, &prepared[placed]);
        entries[placed].payload =
            next.atomic != nullptr ? Bytes(prepared[placed].payload) : next.payload;
        if (next.verdict != Verdict::kPending) entries[placed].payload = Bytes();
      }
      if ((again || stop == Stop::kRefresh) && tries < kMaxRefreshes) {
        if (stop == Stop::kRefresh) room_wanted_();
        continue;
      }
      if (stop == Stop::kRoom) room_wanted_();
      return done + placed;
    }
    done += count;
  }
  return done;
}

void Committer::Wait(Stop stop, uint32_t sequence) {
  if (stop == Stop::kReserved && reservation_.ExpireOverdue()) return;
  if (stop == Stop::kRoom) {
    // Relaxed: statistics.
    region_->fold.held_up.fetch_add(1, std::memory_order_relaxed);
    room_wanted_();
  }
  region_.AwaitProgress(sequence, kLookAgainNs);
}

Status Committer::CommitOne(Commit& commit, uint64_t timeout_ns) {
  RL_RETURN_IF_ERROR(overlay_.CheckProcess());
  const uint64_t began = env_.clock.MonotonicNanos();
  Commit* one = &commit;
  PreparedCommit prepared;
  Prepare(commit, &prepared);
  while (commit.verdict == Verdict::kPending) {
    const uint32_t sequence = region_.ProgressSequence();
    RL_ASSIGN_OR_RETURN(GenerationSetRef set, overlay_.Current());
    CommitSection section(overlay_, region_, reservation_, std::move(set), {&one, 1},
                          {&prepared, 1});
    Entry entry;
    entry.payload = commit.atomic != nullptr ? Bytes(prepared.payload) : commit.payload;
    entry.operations =
        static_cast<uint16_t>(std::min(prepared.summary.operations, kManyOperations));
    const auto appended = log_.Append(entry, &section);
    if (appended.ok()) {
      if (commit.verdict == Verdict::kPending) {
        commit.verdict = Verdict::kCommitted;
        commit.appended = appended.value();
      }
      break;
    }
    if (appended.status().code() != Code::kBusy) return appended.status();
    switch (section.stop()) {
      case Stop::kNone:
        break;
      case Stop::kRefresh:
        room_wanted_();
        break;
      case Stop::kCatalogue:
        commit.catalogue = 0;
        [[fallthrough]];
      case Stop::kReread:
        Prepare(commit, &prepared);
        break;
      case Stop::kReserved:
      case Stop::kRoom: {
        const int failed = region_->fold.failed.load(std::memory_order_acquire);
        if (section.stop() == Stop::kRoom && failed != 0) {
          return ErrnoStatus(failed, "the overlay is full, and the last fold failed");
        }
        Wait(section.stop(), sequence);
        break;
      }
    }
    RL_RETURN_IF_ERROR(log_.Failure());
    if (timeout_ns != kForeverNs && env_.clock.MonotonicNanos() - began > timeout_ns) {
      return Status(Code::kTimeout, "the commit found no room in time");
    }
  }
  EndTurn(commit);
  return Status::Ok();
}

}  // namespace ringleader
