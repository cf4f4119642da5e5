#include "store/directory_copy.h"

#include <algorithm>
#include <array>
#include <vector>

namespace ringleader {
namespace {

// Missing, or empty but for directories that an earlier copy has left behind empty.
Status CheckTarget(Env& env, const std::string& directory) {
  const auto info = env.files.Info(directory);
  if (info.status().code() == Code::kNotFound) return Status::Ok();
  if (!info.ok()) return info.status();
  if (!info.value().is_directory) {
    return Status(Code::kNotADirectory, directory + " is not a directory");
  }
  RL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env.files.List(directory));
  for (const std::string& name : names) {
    const bool ours = name == kBaseDirectoryName || name == kLogDirectoryName;
    bool empty = false;
    if (ours) {
      const auto inside = env.files.List(JoinPath(directory, name));
      empty = inside.ok() && inside.value().empty();
    }
    if (!empty) return Status(Code::kExists, directory + " is not empty");
  }
  return Status::Ok();
}

Status MakeDirectory(Env& env, const std::string& path) {
  const Status made = env.files.MakeDirectory(path);
  return made.code() == Code::kExists ? Status::Ok() : made;
}

}  // namespace

// --- reading ------------------------------------------------------------------------------------

Status StoredLog::Damaged(const std::string& what) const {
  return Status(Code::kCorruption, "log at " + std::to_string(position_.value) + ": " + what);
}

// False where there is no such segment.
Result<bool> StoredLog::OpenSegment() {
  scanner_.reset();
  auto opened = source_(position_);
  if (opened.status().code() == Code::kNotFound) return false;
  RL_RETURN_IF_ERROR(opened.status());
  file_ = std::move(opened).value();
  std::array<uint8_t, kSegmentPageBytes> page{};
  RL_ASSIGN_OR_RETURN(const size_t got, file_->ReadAt(0, page));
  if (got != page.size()) return Damaged("the segment is too short");
  ChainState before;
  switch (CheckSegmentPage(page, group_id_, position_, segment_bytes_, &before)) {
    case PageState::kValid:
      break;
    case PageState::kNewer:
      return Status(Code::kNewerFormat, "the log was written by a later version");
    case PageState::kForeign:
      return Status(Code::kInvalidArgument,
                    SegmentName(position_) + " belongs to another group or place");
    case PageState::kZero:
    case PageState::kDamaged:
      return Damaged("the segment's header page fails its checks");
  }
  if (begun_ && before.prev_crc != chain_.prev_crc) {
    return Status(Code::kInvalidArgument, SegmentName(position_) + " continues another history");
  }
  chain_ = before;
  begun_ = true;
  scanner_ = std::make_unique<SegmentScanner>(*file_, position_, segment_bytes_,
                                              position_ + kSegmentPageBytes, kMaxLsn, chain_);
  position_ = scanner_->position();
  return true;
}

Status StoredLog::Begin(Lsn limit) {
  return position_ < limit ? OpenSegment().status() : Status::Ok();
}

Result<bool> StoredLog::Next(Lsn limit, Record* record) {
  while (position_ < limit) {
    if (scanner_ == nullptr) {
      RL_ASSIGN_OR_RETURN(const bool found, OpenSegment());
      if (!found) return false;
      continue;
    }
    RL_ASSIGN_OR_RETURN(const SegmentScanner::Step step, scanner_->Next(record));
    switch (step) {
      case SegmentScanner::Step::kRecord:
        position_ = scanner_->position();
        chain_ = scanner_->chain();
        return true;
      case SegmentScanner::Step::kSegmentEnd:
        position_ = scanner_->position();
        scanner_.reset();
        break;
      default:
        return Damaged(StepName(step));
    }
  }
  return false;
}

// --- writing ------------------------------------------------------------------------------------

DirectoryCopy::DirectoryCopy(Env& env, std::string directory, uint64_t segment_bytes)
    : env_(env),
      directory_(std::move(directory)),
      base_(JoinPath(directory_, kBaseDirectoryName)),
      segments_(env, JoinPath(directory_, kLogDirectoryName), segment_bytes) {}

