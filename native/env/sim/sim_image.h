// What a simulated disk holds, and the operations that change it.
//
// Inodes are separate from names: a rename moves a number from one directory to another, and a file
// whose removal is undone by a power cut comes back with its bytes.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "env/sim/sim_content.h"

namespace ringleader {

inline constexpr uint64_t kSimRootInode = 1;

struct SimNode {
  bool is_directory = false;
  uint64_t size = 0;
  SimContent content;
  std::map<std::string, uint64_t> entries;  // of a directory: name to inode
};

struct SimImage {
  SimImage() { nodes[kSimRootInode].is_directory = true; }

  std::map<uint64_t, SimNode> nodes;
  uint64_t next_inode = kSimRootInode + 1;

  SimNode* Find(uint64_t inode);
  const SimNode* Find(uint64_t inode) const;
  // Drops the inodes that no name leads to.
  void DropUnreachable();
  uint64_t UsedPages() const;
};

enum class SimOpKind : uint8_t {
  kCreate,
  kMakeDirectory,
  kRename,
  kRemove,
  kSyncDirectory,
  kWrite,
  kTruncate,
  kAllocate,
  kSyncData,
  // The flush failed: what was dirty is now clean, and perhaps not on the disk.
  kSyncFailed,
  kSyncDirectoryFailed,
  kMark,  // a note of the test
};

// One completed operation. The log of a disk is a sequence of these.
struct SimOp {
  uint64_t sequence = 0;  // from 1
  SimOpKind kind = SimOpKind::kMark;
  std::string path;
  uint64_t inode = 0;  // the file; for entry operations what the name stands for
  // kWrite, kAllocate: the range. kTruncate: the new size is in `offset`.
  uint64_t offset = 0;
  uint64_t size = 0;
  std::vector<uint8_t> data;  // kWrite; empty where all bytes are zero
  bool never_reaches_disk = false;
  // Entry operations; kSyncDirectory has `directory` only.
  uint64_t directory = 0;
  std::string name;
  uint64_t to_directory = 0;  // kRename
  std::string to_name;
  uint64_t replaced = 0;  // kRename: the inode that lost its name
  uint64_t mark_kind = 0;
  uint64_t mark_value = 0;

  bool IsEntryOp() const {
    return kind == SimOpKind::kCreate || kind == SimOpKind::kMakeDirectory ||
           kind == SimOpKind::kRename || kind == SimOpKind::kRemove;
  }
  // "17 write log/0000.seg [4096, 8192)"
  std::string Describe() const;
};

using SimOpPointer = std::shared_ptr<const SimOp>;

// Changes names only. Inodes are made by SimImage's user, because a file exists before its name
// survives.
void ApplyEntryOp(const SimOp& op, SimImage* image);
// The bytes and disk space of kWrite, kTruncate and kAllocate, not the size.
void ApplyContentOp(const SimOp& op, SimContent* content);
// The file's size after the operation, which found it at `size`.
uint64_t SizeAfter(const SimOp& op, uint64_t size);

}  // namespace ringleader
