#include "store/generation_internal.h"

namespace ringleader {

Status Generation::VerifyVersions(uint32_t node, uint64_t above, uint64_t up_to) const {
  uint32_t offset = NodeAt(node)->newest.load(std::memory_order_acquire);
  while (offset != 0) {
    const Version* const version = VersionAt(offset);
    if (version == nullptr) return Damaged("a version");
    const uint64_t lsn = version->lsn_and_kind >> 1;
    if (lsn <= above || lsn > up_to) return Damaged("the order of versions");
    const uint64_t room = (end_ - offset) * generation_format::kUnitBytes - sizeof(Version);
    if (version->value_bytes > room) return Damaged("a value");
    if (version->older >= offset) return Damaged("a chain of versions");
    up_to = lsn;
    offset = version->older;
  }
  return Status::Ok();
}

Status Generation::Verify(Lsn above, Lsn up_to) const {
  Bytes before;
  uint32_t node = Link(head_, 0).load(std::memory_order_acquire);
  while (node != 0) {
    if (NodeAt(node) == nullptr || RowKey(node).empty()) return Damaged("the skip list");
    const Bytes row_key = RowKey(node);
    if (!before.empty() && CompareRowKeys(before, row_key) >= 0) return Damaged("the skip list");
    RL_RETURN_IF_ERROR(VerifyVersions(node, above.value, up_to.value));
    before = row_key;
    node = Link(node, 0).load(std::memory_order_acquire);
  }
  return Status::Ok();
}

}  // namespace ringleader
