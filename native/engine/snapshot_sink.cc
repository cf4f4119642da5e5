#include "engine/snapshot_sink.h"

#include <algorithm>
#include <utility>

#include "base/mutant.h"
#include "engine/replication.h"
#include "engine/snapshot_source.h"
#include "log/discarded.h"
#include "store/snapshot_install.h"

namespace ringleader {
namespace {

Status DoesNotFit(const char* what) {
  return Status(Code::kInvalidArgument, std::string("a piece of a snapshot: ") + what);
}

}  // namespace

std::string SnapshotSink::Path() const { return SnapshotPath(directory_, kIncomingName); }

Status SnapshotSink::ComeUp(Start* start) {
  RL_ASSIGN_OR_RETURN(const bool installed, InstalledAnew(env_, directory_));
  if (installed) {
    const auto group = ReadSnapshotGroup(env_, Path());
    // Where the stream has gone, the tables had been saved.
    if (group.ok()) {
      RL_ASSIGN_OR_RETURN(const GroupTables tables, DecodeGroupTables(group.value()));
      RL_RETURN_IF_ERROR(SaveGroupTables(env_, directory_, tables));
    } else if (group.status().code() != Code::kNotFound) {
      return group.status();
    }
    return NoticeInstalled(env_, directory_);
  }
  SnapshotHeader header;
  RL_ASSIGN_OR_RETURN(const uint64_t good, GoodBytes(env_, Path(), &header));
  if (good == 0 || header.group_id != store_.log().identity().group_id) return Status::Ok();
  RL_ASSIGN_OR_RETURN(file_, env_.files.Open(Path(), OpenMode::kReadWrite));
  if (RL_MUTANT(kForgetIncoming)) return Status::Ok();
  // Of one that is whole there has to be a last piece still to come.
  RL_RETURN_IF_ERROR(file_->Truncate(good - 1));
  start->snapshot_id = head_.id = header.id;
  start->snapshot_bytes = good - 1;
  return Status::Ok();
}

Status SnapshotSink::Keep(const SnapshotHead& head, uint64_t offset, bool last, Bytes bytes) {
  if (head.total_bytes < kSnapshotHeaderBytes || head.total_bytes > max_bytes_) {
    return DoesNotFit("a snapshot of such a size is not taken");
  }
  if (offset > head.total_bytes || bytes.size() > head.total_bytes - offset || bytes.empty()) {
    return DoesNotFit("it lies outside");
  }
  if (last != (offset + bytes.size() == head.total_bytes)) return DoesNotFit("it is not the last");
  if (offset == 0) {
    file_.reset();
    RL_RETURN_IF_ERROR(MakeSnapshotDirectory(env_, directory_));
    RL_ASSIGN_OR_RETURN(file_, env_.files.Open(Path(), OpenMode::kCreateEmpty));
  }
  if (file_ == nullptr || (offset != 0 && head.id != head_.id)) {
    return DoesNotFit("of another snapshot");
  }
  head_ = head;
  return file_->WriteAt(offset, bytes);
}

Status SnapshotSink::Accept(const SnapshotHead& head, Bytes group) {
  RL_ASSIGN_OR_RETURN(tables_, DecodeGroupTables(group));
  SnapshotHeader header;
  header.id = head.id;
  header.position = head.position.lsn;
  const bool above =
      std::any_of(tables_.terms.begin(), tables_.terms.end(),
                  [&](const TermStart& row) { return row.start >= header.position; });
  if (tables_.position != header.position || above || tables_.configuration.end > header.position) {
    return Status(Code::kCorruption, "a snapshot: its terms are of another position");
  }
  const SnapshotHead told = HeadOf(header, head.total_bytes, tables_);
  if (told.position != head.position || told.terms != head.terms ||
      told.configuration != head.configuration) {
    return Status(Code::kCorruption, "a snapshot: its group is not what its sender has told");
  }
  return Status::Ok();
}

Status SnapshotSink::Install(const Order& order) {
  Log& log = store_.log();
  RL_ASSIGN_OR_RETURN(const Lsn fork, log.LastEnd(order.commit));
  RL_RETURN_IF_ERROR(SaveDiscarded(env_, directory_, log, fork, order.discarded.counter,
                                   order.discarded.incarnation.value)
                         .status());
  file_.reset();
  Store::SnapshotInstall install;
  install.path = Path();
  install.expected = {log.identity().group_id, log.identity().segment_bytes,
                      order.head.position.lsn, order.head.id};
  install.follows = kGroupConsumer;
  install.accept = [&](Bytes group) { return Accept(order.head, group); };
  install.permit = order.permit;
  install.stop = order.stop;
  RL_RETURN_IF_ERROR(store_.InstallSnapshot(install));
  const auto notice = [&] {
    RL_RETURN_IF_ERROR(SaveGroupTables(env_, directory_, tables_));
    return NoticeInstalled(env_, directory_);
  };
  // It is in place whatever comes of this.
  return notice().WithFate(Fate::kDone);
}

void SnapshotSink::Forget() {
  file_.reset();
  const Status removed = env_.files.Remove(Path());
  (void)removed;  // it begins anew in any case
}

}  // namespace ringleader
