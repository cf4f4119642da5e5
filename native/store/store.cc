#include "store/store.h"

#include <algorithm>
#include <array>

#include "store/shipped_section.h"
#include "store/snapshot_install.h"
#include "store/store_parts.h"

namespace ringleader {
namespace {

constexpr int kMaxCatalogueTries = 100;
constexpr uint64_t kEstimateSample = 1000;

Status Closed() { return Status(Code::kClosed, "the environment is closed"); }

Status CheckOptions(const StoreOptions& options) {
  if (options.generation_bytes < (uint64_t{1} << 20) ||
      options.generation_bytes > (uint64_t{4} << 30)) {
    return Status(Code::kInvalidArgument, "generationBytes: from 1 MiB to 4 GiB");
  }
  if (options.max_frozen < 1 || options.max_frozen > 8) {
    return Status(Code::kInvalidArgument, "maxFrozen: from 1 to 8");
  }
  if (options.max_readers < 16 || options.max_readers > 65536) {
    return Status(Code::kInvalidArgument, "maxReaders: from 16 to 65,536");
  }
  return Status::Ok();
}

}  // namespace

Store::Store(Env& env) : env_(env) {}

Result<std::unique_ptr<Store>> Store::Open(Env& env, const std::string& directory,
                                           const StoreOptions& options) {
  RL_RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<Store> store(new Store(env));
  RL_RETURN_IF_ERROR(store->OpenLog(directory, options));
  if (options.log.service_threads) store->parts_->folder->Start();
  return store;
}

// Where a snapshot was being installed and nobody is there any more, that is finished first.
// Somebody else may be at it, or may have failed at it in between: it shows when the log is open.
Status Store::OpenLog(const std::string& directory, const StoreOptions& options) {
  constexpr int kMostTries = 3;
  for (int tries = 1;; ++tries) {
    const Status finished = FinishInstall(env_, directory);
    if (!finished.ok() && finished.code() != Code::kBusy) return finished;
    parts_ = std::make_unique<Parts>(env_, directory, options);
    auto log = Log::Open(env_, directory, options.log, parts_.get());
    if (log.ok()) {
      log_ = std::move(log).value();
      return Status::Ok();
    }
    const bool again = log.status().code() == Code::kBusy && parts_->unfinished;
    if (!again || tries == kMostTries) return log.status();
  }
}

Store::~Store() {
  if (log_ == nullptr) return;
  const Status ignored = Close();
  (void)ignored;  // whoever wants to know calls Close
}

Status Store::Close() {
  if (log_ == nullptr) return Closed();
  if (const Status status = parts_->overlay->CheckProcess(); !status.ok()) {
    // Everything is the parent's, the locks on its files too: nothing may be taken down from here.
    static_cast<void>(log_.release());
    static_cast<void>(parts_.release());
    return status;
  }
  parts_->folder->Stop();
  const Status status = log_->Close();
  log_.reset();
  return status;
}

std::unique_ptr<View> Store::NewView(ReadLevel level) {
  const std::atomic<uint64_t>* limit = &(*parts_->region)->fold.limit;
  return std::make_unique<View>(*parts_->overlay, *parts_->base,
                                level == ReadLevel::kDurable ? limit : nullptr);
}

Result<size_t> Store::TryCommit(std::span<Commit*> commits) {
  return parts_->committer->TryCommit(commits);
}

Status Store::CommitOne(Commit& commit, uint64_t timeout_ns) {
  return parts_->committer->CommitOne(commit, timeout_ns);
}

Result<uint64_t> Store::Reserve(uint64_t timeout_ns) {
  return parts_->reservation->Take(timeout_ns);
}

void Store::GiveBack(uint64_t ticket) { parts_->reservation->GiveBack(ticket); }

// --- databases ----------------------------------------------------------------------------------

// Runs `change` in transactions until one commits. It returns whether there is anything to commit.
Status Store::ChangeCatalogue(const std::function<Result<bool>(Transaction&)>& change,
                              Appended* appended) {
  for (int tries = 0; tries < kMaxCatalogueTries; ++tries) {
    RL_ASSIGN_OR_RETURN(const auto transaction,
                        Transaction::Begin(*this, Isolation::kSerializable, 0));
    RL_ASSIGN_OR_RETURN(const bool changed, change(*transaction));
    if (!changed) return Status::Ok();
    Commit commit = transaction->PrepareCommit();
    RL_RETURN_IF_ERROR(CommitOne(commit));
    if (commit.verdict == Verdict::kCommitted) {
      if (appended != nullptr) *appended = commit.appended;
      return Status::Ok();
    }
    if (commit.verdict != Verdict::kConflict) return commit.error;
  }
  return Status(Code::kBusy, "the catalogue of databases is being changed too often");
}

Result<DatabaseId> TakeDatabaseId(Transaction& transaction) {
  const std::vector<uint8_t> row_key = NextIdRowKey();
  RL_ASSIGN_OR_RETURN(const std::optional<Row> row, transaction.Get(row_key));
  DatabaseId id = 1;
  if (row) {
    if (row->value.size() != sizeof id) {
      return Status(Code::kCorruption, "the catalogue's next id is damaged");
    }
    id = LoadRowPrefix(row->value);
  }
  // A bulk load that was rolled back together with its id may have left rows under it.
  for (;; ++id) {
    if (id > kMaxDatabaseId) return Status(Code::kTooLarge, "all database ids have been used");
    RL_ASSIGN_OR_RETURN(const auto note,
                        transaction.view().base().Get(NoteKey(NoteKind::kDropped, id)));
    if (!note) break;
  }
  std::array<uint8_t, sizeof id> next;
  StoreRowPrefix(next.data(), id + 1);
  RL_RETURN_IF_ERROR(transaction.Put(row_key, next));
  return id;
}

Result<std::optional<Database>> FindInCatalogue(Transaction& transaction, const std::string& name) {
  const std::vector<uint8_t> row_key = DatabaseRowKey(name);
  RL_ASSIGN_OR_RETURN(const std::optional<Row> row, transaction.Get(row_key));
  if (!row) return std::optional<Database>();
  RL_ASSIGN_OR_RETURN(Database database, DecodeDatabase(row_key, row->value));
  return std::optional<Database>(std::move(database));
}

namespace {

Status NoDatabase(const std::string& name) {
  return Status(Code::kNotFound, "there is no database of the name " + name);
}

}  // namespace

Result<Database> Store::OpenDatabase(const std::string& name, Bytes metadata, bool create) {
  RL_RETURN_IF_ERROR(CheckDatabaseName(name));
  if (metadata.size() > kMaxDatabaseMetadata) {
    return Status(Code::kTooLarge, "the metadata of a database has at most 4,096 bytes");
  }
  Database database;
  RL_RETURN_IF_ERROR(ChangeCatalogue([&](Transaction& transaction) -> Result<bool> {
    RL_ASSIGN_OR_RETURN(const std::optional<Database> found, FindInCatalogue(transaction, name));
    if (found) {
      database = *found;
      return false;
    }
    if (!create) return NoDatabase(name);
    database.name = name;
    database.metadata.assign(metadata.begin(), metadata.end());
    RL_ASSIGN_OR_RETURN(database.id, TakeDatabaseId(transaction));
    RL_RETURN_IF_ERROR(transaction.Put(DatabaseRowKey(name), EncodeDatabase(database)));
    return true;
  }));
  return database;
}

Status Store::DropDatabase(const std::string& name) {
  RL_RETURN_IF_ERROR(CheckDatabaseName(name));
  return ChangeCatalogue([&](Transaction& transaction) -> Result<bool> {
    RL_ASSIGN_OR_RETURN(const std::optional<Database> found, FindInCatalogue(transaction, name));
    if (!found) return NoDatabase(name);
    RL_RETURN_IF_ERROR(transaction.Remove(DatabaseRowKey(name)));
    RL_RETURN_IF_ERROR(transaction.Put(DroppedRowKey(found->id), {}));
    return true;
  });
}

Result<Database> Store::ClearDatabase(const std::string& name) {
  RL_RETURN_IF_ERROR(CheckDatabaseName(name));
  Database database;
  RL_RETURN_IF_ERROR(ChangeCatalogue([&](Transaction& transaction) -> Result<bool> {
    RL_ASSIGN_OR_RETURN(const std::optional<Database> found, FindInCatalogue(transaction, name));
    if (!found) return NoDatabase(name);
    database = *found;
    RL_ASSIGN_OR_RETURN(database.id, TakeDatabaseId(transaction));
    RL_RETURN_IF_ERROR(transaction.Put(DatabaseRowKey(name), EncodeDatabase(database)));
    RL_RETURN_IF_ERROR(transaction.Put(DroppedRowKey(found->id), {}));
    return true;
  }));
  return database;
}

Result<std::vector<Database>> Store::Databases() {
  const std::unique_ptr<View> view = NewView();
  RL_RETURN_IF_ERROR(view->Renew());
  return ListDatabases(*view);
}

uint64_t Store::CatalogueState() const {
  return (**parts_->region).commit.catalogue.load(std::memory_order_acquire);
}

Lsn Store::CatalogueEnd() const {
  return Lsn((**parts_->region).commit.catalogue_end.load(std::memory_order_acquire));
}

Result<uint64_t> Store::EstimateRows(DatabaseId database) {
  const std::unique_ptr<View> view = NewView();
  RL_RETURN_IF_ERROR(view->Renew());
  RL_ASSIGN_OR_RETURN(const uint64_t in_base, view->base().Rows(database));
  auto rows = static_cast<double>(in_base);
  std::array<uint8_t, kRowPrefixBytes> low;
  StoreRowPrefix(low.data(), database);
  for (const auto& place : view->generations().list) {
    // A sample of what the generation adds and takes away stands for all of it.
    Generation::Cursor cursor(place->generation);
    uint64_t looked = 0;
    double change = 0;
    bool more = cursor.SeekAtLeast(low);
    for (; more && looked < kEstimateSample && LoadRowPrefix(cursor.row_key()) == database;
         more = cursor.Next(), ++looked) {
      Row row;
      const Found found = cursor.Read(view->lsn(), &row);
      if (found != Found::kValue && found != Found::kRemoved) continue;
      RL_ASSIGN_OR_RETURN(const auto known, view->base().Get(cursor.row_key()));
      if (found == Found::kValue && !known) change += 1;
      if (found == Found::kRemoved && known) change -= 1;
    }
    const auto nodes = static_cast<double>(place->generation.nodes());
    rows += looked < kEstimateSample ? change : change * nodes / static_cast<double>(looked);
  }
  return static_cast<uint64_t>(std::max(rows, 0.0));
}

// --- another member's log ------------------------------------------------------------------------

ShippedAppend Store::AppendShipped(Lsn from, Bytes raw) {
  constexpr int kMostRefreshes = 1000;
  for (int tries = 1;; ++tries) {
    ShippedAppend result;
    result.stop = ShipStop::kError;
    result.status = parts_->overlay->CheckProcess();
    if (!result.status.ok()) return result;
    auto set = parts_->overlay->Current();
    result.status = set.status();
    if (!set.ok()) return result;
    ShippedSection section(*parts_->overlay, *parts_->region, std::move(set).value());
    result = log_->AppendRecords(from, raw, &section);
    if (result.stop != ShipStop::kHook) return result;
    parts_->folder->Wake();
    if (section.stop() != Stop::kRefresh || tries == kMostRefreshes) return result;
  }
}

Status Store::AwaitShipped(const ShippedAppend& stopped, uint64_t timeout_ns) {
  if (stopped.stop != ShipStop::kHook) return log_->AwaitRoom(stopped);
  StoreRegion& region = *parts_->region;
  const uint32_t sequence = region.ProgressSequence();
  parts_->folder->Wake();
  region.AwaitProgress(sequence, timeout_ns);
  return log_->Failure();
}

// --- folding ------------------------------------------------------------------------------------

void Store::SetFoldLimit(Lsn limit) {
  std::atomic<uint64_t>& now = (**parts_->region).fold.limit;
  uint64_t known = now.load(std::memory_order_acquire);
  do {
    if (known != kMaxLsn.value && known >= limit.value) return;
  } while (!now.compare_exchange_weak(known, limit.value, std::memory_order_acq_rel));
  // Whoever freezes one at this very moment wakes the folder himself; or it looks again by itself.
  const GenerationList& list = (**parts_->region).list;
  const bool frozen =
      list.oldest.load(std::memory_order_acquire) != list.newest.load(std::memory_order_acquire);
  if (frozen) parts_->folder->Wake();
}

Status Store::Fold(uint64_t timeout_ns) { return parts_->folder->FoldAll(timeout_ns); }

StoreStat Store::Stat() {
  StoreStat stat;
  if (log_ == nullptr) return stat;
  constexpr auto kNow = std::memory_order_acquire;
  stat.log = log_->Stat();
  const auto base = parts_->base->Stat();
  if (base.ok()) stat.base = base.value();
  const StoreLayout& shared = **parts_->region;
  const auto current = parts_->overlay->Current();
  if (current.ok()) {
    const GenerationSet& set = *current.value();
    stat.generations = static_cast<uint32_t>(set.list.size());
    for (const auto& place : set.list) {
      stat.overlay_bytes += place->area.mapping->size();
      stat.overlay_used_bytes += place->generation.used_bytes();
      stat.overlay_versions += place->generation.versions();
      stat.overlay_in_file = stat.overlay_in_file || place->area.in_file;
    }
    if (set.ready != nullptr) stat.overlay_bytes += set.ready->area.mapping->size();
  }
  stat.folds = shared.fold.folds.load(kNow);
  stat.folded_rows = shared.fold.rows.load(kNow);
  stat.fold_ns = shared.fold.ns.load(kNow);
  stat.fold_failures = parts_->folder->failures();
  stat.last_fold_failure = parts_->folder->last_failure();
  stat.commits = shared.commit.commits.load(kNow);
  stat.conflicts = shared.commit.conflicts.load(kNow);
  stat.reservations = shared.reservation.next.load(kNow);
  stat.held_up = shared.fold.held_up.load(kNow);
  stat.rollbacks = shared.commit.history.load(kNow) / 2;
  stat.replayed_records = parts_->replayed_records;
  stat.replay_ns = parts_->replay_ns;
  return stat;
}

}  // namespace ringleader
