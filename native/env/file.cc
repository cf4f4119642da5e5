#include "env/file.h"

namespace ringleader {

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

Status ReadExactly(File& file, uint64_t offset, MutableBytes into, std::string_view what) {
  RL_ASSIGN_OR_RETURN(const size_t got, file.ReadAt(offset, into));
  if (got == into.size()) return Status::Ok();
  return Status(Code::kCorruption, std::string(what) + ": ends at byte " +
                                       std::to_string(offset + got) + ", " +
                                       std::to_string(into.size() - got) + " bytes early");
}

}  // namespace ringleader
