#include "env/sim/sim_crash.h"

#include <algorithm>
#include <optional>

#include "base/check.h"

namespace ringleader {
namespace {

// Calls visit(page, mask of sectors) for every page that [offset, offset + size) touches.
template <typename Visit>
void ForEachPage(uint64_t offset, uint64_t size, Visit visit) {
  if (size == 0) return;
  const uint64_t first = offset / kSimSectorBytes;
  const uint64_t end = (offset + size - 1) / kSimSectorBytes + 1;
  for (uint64_t sector = first; sector < end;) {
    const uint64_t page = sector / kSimSectorsPerPage;
    const uint64_t page_end = std::min(end, (page + 1) * kSimSectorsPerPage);
    uint8_t mask = 0;
    for (; sector < page_end; ++sector) {
      mask = static_cast<uint8_t>(mask | 1 << sector % kSimSectorsPerPage);
    }
    visit(page, mask);
  }
}

bool SameName(uint64_t directory, const std::string& name, const SimOp& other) {
  return (other.directory == directory && other.name == name) ||
         (other.to_directory == directory && other.to_name == name);
}

// Whether the later of two entry operations cannot survive without the earlier one.
bool Conflict(const SimOp& a, const SimOp& b) {
  return a.inode == b.inode || SameName(a.directory, a.name, b) ||
         (a.kind == SimOpKind::kRename && SameName(a.to_directory, a.to_name, b));
}

}  // namespace

// The policy's answers, drawn from the seed where it leaves them open.
class SimDurability::Choice {
 public:
  Choice(const CrashPolicy& policy, uint64_t seed)
      : rng_(seed), probability_(policy.probability), torn_(policy.torn_writes) {
    if (policy.keep == CrashPolicy::Keep::kNothing) probability_ = 0;
    if (policy.keep == CrashPolicy::Keep::kEverything) probability_ = 1;
    if (probability_ < 0) {
      const uint64_t kind = rng_.Below(10);
      probability_ = kind == 0 ? 0 : kind == 1 ? 1 : rng_.Unit();
    }
  }

  bool nothing() const { return probability_ <= 0; }
  bool everything() const { return probability_ >= 1; }
  bool Keep() { return everything() || (!nothing() && rng_.Chance(probability_)); }
  size_t Prefix(size_t count) {
    if (nothing()) return 0;
    return everything() ? count : static_cast<size_t>(rng_.Below(count + 1));
  }
  // Half of the writes are torn: with all of them torn, long ones would never survive whole.
  bool Tear() { return torn_ && !nothing() && !everything() && rng_.Chance(0.5); }
  uint8_t KeepOf(uint8_t sectors) {
    uint8_t kept = 0;
    for (uint8_t bit = 1; bit != 0; bit = static_cast<uint8_t>(bit << 1)) {
      if ((sectors & bit) != 0 && Keep()) kept = static_cast<uint8_t>(kept | bit);
    }
    return kept;
  }

