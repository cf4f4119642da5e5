// Snapshots for other members of the group: written here, or put in place of rows and log.
//
// Written from a snapshot of the base, so nobody waits for it; the log is held from there on until
// the caller lets go of it. Everything in it is committed, because the base holds nothing else.
//
// Put in place while processes are attached. The rows are loaded in one transaction of the base
// that is not committed yet, which takes as long as it takes and holds up nobody but the fold.
// Then, with the locks of log_exchange.h:
//   - CommitWords::history becomes odd: views that are being taken wait from here on;
//   - the base commits, which decides (snapshot_install.h);
//   - the log follows, and the overlay becomes one empty generation;
//   - history becomes even again.
// Views that are held keep their generations and their snapshot of the base; transactions on them
// conflict, because they bring the history of their view.
#include <algorithm>

#include "base/mutant.h"
#include "store/bulk_role.h"
#include "store/directory_copy.h"
#include "store/log_hold.h"
#include "store/snapshot_install.h"
#include "store/snapshot_stream.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

Status Stopped() { return Status(Code::kClosed, "the member is being closed"); }

Status NotWhole(const char* what) {
  return Status(Code::kCorruption, std::string("a snapshot: ") + what);
}

// One snapshot being put in place; the class holds what the steps share.
class Installation : public ExchangeHook {
 public:
  Installation(Env& env, Store::Parts& parts, Log& log, const Store::SnapshotInstall& order)
      : env_(env), parts_(parts), region_(*parts.region), log_(log), order_(order) {}
  Installation(const Installation&) = delete;
  Installation& operator=(const Installation&) = delete;
  // The names of generations that are in no list go.
  ~Installation() override {
    if (replaced_) {
      parts_.overlay->RemoveNames(old_oldest_, sequence_ - 1);
    } else if (sequence_ != 0) {
      parts_.overlay->RemoveNames(sequence_, sequence_);
    }
  }

  // Holder of bulk and fold role.
  Status Run();

  Status Decide() override;
  Status Done() override { return EndInstall(env_, parts_.directory); }
  void Finish(Lsn end) override;
  bool Follows(const std::string& consumer) const override {
    return consumer == kBaseConsumer || consumer == order_.follows;
  }

 private:
  Status Load();
  Status LoadRows(Bytes payload);
  Status CheckHeader() const;
  Status MakeGeneration();

  Env& env_;
  Store::Parts& parts_;
  StoreRegion& region_;
  Log& log_;
  const Store::SnapshotInstall& order_;
  SnapshotHeader header_;
  std::vector<uint8_t> raw_;
  std::unique_ptr<BaseTree::Replacement> rows_;
  std::shared_ptr<MappedGeneration> generation_;
  uint64_t old_oldest_ = 0;
  uint64_t sequence_ = 0;
  bool replaced_ = false;
};

Status Installation::CheckHeader() const {
  const ControlState& identity = log_.identity();
  if (header_.group_id != identity.group_id || header_.segment_bytes != identity.segment_bytes) {
    return NotWhole("of another group");
  }
  if (header_ != order_.expected) return NotWhole("its header is not what its sender has told");
  const uint64_t applied = region_->fold.applied.load(std::memory_order_acquire);
  const uint64_t started = region_->fold.started.load(std::memory_order_acquire);
  if (header_.position.value < std::max(applied, started)) {
    return Status(Code::kTrimmed, "the snapshot is older than what this member has");
  }
  return Status::Ok();
}

Status Installation::LoadRows(Bytes payload) {
  SnapshotRow row;
  while (TakeSnapshotRow(&payload, &row)) {
    if (row.version > header_.position) return NotWhole("a row is newer than it is");
    const Status put = rows_->Put(row.row_key, row.version, row.value);
    const bool wrong = put.code() == Code::kInvalidArgument || put.code() == Code::kTooLarge;
    if (wrong) return NotWhole(put.message().c_str());
    RL_RETURN_IF_ERROR(put);
  }
  return Status::Ok();
}

