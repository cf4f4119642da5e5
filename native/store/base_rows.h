// What the rows of the base tree look like, and how they are found.
//
//   row key -> value | version u64 | masked CRC-32C of row key and version u32
//                    | masked CRC-32C of row key, version and value u32
//
// A row that is found proves itself through its second checksum. That one is missing is proved by
// its neighbours: pages checked whole on the way (base_walk.h), and the rows before and behind the
// gap with a first checksum that fits, so that no damaged key has led the search astray. The first
// checksum is for that: it spares reading a neighbour's value of a gigabyte.
//
// Notes are rows of the database 0xffffffff, with the same checksums:
//   1                  the stamp: format u32 | environment id | transaction u64 | applied LSN u64 |
//                      rows and notes in the tree u64
//   2 | database u32   rows of that database u64; none where it is 0
//   3 | database u32   nothing: the rows of that database are being removed
// Every transaction writes the stamp. A root or transaction number in the meta page that has been
// damaged leads to no stamp or to one of another transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"
#include "log/log_format.h"
#include "store/base_page.h"
#include "store/base_walk.h"
#include "store/row.h"

namespace ringleader {

inline constexpr uint32_t kBaseFormatVersion = 1;
inline constexpr size_t kBaseTrailerBytes = 16;

void StoreBaseTrailer(Bytes row_key, Lsn version, Bytes value, uint8_t* trailer);
// kCorruption where the checksum does not fit.
Status DecodeBaseRow(Bytes row_key, Bytes stored, Row* row);
// Whether key and version are those that were written, the value aside.
bool CheckBaseKey(Bytes row_key, Bytes stored);

enum class NoteKind : uint8_t { kStamp = 1, kRows = 2, kDropped = 3 };

std::vector<uint8_t> NoteKey(NoteKind kind, DatabaseId database = 0);
// False where the key, which has the notes' prefix, is none of the above.
bool ParseNoteKey(Bytes row_key, NoteKind* kind, DatabaseId* database);

struct BaseStamp {
  uint32_t format = kBaseFormatVersion;
  Id128 environment_id{};
  uint64_t transaction = 0;
  Lsn applied;
  uint64_t entries = 0;
};
std::vector<uint8_t> EncodeBaseStamp(const BaseStamp& stamp);
// kNewerFormat or kCorruption.
Result<BaseStamp> DecodeBaseStamp(Bytes value);

// One state of the base, as a snapshot or a batch sees it.
struct BaseView {
  BasePages pages;
  BaseMeta meta;
  BaseStamp stamp;
};

// Fills in the stamp and checks that the meta page belongs to it.
Status LoadBaseStamp(BaseView* view);
// Fills in `leaf` where one is given and the row was found on the shortest way, which is nearly
// always; it has no nodes otherwise.
Result<std::optional<Row>> FindBaseRow(const BaseView& view, Bytes row_key,
                                       BaseLeaf* leaf = nullptr);
// The value of a rows note, 0 where there is none.
Result<uint64_t> FindBaseCount(const BaseView& view, DatabaseId database);
// The databases that have a dropped note, ascending.
Result<std::vector<DatabaseId>> FindDropped(const BaseView& view);
// Stands on the first row at or above the key, having proved that nothing was passed over.
Step SeekBaseRow(BaseWalk* walk, Bytes row_key);
// Checks the lists of free pages: every page at most once, all inside the file as its meta page
// has it. `see` gets each of them.
Status WalkFreePages(const BaseView& view, const BaseWalk::Visit& visit,
                     const std::function<bool(uint64_t page)>& see);

Status BaseDamage(std::string_view what);

}  // namespace ringleader