 private:
  SimRng rng_;
  double probability_;
  bool torn_;
};

void SimDurability::Apply(const SimOpPointer& op) {
  switch (op->kind) {
    case SimOpKind::kCreate:
    case SimOpKind::kMakeDirectory:
      durable_.nodes[op->inode].is_directory = op->kind == SimOpKind::kMakeDirectory;
      durable_.next_inode = std::max(durable_.next_inode, op->inode + 1);
      entries_.push_back({op, true, false});
      return;
    case SimOpKind::kRename:
      entries_.push_back({op, true, op->to_directory != op->directory});
      return;
    case SimOpKind::kRemove:
      entries_.push_back({op, true, false});
      return;
    case SimOpKind::kSyncDirectory:
      return SyncDirectory(op->directory);
    case SimOpKind::kWrite:
    case SimOpKind::kTruncate:
    case SimOpKind::kAllocate:
      return ApplyFileOp(op);
    case SimOpKind::kSyncData:
      return SyncFile(op->inode);
    case SimOpKind::kSyncFailed:
    case SimOpKind::kSyncDirectoryFailed:
      return GiveUp(*op);
    case SimOpKind::kMark:
      return;
  }
}

void SimDurability::GiveUp(const SimOp& failed) {
  if (failed.kind == SimOpKind::kSyncDirectoryFailed) {
    for (PendingEntry& entry : entries_) {
      const SimOp& op = *entry.op;
      if (op.directory == failed.directory || op.to_directory == failed.directory) {
        entry.uncertain = true;
      }
    }
    return;
  }
  const auto found = files_.find(failed.inode);
  if (found == files_.end()) return;
  for (PendingOp& pending : found->second.ops) {
    if (pending.data == Data::kDirty) pending.data = Data::kUncertain;
  }
}

void SimDurability::ApplyFileOp(const SimOpPointer& op) {
  const SimNode* node = durable_.Find(op->inode);
  if (!node) return;  // removed for certain, written through a file that is still open
  const auto [found, fresh] = files_.try_emplace(op->inode);
  PendingFile& file = found->second;
  if (fresh) file.size = node->size;
  const uint64_t size_after = SizeAfter(*op, file.size);
  const bool is_write = op->kind == SimOpKind::kWrite;
  Data data = is_write ? Data::kDirty : Data::kNone;
  if (op->never_reaches_disk) data = Data::kNever;
  file.ops.push_back({op, data, !is_write || size_after != file.size, size_after});
  file.size = size_after;
}

void SimDurability::SyncFile(uint64_t inode) {
  const auto found = files_.find(inode);
  if (found == files_.end()) return;
  PendingFile& file = found->second;
  SimNode* node = durable_.Find(inode);
  RL_CHECK(node != nullptr);
  const bool loss = std::any_of(file.ops.begin(), file.ops.end(), [](const PendingOp& pending) {
    return pending.data == Data::kUncertain || pending.data == Data::kNever;
  });
  if (loss) {
    SyncFileAfterLoss(node, &file);
  } else {
    for (const PendingOp& pending : file.ops) ApplyContentOp(*pending.op, &node->content);
    file.ops.clear();
  }
  node->size = file.size;
  if (file.ops.empty()) files_.erase(found);
}

// Rule 7: only sectors with a dirty write become durable. The others stay in question, each with
// the bytes that the page cache has now; which of several lost versions a cut brings back does not
// matter after a sync.
void SimDurability::SyncFileAfterLoss(SimNode* node, PendingFile* file) {
  SimContent cache = node->content;
  std::map<uint64_t, Data> left;  // by sector
  for (const PendingOp& pending : file->ops) {
    const SimOp& op = *pending.op;
    ApplyContentOp(op, &cache);
    if (op.kind != SimOpKind::kWrite) {
      ApplyContentOp(op, &node->content);
      continue;
    }
    ForEachPage(op.offset, op.size, [&](uint64_t page, uint8_t mask) {
      if (pending.data == Data::kDirty) node->content.CopySectors(cache, page, mask);
      for (uint64_t bit = 0; bit < kSimSectorsPerPage; ++bit) {
        if ((mask >> bit & 1) == 0) continue;
        const uint64_t sector = page * kSimSectorsPerPage + bit;
        if (pending.data == Data::kDirty) {
          left.erase(sector);
        } else {
          left[sector] = pending.data;
        }
      }
    });
  }
  file->ops.clear();
  for (const auto& [sector, data] : left) {
    auto op = std::make_shared<SimOp>();
    op->kind = SimOpKind::kWrite;
    op->offset = sector * kSimSectorBytes;
    if (op->offset >= file->size) continue;
    op->size = std::min<uint64_t>(kSimSectorBytes, file->size - op->offset);
    op->data.resize(op->size);
    cache.Read(op->offset, op->data);
    file->ops.push_back({std::move(op), data, false, file->size});
  }
}

void SimDurability::SyncDirectory(uint64_t directory) {
  std::vector<bool> settled(entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    PendingEntry& entry = entries_[i];
    if (entry.op->directory == directory) entry.needs_directory = false;
    if (entry.op->to_directory == directory) entry.needs_to_directory = false;
    settled[i] = !entry.needs_directory && !entry.needs_to_directory && !entry.uncertain;
  }
  for (size_t later = entries_.size(); later-- > 0;) {
    if (!settled[later]) continue;
    for (size_t i = 0; i < later; ++i) {
      if (!settled[i] && Conflict(*entries_[i].op, *entries_[later].op)) settled[i] = true;
    }
  }
  std::vector<PendingEntry> rest;
  std::vector<uint64_t> lost_a_name;
  for (size_t i = 0; i < settled.size(); ++i) {
    if (!settled[i]) {
      rest.push_back(std::move(entries_[i]));
      continue;
    }
    const SimOp& op = *entries_[i].op;
    ApplyEntryOp(op, &durable_);
    if (op.kind == SimOpKind::kRemove) lost_a_name.push_back(op.inode);
    if (op.replaced != 0) lost_a_name.push_back(op.replaced);
  }
  entries_ = std::move(rest);
  for (uint64_t inode : lost_a_name) DropIfUnused(inode);
}

// There are no hard links: an inode that has lost its name for certain can only come back through
// an operation that is still pending.
void SimDurability::DropIfUnused(uint64_t inode) {
  for (const PendingEntry& entry : entries_) {
    if (entry.op->inode == inode || entry.op->replaced == inode) return;
  }
  durable_.nodes.erase(inode);
  files_.erase(inode);
}

SimImage SimDurability::Crash(const CrashPolicy& policy, uint64_t seed) const {
  Choice choice(policy, seed);
  SimImage image = durable_;
  for (const auto& [inode, file] : files_) {
    SimNode* node = image.Find(inode);
    RL_CHECK(node != nullptr);
    CrashFile(file, &choice, node);
  }
  CrashEntries(policy.ordered_entries, &choice, &image);
  image.DropUnreachable();
  return image;
}

void SimDurability::CrashFile(const PendingFile& file, Choice* choice, SimNode* node) {
  if (choice->nothing()) return;
  const auto size_changes = static_cast<size_t>(
      std::count_if(file.ops.begin(), file.ops.end(),
                    [](const PendingOp& pending) { return pending.changes_size; }));
  size_t sizes_left = choice->Prefix(size_changes);
  SimContent cache = node->content;
  for (const PendingOp& pending : file.ops) {
    const SimOp& op = *pending.op;
    ApplyContentOp(op, &cache);
    if (pending.changes_size && sizes_left > 0) {
      --sizes_left;
      node->size = pending.size_after;
      if (op.kind != SimOpKind::kWrite) ApplyContentOp(op, &node->content);
    }
    if (op.kind != SimOpKind::kWrite || pending.data == Data::kNever) continue;
    const bool tear = choice->Tear();
    if (!tear && !choice->Keep()) continue;
    ForEachPage(op.offset, op.size, [&](uint64_t page, uint8_t mask) {
      node->content.CopySectors(cache, page, tear ? choice->KeepOf(mask) : mask);
    });
  }
  node->content.Cut(node->size);
}

void SimDurability::CrashEntries(bool ordered, Choice* choice, SimImage* image) const {
  const size_t prefix = ordered ? choice->Prefix(entries_.size()) : entries_.size();
  std::vector<const SimOp*> lost;
  for (size_t i = 0; i < prefix; ++i) {
    const SimOp& op = *entries_[i].op;
    bool keep = ordered || choice->Keep();
    for (const SimOp* earlier : lost) keep = keep && !Conflict(*earlier, op);
    if (keep) {
      ApplyEntryOp(op, image);
    } else {
      lost.push_back(&op);
    }
  }
}

SimContent* SimDurability::DurableContent(uint64_t inode) {
  SimNode* node = durable_.Find(inode);
  return node ? &node->content : nullptr;
}

}  // namespace ringleader
