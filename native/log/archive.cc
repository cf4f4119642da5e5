#include "log/archive.h"

#include <memory>

#include "log/segment_walk.h"

namespace ringleader {
namespace {

Status CheckWhole(std::unique_ptr<File> file, const Id128& group_id, Lsn start,
                  uint64_t segment_bytes) {
  RL_ASSIGN_OR_RETURN(const auto walk,
                      SegmentWalk::Over(std::move(file), group_id, start, segment_bytes, kMaxLsn));
  for (Record record;;) {
    RL_ASSIGN_OR_RETURN(const bool more, walk->Next(&record));
    if (!more) return Status::Ok();
  }
}

}  // namespace

Status ArchiveSegment(Env& env, const SegmentFiles& files, const Id128& group_id, Lsn start,
                      const std::string& archive) {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> from, files.Open(start, OpenMode::kRead));
  const std::string name = JoinPath(archive, SegmentName(start));
  const std::string temporary = name + ".tmp";
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> to, env.files.Open(temporary, OpenMode::kCreateEmpty));
  RL_RETURN_IF_ERROR(CopyBytes(*from, *to, files.segment_bytes(), SegmentName(start)));
  RL_RETURN_IF_ERROR(to->SyncData());
  // The copy is what will be read one day, so the copy is what is checked.
  RL_RETURN_IF_ERROR(CheckWhole(std::move(to), group_id, start, files.segment_bytes()));
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, name));
  return env.files.SyncDirectory(archive);
}

}  // namespace ringleader
