// How a member gives and takes snapshots.
#include <algorithm>
#include <utility>

#include "sim_member.h"

namespace ringleader::simulator {

Checkpoint SimMember::MakeCheckpoint() const {
  Checkpoint checkpoint;
  checkpoint.state = state_;
  const LogState& log = core_->state().log;
  for (const TermStart& row : log.terms.rows()) {
    if (row.start < state_.position()) checkpoint.terms.push_back(row);
  }
  for (const ConfigurationAt& at : log.configurations) {
    if (at.end <= state_.position()) checkpoint.configuration = at;
  }
  return checkpoint;
}

void SimMember::SendSnapshot(const SendPiece& piece) {
  const SnapshotRequest& request = piece.request;
  const Lsn position = state_.position();
  const bool keeps = context_.plan.keeps_snapshots;
  if (!outgoing_ && keeps && request.id != 0) {
    Outgoing& before = outgoing_.emplace();
    if (!store_->ReadOutgoing(&before.head, &before.bytes)) outgoing_.reset();
  }
  // One that ends below the log's start would leave a gap.
  if (outgoing_ && outgoing_->head.position.lsn < store_->start()) outgoing_.reset();
  // Who asks for the beginning of one that it knows has found it to be no good.
  if (outgoing_ && outgoing_->head.id == request.id && request.offset == 0) outgoing_.reset();
  const bool known = outgoing_ && outgoing_->head.id == request.id;
  const bool newest = outgoing_ && outgoing_->head.position.lsn == position;
  if (!known && !newest) {
    if (position.value == 0) return;
    const Checkpoint checkpoint = MakeCheckpoint();
    auto bytes = store_->MakeSnapshot(checkpoint);
    if (!bytes.ok()) return;  // asked again
    Outgoing& made = outgoing_.emplace();
    made.bytes = std::move(bytes).value();
    made.head.id = rng_.Next() | 1;
    made.head.total_bytes = made.bytes.size();
    made.head.position = core_->state().log.terms.PositionAt(position);
    const size_t extra =
        checkpoint.terms.size() - std::min(checkpoint.terms.size(), kMaxTermsInMessage);
    made.head.terms.assign(checkpoint.terms.begin() + static_cast<ptrdiff_t>(extra),
                           checkpoint.terms.end());
    made.head.configuration = checkpoint.configuration;
    // It need not last: without it the next one begins at its beginning.
    if (keeps) (void)store_->KeepOutgoing(made.head, made.bytes).ok();
  }
  // Of another one than was asked for, the beginning.
  const uint64_t offset = known ? request.offset : 0;
  if (offset > outgoing_->bytes.size()) return;
  SnapshotPiece body;
  body.head = outgoing_->head;
  body.offset = offset;
  const Bytes rest = Bytes(outgoing_->bytes).subspan(offset);
  body.bytes = rest.first(std::min<uint64_t>(rest.size(), request.limit_bytes));
  body.last = body.bytes.size() == rest.size();
  Send(core_->Envelope(piece.to, std::move(body)));
}

void SimMember::Keep(const KeepPiece& piece, std::vector<Event>* next) {
  if (broken_ || rolling_) {
    next->push_back(SnapshotKept{piece.head.id, piece.offset, true});
    return;
  }
  const Status kept = store_->KeepPiece(piece.head.id, piece.offset, piece.bytes);
  const uint64_t bytes = piece.offset + piece.bytes.size();
  if (kept.ok() && piece.last) return InstallSnapshot(piece, bytes, next);
  next->push_back(SnapshotKept{piece.head.id, kept.ok() ? bytes : piece.offset, !kept.ok()});
  if (!kept.ok() && kept.code() != Code::kNoSpace) DiskFailed(kept);
}

void SimMember::InstallSnapshot(const KeepPiece& piece, uint64_t kept, std::vector<Event>* next) {
  Checkpoint checkpoint;
  Status installed;
  ForgetReaders();
  ReadTruly();  // the new log is recovered before it is used
  const LogState& log = core_->state().log;
  const bool cut = CutInside(
      [&] { installed = store_->Install(core_->commit(), log.terms.last(), &checkpoint); });
  if (cut) return;
  if (!store_->is_open()) {
    // Between two logs: whoever comes up again has one of them.
    Stop(false);
    const uint64_t epoch = epoch_;
    context_.schedule.In(100'000'000, [this, epoch] {
      if (epoch == epoch_) Start();
    });
    return;
  }
  if (!installed.ok()) {
    const bool damaged = installed.code() == Code::kCorruption;
    next->push_back(SnapshotKept{piece.head.id, damaged ? 0 : piece.offset, true});
    if (!damaged && installed.code() != Code::kNoSpace) DiskFailed(installed);
    return;
  }
  ++context_.stats.snapshots;
  context_.Note(index_, "installs a snapshot at " + std::to_string(piece.head.position.lsn.value));
  ++history_;
  state_ = checkpoint.state;
  ledger_hint_ = 0;
  flushed_ = state_.position();
  if (state_.position() != piece.head.position.lsn) Fail("a snapshot of another position");
  context_.ledger.Installs(index_, state_.position(), state_.hash());
  next->push_back(SnapshotKept{piece.head.id, kept, false});
  next->push_back(SnapshotInstalled{piece.head});
}

}  // namespace ringleader::simulator
