// Snapshots for members that lack too much, and from one that has it.
//
// Receiving is done by a thread of its own: it may wait for a disk for minutes, and promises are
// saved meanwhile. The core takes no records then, does not stand for election, and rolls nothing
// back; the old log and rows stay in use. When everything is ready the thread asks the pump, which
// looks once more whether the snapshot has all that this member has acknowledged, and from then on
// takes no messages until log and rows have been exchanged: nothing that it tells or hears is about
// a log that is just being replaced.
#include <algorithm>
#include <utility>

#include "engine/replication.h"

namespace ringleader {

// --- giving --------------------------------------------------------------------------------------

void Replication::MakeSource() {
  source_ = std::make_unique<SnapshotSource>(env_, directory_, store_, snapshot_options_,
                                             [this] { log_.AnnounceActivity(); });
}

void Replication::Give(const SendPiece& piece) {
  if (source_ == nullptr) MakeSource();
  source_->Ask(piece);
}

// Who led and what the group was up to a position that is in the base, and thereby committed.
Result<GroupTables> Replication::TablesAt(Lsn position) const {
  const LogState& log = core_->state().log;
  GroupTables tables;
  tables.position = position;
  for (const TermStart& row : log.terms.rows()) {
    if (row.start < position) tables.terms.push_back(row);
  }
  for (const ConfigurationAt& at : log.configurations) {
    if (at.end <= position) tables.configuration = at;
  }
  const bool none = tables.configuration.configuration.version == 0;
  const bool forgotten =
      none && !log.configurations.empty() && log.configurations.front().configuration.version > 1;
  // The core knows the newest that is committed, and the base is behind it: later it is not.
  if (forgotten) return Status(Code::kBusy, "the base is behind the newest configuration");
  return tables;
}

void Replication::ServeSnapshots() {
  if (source_ != nullptr) {
    if (const std::optional<Lsn> wanted = source_->Wanted()) source_->Describe(TablesAt(*wanted));
    while (std::optional<SnapshotSource::Piece> ready = source_->Take()) {
      Message message = core_->Envelope(ready->to, std::move(ready->piece));
      std::get<SnapshotPiece>(message.body).bytes = ready->bytes;
      Send(message);
    }
  }
  std::optional<Lsn> asked;
  std::vector<Event> told;
  {
    const std::lock_guard<std::mutex> lock(fill_mutex_);
    if (!fill_granted_) asked = fill_asked_;
    told.swap(fill_told_);
  }
  if (asked) Grant(*asked);
  if (told.empty()) return;
  switching_ = false;
  for (Event& event : told) Step(std::move(event));
}

// --- receiving -----------------------------------------------------------------------------------

// The exchange may begin: the snapshot has all that this member has acknowledged or knows to be
// committed, and nothing of the old log is being saved.
void Replication::Grant(Lsn position) {
  const CoreState& state = core_->state();
  if (keeping_tables_ || state.log.rolling_back) return;  // looked at again when that is done
  const bool old = core_->commit() > position || state.replica.matched > position;
  const bool granted = !failed_ && state.role != Role::kPrimary && !old;
  switching_ = granted;
  if (granted) readers_.clear();
  {
    const std::lock_guard<std::mutex> lock(fill_mutex_);
    fill_granted_.emplace(granted ? std::optional(core_->commit()) : std::nullopt);
  }
  fill_news_.notify_all();
}

std::optional<Lsn> Replication::AskToSwitch(Lsn position) {
  {
    const std::lock_guard<std::mutex> lock(fill_mutex_);
    fill_granted_.reset();
    fill_asked_ = position;
  }
  log_.AnnounceActivity();
  std::unique_lock<std::mutex> lock(fill_mutex_);
  while (!fill_granted_ && !stopping_.load(std::memory_order_acquire)) {
    fill_news_.wait_for(lock, std::chrono::milliseconds(50));
  }
  fill_asked_.reset();
  return fill_granted_ ? *fill_granted_ : std::nullopt;
}

void Replication::Keep(const KeepPiece& piece) {
  if (filler_ == nullptr) filler_ = std::make_unique<DiskWorker>(env_.threads, "rl-fill");
  SnapshotSink::Order order;
  order.head = piece.head;
  order.commit = core_->commit();
  order.discarded = core_->state().log.terms.last();
  const std::vector<uint8_t> bytes(piece.bytes.begin(), piece.bytes.end());
  filler_->Do([this, order, bytes, offset = piece.offset, last = piece.last] {
    std::vector<Event> told = Fill(order, offset, last, bytes);
    {
      const std::lock_guard<std::mutex> lock(fill_mutex_);
      fill_told_ = std::move(told);
    }
    log_.AnnounceActivity();
  });
}

// On the thread that fills. What the pump is told.
std::vector<Event> Replication::Fill(SnapshotSink::Order order, uint64_t offset, bool last,
                                     Bytes bytes) {
  const uint64_t id = order.head.id;
  Status status = sink_->Keep(order.head, offset, last, bytes);
  const uint64_t end = offset + bytes.size();
  if (status.ok() && !last) return {SnapshotKept{id, end, false}};
  bool refused = false;
  if (status.ok()) {
    order.permit = [&] {
      const std::optional<Lsn> common = AskToSwitch(order.head.position.lsn);
      refused = !common;
      return common;
    };
    order.stop = [this] { return stopping_.load(std::memory_order_acquire); };
    status = sink_->Install(order);
  }
  if (status.ok()) return {SnapshotKept{id, end, false}, SnapshotInstalled{order.head}};
  const bool again = status.code() == Code::kNoSpace || status.code() == Code::kBusy ||
                     status.code() == Code::kClosed || status.code() == Code::kTimeout ||
                     status.code() == Code::kRolledBack;
  const bool no_good = status.code() == Code::kCorruption || status.code() == Code::kTrimmed ||
                       status.code() == Code::kNewerFormat ||
                       status.code() == Code::kInvalidArgument;
  if (status.fate() == Fate::kNone && (no_good || refused)) {
    sink_->Forget();
    return {SnapshotKept{id, 0, true}};
  }
  if (status.fate() != Fate::kNone || !again) FailLater(status);
  return {SnapshotKept{id, offset, true}};
}

// Before the core hears of it.
void Replication::NoteInstalled(Lsn end) {
  ++history_;
  // The core has not heard of it: what it knows to be committed is what the two logs share.
  DropArrivals(core_->commit());
  failed_send_.store(0, std::memory_order_release);  // of records that are no more
  permanent_failed_ = std::min(permanent_failed_, core_->commit());
  tables_ = sink_->tables();
  end_ = whole_ = applied_ = written_ = flushed_ = end;
  open_ends_.clear();
  readers_.clear();
}

}  // namespace ringleader