Status Installation::Load() {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                      env_.files.Open(order_.path, OpenMode::kReadWrite));
  // Power loss must find it there if it finds the mark.
  RL_RETURN_IF_ERROR(file->SyncData());
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(ParentPath(order_.path)));
  RL_ASSIGN_OR_RETURN(SnapshotReader reader, SnapshotReader::Open(std::move(file)));
  header_ = reader.header();
  RL_RETURN_IF_ERROR(CheckHeader());
  RL_ASSIGN_OR_RETURN(rows_, parts_.base->BeginReplacement());
  while (!reader.ended()) {
    if (order_.stop()) return Stopped();
    RL_ASSIGN_OR_RETURN(const auto block, reader.Next());
    if (!block) return NotWhole("it is cut short");
    switch (block->kind) {
      case SnapshotBlock::kGroup:
        RL_RETURN_IF_ERROR(order_.accept(block->payload));
        break;
      case SnapshotBlock::kLog:
        if (raw_.size() + block->payload.size() > header_.segment_bytes) {
          return NotWhole("its log is too long");
        }
        raw_.insert(raw_.end(), block->payload.begin(), block->payload.end());
        break;
      case SnapshotBlock::kRows:
        RL_RETURN_IF_ERROR(LoadRows(block->payload));
        break;
      case SnapshotBlock::kDropped: {
        RL_ASSIGN_OR_RETURN(const std::vector<DatabaseId> ids, DecodeDroppedIds(block->payload));
        for (const DatabaseId id : ids) RL_RETURN_IF_ERROR(rows_->AddDropped(id));
        break;
      }
      case SnapshotBlock::kEnd:
        break;
    }
  }
  // Says so where something follows.
  return reader.Next().status();
}

Status Installation::MakeGeneration() {
  const GenerationList& list = region_->list;
  old_oldest_ = list.oldest.load(std::memory_order_acquire);
  // Writers move on to the one that is ready at most.
  sequence_ = 1 + std::max(list.ready.load(std::memory_order_acquire),
                           list.newest.load(std::memory_order_acquire));
  const uint64_t bytes = std::min(kFirstGenerationBytes, parts_.options.generation_bytes);
  RL_ASSIGN_OR_RETURN(generation_,
                      parts_.overlay->MakeUnlisted(sequence_, header_.position, bytes));
  return Status::Ok();
}

Status Installation::Run() {
  RL_RETURN_IF_ERROR(Load());
  NewLog log;
  log.environment_id = log_.identity().environment_id;
  log.group_id = header_.group_id;
  log.segment_bytes = header_.segment_bytes;
  log.end = header_.position;
  log.raw = raw_;
  const Status fits =
      header_.position == Lsn() ? NotWhole("of nothing") : CheckNewLog(log).status();
  if (fits.code() == Code::kInvalidArgument) return NotWhole(fits.message().c_str());
  RL_RETURN_IF_ERROR(fits);
  RL_RETURN_IF_ERROR(MakeGeneration());
  const std::optional<Lsn> common = order_.permit();
  if (!common || (*common > header_.position && !RL_MUTANT(kInstallOld))) {
    return Status(Code::kBusy, "the snapshot has become too old");
  }
  const InstallMark mark{header_, log.environment_id, log_.identity().incarnation};
  if (!RL_MUTANT(kInstallUnmarked)) RL_RETURN_IF_ERROR(BeginInstall(env_, parts_.directory, mark));
  const Status exchanged = log_.Exchange(log, *common, *this);
  if (exchanged.ok() || exchanged.fate() != Fate::kNone) return exchanged;
  RL_RETURN_IF_ERROR(DropInstall(env_, parts_.directory));
  return exchanged;
}

Status Installation::Decide() {
  if (!RL_MUTANT(kInstallUnderViews))
    region_->commit.history.fetch_add(1, std::memory_order_acq_rel);
  const Status committed = rows_->Commit(header_.position);
  if (!committed.ok() && committed.fate() == Fate::kNone) {
    region_->commit.history.fetch_add(1, std::memory_order_acq_rel);
  }
  return committed;
}

void Installation::Finish(Lsn end) {
  constexpr auto kNow = std::memory_order_release;
  parts_.overlay->Replace(sequence_, sequence_);
  replaced_ = true;
  FoldWords& fold = region_->fold;
  fold.applied.store(end.value, kNow);
  fold.started.store(end.value, kNow);
  // All of it is committed.
  uint64_t limit = fold.limit.load(std::memory_order_acquire);
  while (limit < end.value &&
         !fold.limit.compare_exchange_weak(limit, end.value, std::memory_order_acq_rel)) {
  }
  fold.dropped.store(1, kNow);
  fold.admit.store(~uint64_t{0}, kNow);
  fold.freeze.store(0, kNow);
  fold.want_bytes.store(0, kNow);
  CommitWords& commit = region_->commit;
  commit.catalogue_end.store(end.value, kNow);
  commit.catalogue.fetch_add(1, std::memory_order_acq_rel);
  commit.history.fetch_add(RL_MUTANT(kInstallUnderViews) ? 2 : 1, std::memory_order_acq_rel);
}

}  // namespace

