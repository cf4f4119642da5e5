#include <algorithm>

#include "base/mutant.h"
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

// Where the last node or version ends that can be reached.
Status Generation::FindLinkedEnd(uint32_t* end) const {
  uint32_t steps = MostSteps(end_);
  *end = head_ + static_cast<uint32_t>(sizeof(Node) / generation_format::kUnitBytes);
  const auto reach = [end](uint32_t offset, uint64_t bytes) {
    *end = std::max(*end, static_cast<uint32_t>(offset + bytes / generation_format::kUnitBytes));
  };
  uint32_t node = Link(head_, 0).load(std::memory_order_acquire);
  while (node != 0) {
    if (NodeAt(node) == nullptr || RowKey(node).empty() || --steps == 0) {
      return Damaged("the skip list");
    }
    reach(node, generation_format::NodeBytes(RowKey(node).size()));
    // The newest version of a node lies behind its older ones.
    const uint32_t newest = NodeAt(node)->newest.load(std::memory_order_acquire);
    const Version* const version = VersionAt(newest);
    if (version == nullptr) return Damaged("a version");
    const uint64_t bytes = generation_format::VersionBytes(version->value_bytes);
    if (bytes > (end_ - newest) * generation_format::kUnitBytes) return Damaged("a value");
    reach(newest, bytes);
    node = Link(node, 0).load(std::memory_order_acquire);
  }
  return Status::Ok();
}

Status Generation::Reclaim() {
  if (RL_MUTANT(kSkipReclaim)) return Status::Ok();
  uint32_t linked_end = 0;
  RL_RETURN_IF_ERROR(FindLinkedEnd(&linked_end));
  const uint32_t used = FirstFree();
  if (used < linked_end) return Damaged("a version behind the first free byte");
  // Nodes are made in zeroed memory; whoever dies here has given nothing back yet.
  std::memset(memory_ + linked_end * generation_format::kUnitBytes, 0,
              (used - linked_end) * generation_format::kUnitBytes);
  header().used.store(linked_end, std::memory_order_release);
  return Status::Ok();
}

}  // namespace ringleader
