#include "store/base_tree.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>
#include <set>
#include <tuple>

#include "base/coding.h"
#include "base/mutant.h"
#include "store/base_internal.h"

namespace ringleader {

using namespace base_internal;  // NOLINT: its own part

namespace {

constexpr uint64_t kLookupsPerQuestion = 64;

// LMDB's locks belong to the process: a second object for one file would drop those of the first
// when it closes. The process id is part of it because a child of fork starts with the set of its
// parent, and without its locks.
using OpenFile = std::tuple<uint32_t, uint64_t, uint64_t>;
std::mutex g_open_mutex;
std::set<OpenFile>& OpenFiles() {
  static std::set<OpenFile>& files = *new std::set<OpenFile>();
  return files;
}

// An assertion inside LMDB: its tree does not hold together, and it must not go on.
void AssertionFailed(MDB_env*, const char* message) { CheckFailed("lmdb", 0, message); }

// Makes the file under another name, so that under its own it is always whole.
Status CreateFile(Env& env, const std::string& directory, const BaseOptions& options) {
  const std::string path = JoinPath(directory, "new.mdb");
  const std::string readers = path + "-lock";
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, path));
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, readers));
  RL_ASSIGN_OR_RETURN(MDB_env* const mdb, OpenLmdbFile(path.c_str(), true, 1));
  const BaseStamp stamp{.environment_id = options.environment_id,
                        .transaction = 1,
                        .applied = options.start,
                        .entries = 1};
  std::vector<uint8_t> key = NoteKey(NoteKind::kStamp);
  std::vector<uint8_t> value = EncodeBaseStamp(stamp);
  const Bytes plain(value);
  uint8_t trailer[kBaseTrailerBytes];
  StoreBaseTrailer(key, options.start, plain, trailer);
  value.insert(value.end(), trailer, trailer + sizeof trailer);
  MDB_val mdb_key{key.size(), key.data()};
  MDB_val mdb_value{value.size(), value.data()};
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  int code = mdb_txn_begin(mdb, nullptr, 0, &txn);
  if (code == MDB_SUCCESS) {
    code = mdb_dbi_open(txn, nullptr, 0, &dbi);
    if (code == MDB_SUCCESS) code = mdb_put(txn, dbi, &mdb_key, &mdb_value, 0);
    if (code == MDB_SUCCESS) {
      code = mdb_txn_commit(txn);
    } else {
      mdb_txn_abort(txn);
    }
  }
  mdb_env_close(mdb);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot make the base tree");
  RL_RETURN_IF_ERROR(env.files.Rename(path, JoinPath(directory, kDataName)));
  RL_RETURN_IF_ERROR(RemoveIfThere(env.files, readers));
  return env.files.SyncDirectory(directory);
}

using MetaPages = std::array<std::array<uint8_t, kBaseMetaBytes>, 2>;

Status ReadMetaPages(File& file, MetaPages* pages) {
  auto& [one, other] = *pages;
  RL_RETURN_IF_ERROR(ReadExactly(file, 0, one, "the base tree's first meta page"));
  RL_ASSIGN_OR_RETURN(const BaseMeta first, DecodeBaseMeta(one, 0));
  RL_RETURN_IF_ERROR(ReadExactly(file, first.page_bytes, other, "the second meta page"));
  RL_ASSIGN_OR_RETURN(const BaseMeta second, DecodeBaseMeta(other, 1));
  if (BaseMetasAgree(first, second)) return Status::Ok();
  return BaseDamage("its two meta pages do not go together");
}

// LMDB reads the meta pages before anything can be asked of it. Others may commit meanwhile, and
// then the pages are of different times: only what is found again is damage.
Status CheckMetaPages(Env& env, const std::string& path) {
  RL_ASSIGN_OR_RETURN(const auto file, env.files.Open(path, OpenMode::kRead));
  MetaPages before{}, now{};
  for (;;) {
    const Status status = ReadMetaPages(*file, &now);
    if (status.ok() || now == before || RL_MUTANT(kLookOnceAtBase)) return status;
    before = now;
  }
}

}  // namespace

