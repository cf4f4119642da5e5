// A log without bytes: what the replication core can tell apart, and nothing else.
//
// Each record has a size, the ballot of its reign and a value; `whole` says that a transaction ends
// with it. Copyable and hashable, so that a whole group can be forked at any point.
#pragma once

#include <cstdint>
#include <vector>

#include "base/check.h"
#include "core/message.h"

namespace ringleader::sim {

enum class ModelKind : uint8_t { kData = 1, kTerm = 2, kConfiguration = 3 };

struct ModelRecord {
  Lsn start, end;
  Ballot term;
  ModelKind kind = ModelKind::kData;
  uint64_t value = 0;
  Configuration configuration;

  bool operator==(const ModelRecord&) const = default;
  static constexpr auto Fields(auto& self, auto&& field) {
    field("start", self.start);
    field("end", self.end);
    field("term", self.term);
    field("kind", self.kind);
    field("value", self.value);
    field("configuration", self.configuration);
  }
};

inline constexpr uint64_t kModelRecordBytes = 8;

class ModelLog {
 public:
  Lsn start() const { return start_; }
  Lsn end() const { return records_.empty() ? start_ : records_.back().end; }
  const std::vector<ModelRecord>& records() const { return records_; }

  const ModelRecord& Append(Ballot term, ModelKind kind, uint64_t value) {
    ModelRecord record;
    record.start = end();
    record.end = record.start + kModelRecordBytes;
    record.term = term;
    record.kind = kind;
    record.value = value;
    records_.push_back(record);
    return records_.back();
  }
  ModelRecord& back() { return records_.back(); }

  void Take(const ModelRecord& record) {
    RL_CHECK(record.start == end());
    records_.push_back(record);
  }
  void CutTo(Lsn to) {
    while (!records_.empty() && records_.back().end > to) records_.pop_back();
    RL_CHECK(end() == to);
  }
  void TrimTo(Lsn to) {
    while (!records_.empty() && records_.front().end <= to) records_.erase(records_.begin());
    start_ = to;
  }
  void Reset(Lsn start) {
    records_.clear();
    start_ = start;
  }

  // Records of [from, end_limit), at least one, then as many as fit.
  std::vector<ModelRecord> Read(Lsn from, Lsn end_limit, uint64_t limit_bytes) const {
    std::vector<ModelRecord> run;
    uint64_t bytes = 0;
    for (const ModelRecord& record : records_) {
      if (record.start < from || record.end > end_limit) continue;
      if (!run.empty() && bytes + kModelRecordBytes > limit_bytes) break;
      run.push_back(record);
      bytes += kModelRecordBytes;
    }
    return run;
  }

  TermTable Terms() const;
  std::vector<ConfigurationAt> Configurations() const;

  static constexpr auto Fields(auto& self, auto&& field) {
    field("start", self.start_);
    field("records", self.records_);
  }

 private:
  Lsn start_;
  std::vector<ModelRecord> records_;
};

}  // namespace ringleader::sim
