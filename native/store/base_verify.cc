// Reads everything of the base tree: to check it, to copy it, to count it.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <vector>

#include "base/coding.h"
#include "store/base_internal.h"
#include "store/base_tree.h"

namespace ringleader {

using namespace base_internal;  // NOLINT: its own part

namespace {

constexpr size_t kCopyBytes = size_t{1} << 20;

// Counts what a walk over all rows meets, and holds it against the notes.
class Census {
 public:
  explicit Census(const BaseView& view) : view_(view) {}

  Status Add(const BaseNode& node) {
    Row row;
    RL_RETURN_IF_ERROR(DecodeBaseRow(node.key, node.value, &row));
    if (!CheckBaseKey(node.key, node.value))
      return BaseDamage("the checksum of a key does not fit");
    if (node.key.size() < kRowPrefixBytes) return BaseDamage("a row key is too short");
    entries_ += 1;
    overflow_pages_ += node.overflow_pages;
    const DatabaseId database = LoadRowPrefix(node.key);
    if (database == kBaseNotesId) return AddNote(node.key, row.value);
    if (node.key.size() == kRowPrefixBytes) return BaseDamage("a row key is too short");
    if (row.version > kMaxLsn) return BaseDamage("a row has an impossible version");
    rows_ += 1;
    counted_[database] += 1;
    return Status::Ok();
  }

  Status Compare(const BaseWalk& walk) const {
    const BaseRoot& root = view_.meta.rows;
    if (counted_ != noted_) return BaseDamage("the counts of rows do not fit");
    if (entries_ != root.entries || walk.branch_pages() != root.branch_pages ||
        walk.leaf_pages() != root.leaf_pages || overflow_pages_ != root.overflow_pages) {
      return BaseDamage("the counts of pages do not fit");
    }
    return Status::Ok();
  }

  uint64_t rows() const { return rows_; }

 private:
  Status AddNote(Bytes key, Bytes value) {
    NoteKind kind;
    DatabaseId database = 0;
    if (!ParseNoteKey(key, &kind, &database)) return BaseDamage("there is an unknown note");
    if (kind != NoteKind::kRows) return Status::Ok();
    if (value.size() != 8) return BaseDamage("a count of rows makes no sense");
    noted_[database] = LoadLe<uint64_t>(value.data());
    return Status::Ok();
  }

  const BaseView& view_;
  uint64_t rows_ = 0, entries_ = 0, overflow_pages_ = 0;
  std::map<DatabaseId, uint64_t> counted_, noted_;
};

// Which pages of the file have been met; none may be met twice.
class PageSet {
 public:
  explicit PageSet(uint64_t last_page) : met_(last_page + 1) {}

  bool Add(uint64_t first, uint64_t count) {
    for (uint64_t page = first; page < first + count; ++page) {
      if (page >= met_.size() || met_[page]) return false;
      met_[page] = true;
    }
    total_ += count;
    return true;
  }
  // All but the meta pages.
  bool complete() const { return total_ + kFirstBasePage == met_.size(); }