namespace base_internal {

Status LmdbStatus(int code, std::string_view what) {
  if (code > 0) return ErrnoStatus(code, what);
  const std::string text = std::string(what) + ": " + mdb_strerror(code);
  switch (code) {
    case MDB_MAP_FULL:
      return Status(Code::kNoSpace, text);
    case MDB_READERS_FULL:
      return Status(Code::kBusy, text);
    case MDB_PANIC:
      return Status(Code::kFailed, text);
    case MDB_TXN_FULL:
      return Status(Code::kTooLarge, text);
    case MDB_BAD_VALSIZE:
      return Status(Code::kInvalidArgument, text);
    default:
      return Status(Code::kCorruption, text);
  }
}

Result<MDB_env*> OpenLmdbFile(const char* path, bool single_file, uint32_t max_readers) {
  MDB_env* mdb = nullptr;
  int code = mdb_env_create(&mdb);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot open the base tree");
  const unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | (single_file ? MDB_NOSUBDIR : 0);
  code = mdb_env_set_mapsize(mdb, kBaseMapBytes);
  if (code == MDB_SUCCESS) code = mdb_env_set_maxreaders(mdb, max_readers);
  if (code == MDB_SUCCESS) code = mdb_env_set_assert(mdb, &AssertionFailed);
  if (code == MDB_SUCCESS) code = mdb_env_open(mdb, path, flags, 0600);
  if (code == MDB_SUCCESS) return mdb;
  mdb_env_close(mdb);
  return LmdbStatus(code, "cannot open " + std::string(path));
}

}  // namespace base_internal

BaseTree::BaseTree(Env& env, std::string directory, uint64_t hash_index_bytes)
    : env_(env),
      directory_(std::move(directory)),
      process_(env.host.ProcessId()),
      hash_index_(hash_index_bytes) {}

Result<std::unique_ptr<BaseTree>> BaseTree::Open(Env& env, const std::string& directory,
                                                 const BaseOptions& options) {
  if (options.max_readers == 0) {
    return Status(Code::kInvalidArgument, "max_readers must be at least 1");
  }
  const std::string base = JoinPath(directory, "base");
  RL_RETURN_IF_ERROR(EnsureDirectory(env.files, base));
  std::unique_ptr<BaseTree> tree(new BaseTree(env, base, options.hash_index_bytes));
  RL_ASSIGN_OR_RETURN(tree->lock_, env.files.Open(JoinPath(base, kLockName), OpenMode::kCreate));
  RL_ASSIGN_OR_RETURN(tree->identity_, env.files.Info(JoinPath(base, kLockName)));
  {
    const std::lock_guard<std::mutex> guard(g_open_mutex);
    const auto& id = tree->identity_;
    tree->registered_ = OpenFiles().emplace(tree->process_, id.device, id.inode).second;
  }
  if (!tree->registered_) return Status(Code::kBusy, base + " is open in this process");
  RL_RETURN_IF_ERROR(tree->lock_->Lock(kOpeningByte, true));
  const Status alone = tree->lock_->TryLock(kAttachedByte, true);
  if (!alone.ok() && alone.code() != Code::kBusy) return alone;
  RL_RETURN_IF_ERROR(tree->OpenLocked(options, alone.ok()));
  RL_RETURN_IF_ERROR(tree->lock_->Unlock(kOpeningByte));
  return tree;
}

BaseTree::~BaseTree() {
  // A child of fork has inherited an object that is its parent's: closing it here would take locks
  // away over there.
  if (process_ != env_.host.ProcessId()) {
    static_cast<void>(lock_.release());
    return;
  }
  if (mdb_ != nullptr) {
    // Fails where the file system of the locks has gone; there is nobody to race with then.
    static_cast<void>(lock_->Lock(kOpeningByte, true));
    if (map_ != nullptr) munmap(const_cast<uint8_t*>(map_), kBaseMapBytes);
    mdb_env_close(mdb_);
  }
  if (lock_ != nullptr && registered_) {
    static_cast<void>(lock_->Unlock(kAttachedByte));
    static_cast<void>(lock_->Unlock(kOpeningByte));
  }
  const std::lock_guard<std::mutex> guard(g_open_mutex);
  if (registered_) OpenFiles().erase({process_, identity_.device, identity_.inode});
}

