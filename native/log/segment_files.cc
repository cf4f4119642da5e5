#include "log/segment_files.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr char kPrepareName[] = "prepare.tmp";
constexpr char kSuffix[] = ".seg";
constexpr size_t kNameDigits = 16;
constexpr size_t kFillStepBytes = size_t{1} << 20;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Status FillWithZeros(File& file, uint64_t size, const std::function<bool()>& fill) {
  const std::vector<uint8_t> zeros(std::min<uint64_t>(size, kFillStepBytes));
  for (uint64_t at = 0; at < size && fill(); at += zeros.size()) {
    const uint64_t step = std::min<uint64_t>(size - at, zeros.size());
    RL_RETURN_IF_ERROR(file.WriteAt(at, Bytes(zeros).first(step)));
  }
  return Status::Ok();
}

}  // namespace

std::string SegmentName(Lsn start) {
  std::array<char, 32> name;
  std::snprintf(name.data(), name.size(), "%016llx%s", static_cast<unsigned long long>(start.value),
                kSuffix);
  return name.data();
}

std::optional<Lsn> ParseSegmentName(const std::string& name) {
  if (name.size() != kNameDigits + sizeof kSuffix - 1) return std::nullopt;
  if (name.compare(kNameDigits, std::string::npos, kSuffix) != 0) return std::nullopt;
  uint64_t value = 0;
  for (size_t i = 0; i < kNameDigits; ++i) {
    const int digit = HexDigit(name[i]);
    if (digit < 0) return std::nullopt;
    value = (value << 4) | static_cast<uint64_t>(digit);
  }
  if (value > kMaxLsn.value) return std::nullopt;
  return Lsn(value);
}

SegmentFiles::SegmentFiles(Env& env, std::string directory, uint64_t segment_bytes)
    : env_(env), directory_(std::move(directory)), segment_bytes_(segment_bytes) {}

std::string SegmentFiles::Path(Lsn start) const { return JoinPath(directory_, SegmentName(start)); }

Result<std::vector<Lsn>> SegmentFiles::List(bool tidy) const {
  RL_ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.files.List(directory_));
  std::vector<Lsn> starts;
  for (const std::string& name : names) {
    if (name == kPrepareName && tidy) {
      RL_RETURN_IF_ERROR(env_.files.Remove(JoinPath(directory_, name)));
      continue;
    }
    const std::optional<Lsn> start = ParseSegmentName(name);
    if (!start) continue;  // somebody else's file
    if (start->value % segment_bytes_ != 0) {
      return Status(Code::kCorruption, name + " does not begin at a multiple of the segment size");
    }
    starts.push_back(*start);
  }
  std::sort(starts.begin(), starts.end());
  return starts;
}

Result<std::unique_ptr<File>> SegmentFiles::Open(Lsn start, OpenMode mode) const {
  return env_.files.Open(Path(start), mode);
}

Status SegmentFiles::ReadPage(Lsn start, MutableBytes page) const {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, Open(start, OpenMode::kRead));
  return ReadExactly(*file, 0, page, SegmentName(start));
}

Status SegmentFiles::SyncNames() const {
  if (RL_MUTANT(kSkipDirectorySync)) return Status::Ok();
  return env_.files.SyncDirectory(directory_);
}

Status SegmentFiles::Prepare(Lsn start, const std::function<bool()>& fill) const {
  const std::string temporary = JoinPath(directory_, kPrepareName);
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> file,
                      env_.files.Open(temporary, OpenMode::kCreateEmpty));
  Status made = file->Allocate(0, segment_bytes_);
  if (made.ok()) made = FillWithZeros(*file, segment_bytes_, fill);
  if (made.ok()) made = file->SyncData();
  file.reset();
  if (!made.ok()) {
    // The space of a half-made file belongs to whoever needs it more; the first error is the one
    // to report.
    const Status removed = env_.files.Remove(temporary);
    (void)removed;
    return made;
  }
  RL_RETURN_IF_ERROR(env_.files.Rename(temporary, Path(start)));
  return SyncNames();
}

Status SegmentFiles::Recycle(Lsn from, Lsn to) const {
  RL_CHECK(from < to);
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, Open(from, OpenMode::kReadWrite));
  if (!RL_MUTANT(kSkipRecycleInvalidate)) {
    const std::array<uint8_t, kSegmentPageBytes> zeros{};
    RL_RETURN_IF_ERROR(file->WriteAt(0, zeros));
    RL_RETURN_IF_ERROR(file->SyncData());
  }
  RL_RETURN_IF_ERROR(env_.files.Rename(Path(from), Path(to)));
  return SyncNames();
}

Status SegmentFiles::Discard(Lsn start) const {
  if (!RL_MUTANT(kDiscardByName)) {
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, Open(start, OpenMode::kReadWrite));
    RL_RETURN_IF_ERROR(file->Truncate(0));
    RL_RETURN_IF_ERROR(file->SyncData());
  }
  return Remove(start);
}

// To the name of what is not ready and back: a cut in between leaves one segment less.
Status SegmentFiles::RenewName(Lsn start) const {
  if (RL_MUTANT(kTrustNames)) return Status::Ok();
  const std::string temporary = JoinPath(directory_, kPrepareName);
  RL_RETURN_IF_ERROR(env_.files.Rename(Path(start), temporary));
  return env_.files.Rename(temporary, Path(start));
}

Status SegmentFiles::Remove(Lsn start) const {
  RL_RETURN_IF_ERROR(env_.files.Remove(Path(start)));
  return SyncNames();
}

}  // namespace ringleader