 private:
  std::vector<bool> met_;
  uint64_t total_ = 0;
};

}  // namespace

Result<uint64_t> BaseTree::Verify() {
  RL_ASSIGN_OR_RETURN(const auto snapshot, OpenSnapshot());
  const BaseView& view = snapshot->view_;
  PageSet pages(view.meta.last_page);
  const BaseWalk::Visit visit = [&](uint64_t first, uint64_t count) {
    return pages.Add(first, count);
  };
  Census census(view);
  BaseWalk walk(view.pages, view.meta.rows, BaseKeys::kRows);
  walk.set_visit(&visit);
  Step step = walk.First();
  for (; step == Step::kAt; step = walk.Next()) RL_RETURN_IF_ERROR(census.Add(walk.node()));
  if (step == Step::kDamaged) return BaseDamage("a page does not hold together");
  RL_RETURN_IF_ERROR(census.Compare(walk));
  const auto see = [&](uint64_t page) { return pages.Add(page, 1); };
  RL_RETURN_IF_ERROR(WalkFreePages(view, visit, see));
  if (!pages.complete()) return BaseDamage("a page is neither in use nor free");
  return census.rows();
}

Result<BaseStat> BaseTree::Stat() {
  RL_ASSIGN_OR_RETURN(const auto snapshot, OpenSnapshot());
  const BaseView& view = snapshot->view_;
  BaseStat stat;
  uint64_t free_pages = 0;
  const auto see = [&](uint64_t) {
    free_pages += 1;
    return true;
  };
  RL_RETURN_IF_ERROR(WalkFreePages(
      view, [](uint64_t, uint64_t) { return true; }, see));
  BaseWalk walk(view.pages, view.meta.rows, BaseKeys::kRows);
  Step step = SeekBaseRow(&walk, NoteKey(NoteKind::kRows, 0));
  for (; step == Step::kAt; step = walk.Next()) {
    const BaseNode& note = walk.node();
    if (note.key[kRowPrefixBytes] != static_cast<uint8_t>(NoteKind::kRows)) break;
    Row row;
    RL_RETURN_IF_ERROR(DecodeBaseRow(note.key, note.value, &row));
    if (row.value.size() == 8) stat.rows += LoadLe<uint64_t>(row.value.data());
  }
  if (step == Step::kDamaged) return BaseDamage("a page does not hold together");
  stat.applied = view.stamp.applied;
  stat.file_bytes = file_bytes_.load(std::memory_order_acquire);
  stat.used_bytes = (view.meta.last_page + 1 - free_pages) * page_bytes_;
  stat.depth = view.meta.rows.depth;
  MDB_envinfo info;
  const int code = mdb_env_info(mdb_, &info);
  if (code != MDB_SUCCESS) return LmdbStatus(code, "cannot look at the base tree");
  stat.max_readers = info.me_maxreaders;
  stat.hash_index_bytes = hash_index_.bytes();
  // A line per place that is taken; "-" stands for a transaction where none is open in it. A line
  // of headings comes first, or a remark that there are none.
  const auto count = [](const char* line, void* into) {
    const size_t length = std::strlen(line);
    const bool open = length >= 2 && line[length - 2] >= '0' && line[length - 2] <= '9';
    *static_cast<uint32_t*>(into) += open ? 1 : 0;
    return 0;
  };
  if (mdb_reader_list(mdb_, count, &stat.readers) < 0) return BaseDamage("no table of readers");
  stat.readers -= stat.readers > 0 ? 1 : 0;  // the one that this call reads through
  return stat;
}

// Pages that are free in the snapshot may change while they are copied: nothing refers to them.
Result<Lsn> BaseTree::Copy(const std::function<Status(Bytes piece)>& sink) {
  RL_ASSIGN_OR_RETURN(const auto snapshot, OpenSnapshot());
  const BaseView& view = snapshot->view_;
  std::vector<uint8_t> buffer(kCopyBytes);
  const uint64_t end = view.pages.count * page_bytes_;
  for (uint64_t at = 0; at < end;) {
    const size_t wanted = static_cast<size_t>(std::min<uint64_t>(buffer.size(), end - at));
    const ssize_t got = pread(fd_, buffer.data(), wanted, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoStatus(errno, "cannot read the base tree");
    if (got == 0) return BaseDamage("its file has become shorter");
    if (at == 0) {
      // The meta pages as the snapshot has them: the newest, and one before it that leads to the
      // same tree.
      RL_CHECK(static_cast<size_t>(got) >= kFirstBasePage * page_bytes_);
      EncodeBaseMetas(view.meta, MutableBytes(buffer).first(kFirstBasePage * page_bytes_));
    }
    RL_RETURN_IF_ERROR(sink(Bytes(buffer).first(static_cast<size_t>(got))));
    at += static_cast<uint64_t>(got);
  }
  return view.stamp.applied;
}

}  // namespace ringleader
