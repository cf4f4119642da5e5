#include "store/base_rows.h"

#include <cstring>

#include "base/coding.h"
#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr size_t kStampBytes = 44;

uint32_t KeyCrc(Bytes row_key, const uint8_t* version) {
  return Crc32c(Bytes(version, 8), Crc32c(row_key));
}

// The notes' own values.
Result<std::optional<Bytes>> FindNote(const BaseView& view, NoteKind kind, DatabaseId database) {
  RL_ASSIGN_OR_RETURN(const auto row, FindBaseRow(view, NoteKey(kind, database)));
  if (!row) return std::optional<Bytes>();
  return std::optional<Bytes>(row->value);
}

}  // namespace

Status BaseDamage(std::string_view what) {
  return Status(Code::kCorruption, "the base tree is damaged: " + std::string(what));
}

void StoreBaseTrailer(Bytes row_key, Lsn version, Bytes value, uint8_t* trailer) {
  StoreLe(trailer, version.value);
  const uint32_t crc = KeyCrc(row_key, trailer);
  StoreLe(trailer + 8, MaskCrc(crc));
  StoreLe(trailer + 12, MaskCrc(Crc32c(value, crc)));
}

Status DecodeBaseRow(Bytes row_key, Bytes stored, Row* row) {
  if (stored.size() < kBaseTrailerBytes) return BaseDamage("a row is too short");
  const Bytes value = stored.first(stored.size() - kBaseTrailerBytes);
  const uint8_t* trailer = value.data() + value.size();
  const uint32_t crc = Crc32c(value, KeyCrc(row_key, trailer));
  if (MaskCrc(crc) != LoadLe<uint32_t>(trailer + 12) && !RL_MUTANT(kSkipRowChecksum)) {
    return BaseDamage("the checksum of a row does not fit");
  }
  row->version = Lsn(LoadLe<uint64_t>(trailer));
  row->value = value;
  return Status::Ok();
}

bool CheckBaseKey(Bytes row_key, Bytes stored) {
  if (stored.size() < kBaseTrailerBytes) return false;
  const uint8_t* trailer = stored.data() + stored.size() - kBaseTrailerBytes;
  return MaskCrc(KeyCrc(row_key, trailer)) == LoadLe<uint32_t>(trailer + 8);
}

std::vector<uint8_t> NoteKey(NoteKind kind, DatabaseId database) {
  std::vector<uint8_t> key(kind == NoteKind::kStamp ? 5 : 9);
  StoreRowPrefix(key.data(), kBaseNotesId);
  key[kRowPrefixBytes] = static_cast<uint8_t>(kind);
  if (kind != NoteKind::kStamp) StoreRowPrefix(key.data() + kRowPrefixBytes + 1, database);
  return key;
}

bool ParseNoteKey(Bytes row_key, NoteKind* kind, DatabaseId* database) {
  *database = row_key.size() == 9 ? LoadRowPrefix(row_key.subspan(kRowPrefixBytes + 1)) : 0;
  *kind = row_key.size() < 5 ? NoteKind{} : static_cast<NoteKind>(row_key[kRowPrefixBytes]);
  if (*kind == NoteKind::kStamp) return row_key.size() == 5;
  if (*kind != NoteKind::kRows && *kind != NoteKind::kDropped) return false;
  return row_key.size() == 9 && *database != kBaseNotesId;
}

std::vector<uint8_t> EncodeBaseStamp(const BaseStamp& stamp) {
  std::vector<uint8_t> value;
  Encoder out(&value);
  out.Fixed(stamp.format);
  out.Raw(stamp.environment_id);
  out.Fixed(stamp.transaction);
  out.Fixed(stamp.applied.value);
  out.Fixed(stamp.entries);
  return value;
}

Result<BaseStamp> DecodeBaseStamp(Bytes value) {
  BaseStamp stamp;
  Decoder in(value);
  Bytes id;
  if (!in.Fixed(&stamp.format)) return BaseDamage("its stamp is too short");
  if (stamp.format > kBaseFormatVersion) {
    return Status(Code::kNewerFormat, "the base tree has format " + std::to_string(stamp.format) +
                                          ", which a later version of this library wrote");
  }
  in.Raw(stamp.environment_id.size(), &id);
  in.Fixed(&stamp.transaction);
  in.Fixed(&stamp.applied.value);
  in.Fixed(&stamp.entries);
  if (!in.Finished() || stamp.format != kBaseFormatVersion || stamp.applied > kMaxLsn) {
    return BaseDamage("its stamp makes no sense");
  }
  std::memcpy(stamp.environment_id.data(), id.data(), id.size());
  static_assert(kStampBytes == 4 + sizeof(Id128) + 3 * 8);
  return stamp;
}

