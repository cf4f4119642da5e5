// Where a snapshot is being put in place of an environment's rows and log, and what finishes that
// after a crash.
//
//   snapshot/incoming    the stream (snapshot_stream.h), whole, checked and flushed
//   snapshot/install     "rows and log are being replaced": written before, renamed after
//   snapshot/installed   the same file behind it: the layer above has not taken notice yet
//
// The commit of the base decides: with the rows it has the snapshot's position as its applied LSN.
// So whoever comes up alone and finds `install`
//   - with a base at that position, has to put the snapshot's log in place of whatever log there is
//     (FinishInstall): there is no state between the two that anybody could use;
//   - with any other base, has an attempt that came to nothing.
// It names the identities that the new control page needs, because the old one may be gone.
// (docs/FORMATS.md#snapshot)
// Threads: one at a time per directory.
#pragma once

#include <string>

#include "base/status.h"
#include "env/env.h"
#include "log/log_format.h"
#include "store/snapshot_stream.h"

namespace ringleader {

struct InstallMark {
  SnapshotHeader snapshot;
  Id128 environment_id{};
  uint64_t incarnation = 0;
};

std::vector<uint8_t> EncodeInstallMark(const InstallMark& mark);
// kCorruption for anything that Encode would not have written; kNewerFormat.
Result<InstallMark> DecodeInstallMark(Bytes bytes);

// On the disk when they return.
Status BeginInstall(Env& env, const std::string& directory, const InstallMark& mark);
Status EndInstall(Env& env, const std::string& directory);
Status DropInstall(Env& env, const std::string& directory);

// Whether the mark is there.
Result<bool> InstallBegun(Env& env, const std::string& directory);
// Finishes or forgets what a crash has cut short, before the log is opened. kBusy where somebody
// has the environment open.
Status FinishInstall(Env& env, const std::string& directory);

// For the layer above: whether a snapshot is in place that it has not taken notice of, and that it
// has.
Result<bool> InstalledAnew(Env& env, const std::string& directory);
Status NoticeInstalled(Env& env, const std::string& directory);

// The log that a stream holds, whole.
Result<std::vector<uint8_t>> ReadSnapshotLog(Env& env, const std::string& path,
                                             const SnapshotHeader& expected);
// What the layer above has put into it.
Result<std::vector<uint8_t>> ReadSnapshotGroup(Env& env, const std::string& path);

std::string SnapshotPath(const std::string& directory, const char* name);
// Makes the directory of them where it is missing.
Status MakeSnapshotDirectory(Env& env, const std::string& directory);

}  // namespace ringleader