Status BaseTree::OpenLocked(const BaseOptions& options, bool alone) {
  const std::string path = JoinPath(directory_, kDataName);
  if (alone) {
    // What the dead have left in it means nothing any more.
    RL_RETURN_IF_ERROR(RemoveIfThere(env_.files, JoinPath(directory_, kReadersName)));
    const auto info = env_.files.Info(path);
    if (!info.ok() && info.status().code() != Code::kNotFound) return info.status();
    if (!info.ok()) RL_RETURN_IF_ERROR(CreateFile(env_, directory_, options));
  }
  RL_RETURN_IF_ERROR(lock_->Lock(kAttachedByte, false));
  RL_RETURN_IF_ERROR(CheckMetaPages(env_, path));
  RL_RETURN_IF_ERROR(OpenLmdb(options.max_readers));
  return CheckWhole(options);
}

Status BaseTree::OpenLmdb(uint32_t max_readers) {
  RL_ASSIGN_OR_RETURN(mdb_, OpenLmdbFile(directory_.c_str(), false, max_readers));
  MDB_stat stat;
  int code = mdb_env_stat(mdb_, &stat);
  if (code == MDB_SUCCESS) code = mdb_env_get_fd(mdb_, &fd_);
  MDB_txn* txn = nullptr;
  MDB_dbi dbi = 0;
  // Tells LMDB the order of the rows.
  if (code == MDB_SUCCESS) code = mdb_txn_begin(mdb_, nullptr, MDB_RDONLY, &txn);
  if (code == MDB_READERS_FULL && CheckReaders().ok()) {
    code = mdb_txn_begin(mdb_, nullptr, MDB_RDONLY, &txn);
  }
  if (code == MDB_SUCCESS) {
    code = mdb_dbi_open(txn, nullptr, 0, &dbi);
    mdb_txn_abort(txn);
  }
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot open " + directory_);
  RL_CHECK(dbi == kMainDbi);
  page_bytes_ = stat.ms_psize;
  void* const map = mmap(nullptr, kBaseMapBytes, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd_, 0);
  if (map == MAP_FAILED) return ErrnoStatus(errno, "cannot map " + directory_);
  map_ = static_cast<const uint8_t*>(map);
  // Reading ahead of a random read is what makes data larger than memory slow. Advice only.
  static_cast<void>(madvise(map, kBaseMapBytes, MADV_RANDOM));
  return Status::Ok();
}

Status BaseTree::CheckWhole(const BaseOptions& options) {
  RL_ASSIGN_OR_RETURN(const auto snapshot, OpenSnapshot());
  const BaseView& view = snapshot->view_;
  if (view.stamp.environment_id != options.environment_id) {
    return Status(Code::kCorruption, directory_ + " belongs to another environment");
  }
  // Free pages at the end of the file may never have been written.
  uint64_t missing = view.meta.last_page + 1 - view.pages.count;
  const auto see = [&](uint64_t page) {
    missing -= page >= view.pages.count ? 1 : 0;
    return true;
  };
  RL_RETURN_IF_ERROR(WalkFreePages(
      view, [](uint64_t, uint64_t) { return true; }, see));
  return missing == 0 ? Status::Ok() : BaseDamage("its file is shorter than it has to be");
}

Status BaseTree::LoadView(uint64_t number, BaseView* view) {
  const uint64_t page = number & 1;
  uint8_t bytes[kBaseMetaBytes];
  std::copy_n(map_ + page * page_bytes_, sizeof bytes, bytes);
  RL_ASSIGN_OR_RETURN(view->meta, DecodeBaseMeta(bytes, page));
  if (view->meta.transaction != number || view->meta.page_bytes != page_bytes_) {
    return BaseDamage("its meta page has changed");
  }
  const uint64_t wanted = (view->meta.last_page + 1) * page_bytes_;
  uint64_t bytes_now = file_bytes_.load(std::memory_order_acquire);
  if (bytes_now < wanted) {
    struct stat info;
    if (fstat(fd_, &info) != 0) return ErrnoStatus(errno, "cannot ask for the size of the base");
    bytes_now = static_cast<uint64_t>(info.st_size);
    file_bytes_.store(bytes_now, std::memory_order_release);
  }
  view->pages = {map_, page_bytes_, std::min(bytes_now, wanted) / page_bytes_};
  return LoadBaseStamp(view);
}