Status LoadBaseStamp(BaseView* view) {
  RL_ASSIGN_OR_RETURN(const auto value, FindNote(*view, NoteKind::kStamp, 0));
  if (!value) return BaseDamage("it has no stamp");
  RL_ASSIGN_OR_RETURN(view->stamp, DecodeBaseStamp(*value));
  if (view->stamp.transaction != view->meta.transaction ||
      view->stamp.entries != view->meta.rows.entries) {
    return BaseDamage("its meta page and its stamp are of different transactions");
  }
  return Status::Ok();
}

Result<std::optional<Row>> FindBaseRow(const BaseView& view, Bytes row_key, BaseLeaf* leaf) {
  Row row;
  const std::optional<Bytes> stored = FindQuickly(view.pages, view.meta.rows, row_key, leaf);
  if (stored) {
    RL_RETURN_IF_ERROR(DecodeBaseRow(row_key, *stored, &row));
    return std::optional<Row>(row);
  }
  BaseWalk walk(view.pages, view.meta.rows, BaseKeys::kRows);
  const Step step = SeekBaseRow(&walk, row_key);
  if (step == Step::kDamaged) return BaseDamage("a page does not hold together");
  if (step == Step::kEnd || CompareRowKeys(walk.node().key, row_key) != 0) {
    return std::optional<Row>();
  }
  RL_RETURN_IF_ERROR(DecodeBaseRow(row_key, walk.node().value, &row));
  return std::optional<Row>(row);
}

Result<uint64_t> FindBaseCount(const BaseView& view, DatabaseId database) {
  RL_ASSIGN_OR_RETURN(const auto value, FindNote(view, NoteKind::kRows, database));
  if (!value) return uint64_t{0};
  if (value->size() != 8) return BaseDamage("a count of rows makes no sense");
  return LoadLe<uint64_t>(value->data());
}

Result<std::vector<DatabaseId>> FindDropped(const BaseView& view) {
  std::vector<DatabaseId> dropped;
  BaseWalk walk(view.pages, view.meta.rows, BaseKeys::kRows);
  Step step = SeekBaseRow(&walk, NoteKey(NoteKind::kDropped, 0));
  for (; step == Step::kAt; step = walk.Next()) {
    NoteKind kind;
    DatabaseId database = 0;
    Row row;
    RL_RETURN_IF_ERROR(DecodeBaseRow(walk.node().key, walk.node().value, &row));
    if (!ParseNoteKey(walk.node().key, &kind, &database) || kind != NoteKind::kDropped) {
      return BaseDamage("there is an unknown note");
    }
    dropped.push_back(database);
  }
  if (step == Step::kDamaged) return BaseDamage("a page does not hold together");
  return dropped;
}

Step SeekBaseRow(BaseWalk* walk, Bytes row_key) {
  const Step step = walk->SeekAtLeast(row_key);
  if (step == Step::kDamaged) return step;
  const BaseNode& found = walk->node();
  if (step == Step::kAt && !CheckBaseKey(found.key, found.value)) return Step::kDamaged;
  BaseWalk before = *walk;
  const Step back = step == Step::kAt ? before.Prev() : before.Last();
  if (back == Step::kDamaged) return back;
  if (back == Step::kAt) {
    if (!CheckBaseKey(before.node().key, before.node().value)) return Step::kDamaged;
    if (CompareRowKeys(before.node().key, row_key) >= 0) return Step::kDamaged;
  }
  return step;
}

Status WalkFreePages(const BaseView& view, const BaseWalk::Visit& visit,
                     const std::function<bool(uint64_t page)>& see) {
  const Status damage = BaseDamage("the lists of free pages do not hold together");
  BaseWalk walk(view.pages, view.meta.free, BaseKeys::kTransactions);
  walk.set_visit(&visit);
  Step step = walk.First();
  uint64_t lists = 0;
  for (; step == Step::kAt; step = walk.Next()) {
    lists += 1;
    const Bytes list = walk.node().value;
    const uint64_t freed_by = LoadLe<uint64_t>(walk.node().key.data());
    if (freed_by == 0 || freed_by > view.meta.transaction || list.size() < 8) return damage;
    const uint64_t count = LoadLe<uint64_t>(list.data());
    // LMDB rounds its lists up: there may be room behind the last page.
    if (count > list.size() / 8 - 1) return damage;
    uint64_t above = view.meta.last_page + 1;  // descending
    for (uint64_t i = 1; i <= count; ++i) {
      const uint64_t page = LoadLe<uint64_t>(list.data() + 8 * i);
      if (page < kFirstBasePage || page >= above || !see(page)) return damage;
      above = page;
    }
  }
  return step == Step::kEnd && lists == view.meta.free.entries ? Status::Ok() : damage;
}

}  // namespace ringleader