Status Store::InstallSnapshot(const SnapshotInstall& order) {
  if (log_ == nullptr) return Status(Code::kClosed, "the environment is closed");
  StoreRegion& region = *parts_->region;
  // A copy or a load under way rests on the rows that it began with.
  BulkRole bulk(env_, region);
  RL_RETURN_IF_ERROR(bulk.Take(BulkRole::kPatienceNs));
  RL_RETURN_IF_ERROR(parts_->folder->LockRole());
  const Status status = Installation(env_, *parts_, *log_, order).Run();
  parts_->folder->UnlockRole();
  region.Announce();
  parts_->folder->Wake();
  return status;
}

// --- writing one ---------------------------------------------------------------------------------

namespace {

// The log's bytes of the segment in which `position` lies, up to there.
Result<std::vector<uint8_t>> ReadTail(Env& env, const std::string& directory, Log& log,
                                      Lsn position) {
  RL_RETURN_IF_ERROR(log.WaitFor(position, Level::kFlushed));
  const ControlState& identity = log.identity();
  NewLog tail;
  tail.group_id = identity.group_id;
  tail.segment_bytes = identity.segment_bytes;
  tail.end = position;
  const Lsn first = LogReplacement::FirstByte(position, tail.segment_bytes);
  const SegmentFiles files(env, JoinPath(directory, kLogDirectoryName), tail.segment_bytes);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, files.Open(first, OpenMode::kRead));
  std::vector<uint8_t> raw(position - first);
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, raw, SegmentName(first)));
  tail.raw = raw;
  RL_RETURN_IF_ERROR(CheckNewLog(tail).status());
  return raw;
}

Status WriteRows(BaseTree::Snapshot& rows, const Store::SnapshotOrder& order,
                 SnapshotWriter* writer) {
  RL_ASSIGN_OR_RETURN(const auto cursor, BaseTree::Cursor::Open(rows));
  Status moved = cursor->SeekAtLeast({});
  for (; moved.ok() && cursor->valid(); moved = cursor->Next()) {
    RL_RETURN_IF_ERROR(writer->Row(cursor->row_key(), cursor->row().version, cursor->row().value));
    if (order.stop()) return Stopped();
    if (writer->bytes() > order.max_bytes) {
      return Status(Code::kTooLarge, "the snapshot is larger than it may be");
    }
  }
  RL_RETURN_IF_ERROR(moved);
  RL_ASSIGN_OR_RETURN(const std::vector<DatabaseId> dropped, rows.Dropped());
  return writer->End(dropped);
}

}  // namespace

Result<SnapshotHeader> Store::WriteSnapshot(File& into, const SnapshotOrder& order) {
  if (log_ == nullptr) return Status(Code::kClosed, "the environment is closed");
  Parts& parts = *parts_;
  LogHold hold(*log_, order.consumer);
  RL_RETURN_IF_ERROR(hold.Take((**parts.region).fold.applied, order.max_log_bytes));
  const uint64_t history = parts.overlay->history();
  std::unique_ptr<BaseTree::Snapshot> rows;
  {
    // Not in the middle of a bulk load: the log does not have its rows, and names them later.
    BulkRole bulk(env_, *parts.region);
    RL_RETURN_IF_ERROR(bulk.Take(BulkRole::kPatienceNs));
    RL_ASSIGN_OR_RETURN(rows, parts.base->OpenSnapshot());
  }
  SnapshotHeader header;
  header.group_id = log_->identity().group_id;
  header.segment_bytes = log_->identity().segment_bytes;
  header.id = order.id;
  // A fold may end behind padding, or behind pieces of a transaction that came to nothing.
  RL_ASSIGN_OR_RETURN(header.position, log_->LastEnd(rows->applied()));
  if (header.position <= log_->Stat().start + kSegmentPageBytes) {
    return Status(Code::kBusy, "no transaction that is in the base is in the log any more");
  }
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> raw,
                      ReadTail(env_, parts.directory, *log_, header.position));
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> group, order.describe(header.position));
  SnapshotWriter writer(into, header);
  RL_RETURN_IF_ERROR(writer.Begin(group));
  RL_RETURN_IF_ERROR(writer.Log(raw));
  RL_RETURN_IF_ERROR(WriteRows(*rows, order, &writer));
  RL_RETURN_IF_ERROR(into.SyncData());
  if (parts.overlay->history() != history) {
    return Status(Code::kBusy, "the environment was rolled back meanwhile");
  }
  hold.Keep();
  return header;
}

}  // namespace ringleader
