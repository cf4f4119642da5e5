// The data of a simulated member: what its committed transactions have made of it.
//
// A few rows and, of each client, its newest request: one that is asked for again because nobody
// knew what had become of it is done once. A running hash is over all transactions that were
// applied, in their order, so two members that have applied the same log have the same hash.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/types.h"
#include "log/log_reader.h"

namespace ringleader::simulator {

inline constexpr size_t kRows = 64;
inline constexpr size_t kMaxClients = 64;

// What a client asks to be written.
struct Command {
  uint32_t client = 0;
  uint64_t request = 0;  // of the client, ascending from 1
  uint32_t row = 0;
  uint64_t value = 0;
};

// Followed by `filler` bytes.
std::vector<uint8_t> EncodeCommand(const Command& command, size_t filler);
// nullopt where the bytes are none.
std::optional<Command> DecodeCommand(Bytes payload);

// Of everything in it that a log says twice the same where two logs are the same.
uint64_t HashOfEntry(const LogEntry& entry);

class SimState {
 public:
  // What was applied last ended here.
  Lsn position() const { return position_; }
  uint64_t hash() const { return hash_; }
  // Where a client's newest request was applied, and which one it was.
  uint64_t newest(uint32_t client) const { return requests_[client]; }
  Lsn applied_at(uint32_t client) const { return Lsn(ends_[client]); }

  void Apply(const LogEntry& entry);

  std::vector<uint8_t> Encode() const;
  bool Decode(Bytes bytes);

 private:
  Lsn position_;
  uint64_t hash_ = 0;
  std::array<uint64_t, kRows> values_{};
  std::array<uint64_t, kMaxClients> requests_{};
  std::array<uint64_t, kMaxClients> ends_{};
};

}  // namespace ringleader::simulator
