#include "sim_state.h"

#include "base/coding.h"
#include "base/crc32c.h"
#include "core/state_hash.h"

namespace ringleader::simulator {

std::vector<uint8_t> EncodeCommand(const Command& command, size_t filler) {
  std::vector<uint8_t> bytes;
  bytes.reserve(24 + filler);
  Encoder out(&bytes);
  out.Fixed(command.client);
  out.Fixed(command.row);
  out.Fixed(command.request);
  out.Fixed(command.value);
  bytes.resize(bytes.size() + filler, static_cast<uint8_t>(command.value));
  return bytes;
}

std::optional<Command> DecodeCommand(Bytes payload) {
  Command command;
  Decoder in(payload);
  if (!in.Fixed(&command.client) || !in.Fixed(&command.row) || !in.Fixed(&command.request) ||
      !in.Fixed(&command.value) || command.client >= kMaxClients || command.row >= kRows) {
    return std::nullopt;
  }
  return command;
}

uint64_t HashOfEntry(const LogEntry& entry) {
  StateHash hash;
  hash.Word(entry.lsn.value);
  hash.Word(entry.end.value);
  hash.Word(entry.term.value);
  hash.Word(static_cast<uint64_t>(entry.type));
  hash.Word(entry.commit_time_us);
  hash.Word(Crc32c(entry.payload));
  return hash.value();
}

void SimState::Apply(const LogEntry& entry) {
  RL_CHECK(entry.end > position_);
  position_ = entry.end;
  StateHash hash;
  hash.Word(hash_);
  hash.Word(HashOfEntry(entry));
  hash_ = hash.value();
  if (entry.type != RecordType::kTransaction) return;
  const std::optional<Command> command = DecodeCommand(entry.payload);
  RL_CHECK(command);
  if (command->request <= requests_[command->client]) return;  // done before
  requests_[command->client] = command->request;
  ends_[command->client] = entry.end.value;
  values_[command->row] = command->value;
}

std::vector<uint8_t> SimState::Encode() const {
  std::vector<uint8_t> bytes;
  Encoder out(&bytes);
  out.Fixed(position_.value);
  out.Fixed(hash_);
  for (const uint64_t value : values_) out.Fixed(value);
  for (const uint64_t request : requests_) out.Fixed(request);
  for (const uint64_t end : ends_) out.Fixed(end);
  return bytes;
}

bool SimState::Decode(Bytes bytes) {
  Decoder in(bytes);
  if (!in.Fixed(&position_.value) || !in.Fixed(&hash_)) return false;
  for (uint64_t& value : values_) {
    if (!in.Fixed(&value)) return false;
  }
  for (uint64_t& request : requests_) {
    if (!in.Fixed(&request)) return false;
  }
  for (uint64_t& end : ends_) {
    if (!in.Fixed(&end)) return false;
  }
  return in.Finished();
}

}  // namespace ringleader::simulator
