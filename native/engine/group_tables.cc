#include "engine/group_tables.h"

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/limits.h"
#include "wire/configuration_record.h"

namespace ringleader {
namespace {

constexpr uint8_t kVersion = 1;
constexpr size_t kMaxFileBytes = size_t{256} << 10;

Status Damaged() {
  return Status(Code::kCorruption, std::string(kGroupTablesName) + " is damaged");
}

}  // namespace

std::vector<uint8_t> EncodeGroupTables(const GroupTables& tables) {
  std::vector<uint8_t> bytes{kVersion};
  Encoder out(&bytes);
  out.Fixed(tables.position.value);
  out.Varint(tables.terms.size());
  for (const TermStart& row : tables.terms) {
    out.Varint(row.term.counter.value);
    out.Fixed(row.term.incarnation.value);
    out.Varint(row.start.value);
  }
  out.Fixed(tables.configuration.end.value);
  const bool any = tables.configuration.configuration.version > 0;
  out.Sized(any ? EncodeConfiguration(tables.configuration.configuration) : std::vector<uint8_t>());
  out.Fixed(Crc32c(bytes));
  return bytes;
}

Result<GroupTables> DecodeGroupTables(Bytes bytes) {
  if (bytes.size() < 1 + sizeof(uint32_t)) return Damaged();
  const Bytes content = bytes.first(bytes.size() - sizeof(uint32_t));
  Decoder end(bytes.subspan(content.size()));
  uint32_t crc = 0;
  if (!end.Fixed(&crc) || crc != Crc32c(content)) return Damaged();
  if (content[0] > kVersion) {
    return Status(Code::kNewerFormat,
                  std::string(kGroupTablesName) + " has version " + std::to_string(content[0]));
  }
  Decoder in(content.subspan(1));
  GroupTables tables;
  uint64_t count = 0;
  if (!in.Fixed(&tables.position.value) || !in.Varint(&count) || count > kMaxTerms) {
    return Damaged();
  }
  for (; count > 0; --count) {
    TermStart row;
    uint64_t counter = 0;
    if (!in.Varint(&counter) || counter > UINT32_MAX || !in.Fixed(&row.term.incarnation.value) ||
        !in.Varint(&row.start.value)) {
      return Damaged();
    }
    row.term.counter = Term(static_cast<uint32_t>(counter));
    tables.terms.push_back(row);
  }
  Bytes configuration;
  if (!in.Fixed(&tables.configuration.end.value) || !in.Sized(kMaxFileBytes, &configuration) ||
      !in.Finished() || !Ascends(tables.terms) || tables.position > kMaxLsn) {
    return Damaged();
  }
  if (configuration.empty()) return tables;
  RL_ASSIGN_OR_RETURN(tables.configuration.configuration, DecodeConfiguration(configuration));
  return tables;
}

Result<GroupTables> LoadGroupTables(Env& env, const std::string& directory) {
  const auto file = env.files.Open(JoinPath(directory, kGroupTablesName), OpenMode::kRead);
  if (file.status().code() == Code::kNotFound) return GroupTables();
  if (!file.ok()) return file.status();
  RL_ASSIGN_OR_RETURN(const uint64_t size, file.value()->Size());
  if (size > kMaxFileBytes) return Damaged();
  std::vector<uint8_t> bytes(size);
  RL_RETURN_IF_ERROR(ReadExactly(*file.value(), 0, bytes, kGroupTablesName));
  return DecodeGroupTables(bytes);
}

Status SaveGroupTables(Env& env, const std::string& directory, const GroupTables& tables) {
  const std::string path = JoinPath(directory, kGroupTablesName);
  const std::string temporary = path + ".tmp";
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                      env.files.Open(temporary, OpenMode::kCreateEmpty));
  RL_RETURN_IF_ERROR(file->WriteAt(0, EncodeGroupTables(tables)));
  RL_RETURN_IF_ERROR(file->SyncData());
  RL_RETURN_IF_ERROR(env.files.Rename(temporary, path));
  return env.files.SyncDirectory(directory);
}

}  // namespace ringleader