Result<std::unique_ptr<BaseTree::Snapshot>> BaseTree::BeginSnapshot() {
  MDB_txn* txn = nullptr;
  int code = mdb_txn_begin(mdb_, nullptr, MDB_RDONLY, &txn);
  if (code == MDB_READERS_FULL && CheckReaders().ok()) {
    code = mdb_txn_begin(mdb_, nullptr, MDB_RDONLY, &txn);
  }
  if (code == MDB_READERS_FULL) return Status(Code::kBusy, "too many readers of the base tree");
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot read the base tree");
  mdb_txn_reset(txn);
  return std::unique_ptr<Snapshot>(new Snapshot(*this, txn));
}

Result<std::unique_ptr<BaseTree::Snapshot>> BaseTree::OpenSnapshot() {
  RL_ASSIGN_OR_RETURN(auto snapshot, BeginSnapshot());
  RL_RETURN_IF_ERROR(snapshot->Renew());
  return snapshot;
}

Status BaseTree::CheckReaders() {
  int dead = 0;
  const int code = mdb_reader_check(mdb_, &dead);
  return code == MDB_SUCCESS ? Status::Ok() : LmdbStatus(code, "cannot check the readers");
}

// In a child of fork the place in the table of readers is its parent's.
BaseTree::Snapshot::~Snapshot() {
  if (tree_.process_ == tree_.env_.host.ProcessId()) mdb_txn_abort(txn_);
}

void BaseTree::Snapshot::Release() {
  if (held_ && tree_.process_ == tree_.env_.host.ProcessId()) mdb_txn_reset(txn_);
  held_ = false;
  index_.reset();
  asked_ = false;
}

Status BaseTree::Snapshot::Renew() {
  Release();
  for (;;) {
    const int code = mdb_txn_renew(txn_);
    if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot read the base tree");
    const uint64_t number = mdb_txn_id(txn_);
    held_ = true;
    if (number == view_.meta.transaction) return Status::Ok();
    const Status status = tree_.LoadView(number, &view_);
    if (status.ok()) return status;
    view_.meta.transaction = 0;
    Release();
    // Two commits meanwhile have written over the meta page.
    MDB_envinfo info;
    if (mdb_env_info(tree_.mdb_, &info) != MDB_SUCCESS) return status;
    if (info.me_last_txnid < number + 2) return status;
  }
}

Result<std::optional<Row>> BaseTree::Snapshot::Get(Bytes row_key, uint64_t hash) {
  RL_CHECK(held_);
  if (index_ == nullptr) {
    // Asking takes a lock.
    if (asked_ && ++lookups_ < kLookupsPerQuestion) return FindBaseRow(view_, row_key);
    index_ = tree_.hash_index_.Of(view_.meta.transaction, view_.meta.rows.entries, lookups_);
    asked_ = true;
    lookups_ = 0;
    if (index_ == nullptr) return FindBaseRow(view_, row_key);
  }
  BaseNode node;
  Row row;
  if (index_->Find(view_.pages, row_key, hash, &node) && ReadOverflow(view_.pages, &node) &&
      DecodeBaseRow(row_key, node.value, &row).ok()) [[likely]] {
    return std::optional<Row>(row);
  }
  BaseLeaf leaf;
  auto found = FindBaseRow(view_, row_key, &leaf);
  if (found.ok() && leaf.page.nodes() > 0) index_->Learn(view_.pages, leaf, hash);
  return found;
}

Result<std::vector<DatabaseId>> BaseTree::Snapshot::Dropped() {
  RL_CHECK(held_);
  return FindDropped(view_);
}

Result<uint64_t> BaseTree::Snapshot::Rows(DatabaseId database) {
  RL_CHECK(held_);
  return FindBaseCount(view_, database);
}

}  // namespace ringleader
