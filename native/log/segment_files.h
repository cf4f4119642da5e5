// The files of the log: one per segment, in the directory log/ of the environment.
//
//   0000000000000000.seg   named by the LSN at which the segment begins, 16 hexadecimal digits
//   prepare.tmp            the next segment while it is being filled with zeros
//
// States a crash can leave, and what they mean:
//   - prepare.tmp: unfinished, removed at recovery;
//   - a segment whose header page is zero: prepared, not in use. It has its final name, full size
//     and a flushed directory entry before the first byte of the log goes into it, so the flusher
//     never creates, extends or renames anything;
//   - a segment below the log's start with any content: its recycling was cut short; removed.
//
// Recycling (FORMATS.md#recycling): the header page is zeroed and flushed *before* the file gets
// its new name. In the other order a crash would leave a header that claims another place.
// Threads: none of its own; callers hold the keeper role or have the environment to themselves.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/types.h"
#include "env/env.h"
#include "log/log_format.h"

namespace ringleader {

class SegmentFiles {
 public:
  SegmentFiles(Env& env, std::string directory, uint64_t segment_bytes);

  const std::string& directory() const { return directory_; }
  uint64_t segment_bytes() const { return segment_bytes_; }
  std::string Path(Lsn start) const;

  // Starts of all segment files, ascending. Removes an unfinished prepare.tmp where `tidy`.
  Result<std::vector<Lsn>> List(bool tidy) const;
  // kNotFound where the file is not there.
  Result<std::unique_ptr<File>> Open(Lsn start, OpenMode mode) const;
  Status ReadPage(Lsn start, MutableBytes page) const;

  // Makes the segment at `start` ready for use: full size, zero header page, name flushed.
  // Every byte is written once, so that later flushes have no block maps to flush, for as long as
  // `fill()` says so; from then on the space is only reserved, which is quick.
  Status Prepare(Lsn start, const std::function<bool()>& fill) const;
  // The same out of a segment that is no longer needed.
  Status Recycle(Lsn from, Lsn to) const;
  Status Remove(Lsn start) const;
  // Where nothing but this name keeps the segment out of the log. A flush of the directory may
  // fail, the process die, and power bring the name back: of a segment that is no longer one.
  Status Discard(Lsn start) const;
  // Makes a name that was found as good as new. It may be in the page cache only, where a flush of
  // the directory has failed, and then no later flush is about it. Flushed with the next one.
  Status RenewName(Lsn start) const;

 private:
  Status SyncNames() const;

  Env& env_;
  const std::string directory_;
  const uint64_t segment_bytes_;
};

// "00000000000000ff.seg" and back; nullopt for any other name.
std::string SegmentName(Lsn start);
std::optional<Lsn> ParseSegmentName(const std::string& name);

}  // namespace ringleader
