#include "env/file.h"

#include <algorithm>
#include <vector>

namespace ringleader {
namespace {

constexpr uint64_t kCopyStepBytes = uint64_t{1} << 20;
constexpr size_t kLongestText = 4096;

}  // namespace

std::string JoinPath(std::string_view directory, std::string_view name) {
  std::string path(directory);
  if (!path.empty() && path.back() != '/') path += '/';
  path += name;
  return path;
}

std::string ParentPath(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return ".";
  path = path.substr(0, slash);
  while (!path.empty() && path.back() == '/') path.remove_suffix(1);
  return path.empty() ? "/" : std::string(path);
}

Status EnsureDirectory(FileSystem& files, const std::string& path) {
  const Status made = files.MakeDirectory(path);
  if (made.code() == Code::kExists) return Status::Ok();
  RL_RETURN_IF_ERROR(made);
  return files.SyncDirectory(ParentPath(path));
}

Status RemoveIfThere(FileSystem& files, const std::string& path) {
  const Status removed = files.Remove(path);
  return removed.code() == Code::kNotFound ? Status::Ok() : removed;
}

std::optional<std::string> ReadText(FileSystem& files, const std::string& path) {
  const auto file = files.Open(path, OpenMode::kRead);
  if (!file.ok()) return std::nullopt;
  std::string text(kLongestText, '\0');
  const auto got =
      file.value()->ReadAt(0, MutableBytes(reinterpret_cast<uint8_t*>(text.data()), text.size()));
  if (!got.ok()) return std::nullopt;
  text.resize(got.value());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

Status ReadExactly(File& file, uint64_t offset, MutableBytes into, std::string_view what) {
  RL_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(offset, into));
  if (got == into.size()) return Status::Ok();
  return Status(Code::kCorruption, std::string(what) + ": ends at byte " +
                                       std::to_string(offset + got) + ", " +
                                       std::to_string(into.size() - got) + " bytes early");
}

Status CopyBytes(File& from, File& to, uint64_t size, std::string_view what) {
  std::vector<uint8_t> buffer(std::min(size, kCopyStepBytes));
  for (uint64_t at = 0; at < size;) {
    const uint64_t step = std::min<uint64_t>(size - at, buffer.size());
    RL_RETURN_IF_ERROR(ReadExactly(from, at, MutableBytes(buffer).first(step), what));
    RL_RETURN_IF_ERROR(to.WriteAt(at, Bytes(buffer).first(step)));
    at += step;
  }
  return Status::Ok();
}

}  // namespace ringleader
