#include "env/shared_area.h"

#include <array>
#include <cstdio>

namespace ringleader {
namespace {

std::string Prefix(const FileInfo& lock) {
  std::array<char, 64> prefix;
  std::snprintf(prefix.data(), prefix.size(), "ringleader-%llx-%llx",
                static_cast<unsigned long long>(lock.device),
                static_cast<unsigned long long>(lock.inode));
  return prefix.data();
}

}  // namespace

SharedAreas::SharedAreas(Env& env, std::string directory, const FileInfo& lock)
    : env_(env), directory_(std::move(directory)), prefix_(Prefix(lock)) {}

std::string SharedAreas::MemoryName(const std::string& name) const { return prefix_ + "-" + name; }

std::string SharedAreas::Path(const std::string& name) const { return JoinPath(directory_, name); }

Result<SharedArea> SharedAreas::Create(const std::string& name, size_t size,
                                       AreaPlace place) const {
  RL_RETURN_IF_ERROR(Remove(name));
  Result<std::unique_ptr<SharedMapping>> mapping = Status(Code::kNoSpace, "not asked for");
  if (place == AreaPlace::kMemory) mapping = env_.memory.Create(MemoryName(name), size);
  const bool in_file = !mapping.ok();
  if (in_file) mapping = env_.memory.CreateAt(Path(name), size);
  if (!mapping.ok()) return mapping.status();
  return SharedArea{std::move(mapping).value(), in_file};
}

Result<SharedArea> SharedAreas::Open(const std::string& name) const {
  auto mapping = env_.memory.Open(MemoryName(name));
  const bool in_file = mapping.status().code() == Code::kNotFound;
  if (in_file) mapping = env_.memory.OpenAt(Path(name));
  if (!mapping.ok()) return mapping.status();
  return SharedArea{std::move(mapping).value(), in_file};
}

Status SharedAreas::Remove(const std::string& name) const {
  const Status memory = env_.memory.Remove(MemoryName(name));
  if (!memory.ok() && memory.code() != Code::kNotFound) return memory;
  const Status file = env_.files.Remove(Path(name));
  if (!file.ok() && file.code() != Code::kNotFound) return file;
  return Status::Ok();
}

}  // namespace ringleader
