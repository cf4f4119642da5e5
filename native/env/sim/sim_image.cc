#include "env/sim/sim_image.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace ringleader {

SimNode* SimImage::Find(uint64_t inode) {
  const auto found = nodes.find(inode);
  return found == nodes.end() ? nullptr : &found->second;
}

const SimNode* SimImage::Find(uint64_t inode) const {
  const auto found = nodes.find(inode);
  return found == nodes.end() ? nullptr : &found->second;
}

void SimImage::DropUnreachable() {
  std::set<uint64_t> reached{kSimRootInode};
  std::vector<uint64_t> todo{kSimRootInode};
  while (!todo.empty()) {
    const SimNode* node = Find(todo.back());
    RL_CHECK(node != nullptr);
    todo.pop_back();
    for (const auto& [name, inode] : node->entries) {
      if (reached.insert(inode).second) todo.push_back(inode);
    }
  }
  std::erase_if(nodes, [&](const auto& node) { return !reached.contains(node.first); });
}

uint64_t SimImage::UsedPages() const {
  uint64_t pages = 0;
  for (const auto& [inode, node] : nodes) pages += node.content.used_pages();
  return pages;
}

std::string SimOp::Describe() const {
  static constexpr const char* kNames[] = {
      "create",   "mkdir",    "rename", "remove",      "sync directory",        "write",
      "truncate", "allocate", "sync",   "failed sync", "failed sync directory", "mark"};
  std::string text = std::to_string(sequence) + " " + kNames[static_cast<size_t>(kind)] + " ";
  switch (kind) {
    case SimOpKind::kRename:
      return text + path + " to " + to_name;
    case SimOpKind::kWrite:
    case SimOpKind::kAllocate:
      return text + path + " [" + std::to_string(offset) + ", " + std::to_string(offset + size) +
             ")";
    case SimOpKind::kTruncate:
      return text + path + " to " + std::to_string(offset);
    case SimOpKind::kMark:
      return text + std::to_string(mark_kind) + " = " + std::to_string(mark_value);
    default:
      return text + path;
  }
}

void ApplyEntryOp(const SimOp& op, SimImage* image) {
  RL_CHECK(op.IsEntryOp());
  // A directory can be missing: its own creation did not survive, and nothing in it did.
  SimNode* directory = image->Find(op.directory);
  if (op.kind == SimOpKind::kCreate || op.kind == SimOpKind::kMakeDirectory) {
    if (directory) directory->entries[op.name] = op.inode;
    return;
  }
  if (directory) directory->entries.erase(op.name);
  if (op.kind == SimOpKind::kRename) {
    SimNode* target = image->Find(op.to_directory);
    if (target) target->entries[op.to_name] = op.inode;
  }
}

void ApplyContentOp(const SimOp& op, SimContent* content) {
  switch (op.kind) {
    case SimOpKind::kWrite:
      if (op.data.empty()) {
        static const std::vector<uint8_t> zeros(size_t{1} << 20);
        for (uint64_t done = 0; done < op.size;) {
          const uint64_t step = std::min<uint64_t>(op.size - done, zeros.size());
          content->Write(op.offset + done, Bytes(zeros).first(step));
          done += step;
        }
      } else {
        content->Write(op.offset, op.data);
      }
      return;
    case SimOpKind::kTruncate:
      return content->Cut(op.offset);
    case SimOpKind::kAllocate:
      return content->Reserve(op.offset, op.size);
    default:
      RL_CHECK(false && "a content operation");
  }
}

uint64_t SizeAfter(const SimOp& op, uint64_t size) {
  switch (op.kind) {
    case SimOpKind::kWrite:
    case SimOpKind::kAllocate:
      return std::max(size, op.offset + op.size);
    case SimOpKind::kTruncate:
      return op.offset;
    default:
      return size;
  }
}

}  // namespace ringleader