Result<std::unique_ptr<DirectoryCopy>> DirectoryCopy::Begin(Env& env, const std::string& directory,
                                                            Lsn first, uint64_t segment_bytes) {
  RL_RETURN_IF_ERROR(CheckTarget(env, directory));
  std::unique_ptr<DirectoryCopy> self(new DirectoryCopy(env, directory, segment_bytes));
  self->first_ = SegmentStart(first, segment_bytes);
  RL_RETURN_IF_ERROR(self->MakeDirectories());
  return self;
}

Status DirectoryCopy::MakeDirectories() {
  RL_RETURN_IF_ERROR(MakeDirectory(env_, directory_));
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(ParentPath(directory_)));
  RL_RETURN_IF_ERROR(MakeDirectory(env_, segments_.directory()));
  RL_ASSIGN_OR_RETURN(const auto guard, segments_.Open(first_, OpenMode::kCreateEmpty));
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(segments_.directory()));
  RL_RETURN_IF_ERROR(MakeDirectory(env_, base_));
  return env_.files.SyncDirectory(directory_);
}

DirectoryCopy::~DirectoryCopy() {
  if (finished_) return;
  // Nobody can be told, and what stays behind is refused by whoever opens the directory. The
  // segments go last: they are what makes it so.
  static_cast<void>(env_.files.Remove(JoinPath(directory_, "control.tmp")));
  for (const std::string& inside : {base_, segments_.directory()}) {
    const auto names = env_.files.List(inside);
    if (!names.ok()) continue;
    for (const std::string& name : names.value()) {
      static_cast<void>(env_.files.Remove(JoinPath(inside, name)));
    }
  }
}

Status DirectoryCopy::WriteBase(const std::function<Status(const Sink& sink)>& write) {
  const std::string path = JoinPath(base_, kBaseFileName);
  RL_ASSIGN_OR_RETURN(const auto file, env_.files.Open(path, OpenMode::kCreateEmpty));
  uint64_t at = 0;
  RL_RETURN_IF_ERROR(write([&](Bytes piece) {
    RL_RETURN_IF_ERROR(file->WriteAt(at, piece));
    at += piece.size();
    return Status::Ok();
  }));
  RL_RETURN_IF_ERROR(file->SyncData());
  return env_.files.SyncDirectory(base_);
}

Status DirectoryCopy::CopySegment(File& from, Lsn start, uint64_t bytes) {
  RL_ASSIGN_OR_RETURN(const auto to, segments_.Open(start, OpenMode::kCreateEmpty));
  RL_RETURN_IF_ERROR(to->Allocate(0, segments_.segment_bytes()));
  RL_RETURN_IF_ERROR(CopyBytes(from, *to, bytes, SegmentName(start)));
  return to->SyncData();
}

Status DirectoryCopy::WriteLog(const StoredLog::Source& source, const Id128& group_id, Lsn start,
                               Lsn end) {
  const uint64_t segment = segments_.segment_bytes();
  RL_CHECK(start.value % segment == 0);
  for (Lsn at = start; at < end; at = at + segment) {
    RL_ASSIGN_OR_RETURN(const auto from, source(at));
    RL_RETURN_IF_ERROR(CopySegment(*from, at, std::min(segment, end - at)));
  }
  if (first_ < start || first_ >= end) RL_RETURN_IF_ERROR(segments_.Remove(first_));
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(segments_.directory()));
  StoredLog copy([this](Lsn at) { return segments_.Open(at, OpenMode::kRead); }, group_id, segment,
                 start);
  for (;;) {
    Record record;
    RL_ASSIGN_OR_RETURN(const bool more, copy.Next(end, &record));
    if (!more) break;
  }
  if (start < end && copy.position() != end) {
    return Status(Code::kCorruption, "log at " + std::to_string(copy.position().value) +
                                         ": no end of a record where the copy ends");
  }
  return Status::Ok();
}

Status DirectoryCopy::Finish(ControlState control, Lsn end) {
  control.durable_mark = end;
  control.clean = true;
  control.roll_back.reset();
  control.lock_inode = 0;  // whoever opens it first notes that
  RL_RETURN_IF_ERROR(env_.files.SyncDirectory(directory_));
  RL_ASSIGN_OR_RETURN(const ControlFile written, ControlFile::Create(env_, directory_, control));
  finished_ = true;
  return Status::Ok();
}

}  // namespace ringleader
