#include "store/read_set.h"

#include <algorithm>

#include "base/mutant.h"

namespace ringleader {
namespace {

// Of a hash node and the bookkeeping of its allocation.
constexpr uint64_t kNodeBytes = 64;

std::string ToText(Bytes bytes) { return std::string(bytes.begin(), bytes.end()); }

// Whether a range that ends at `high` reaches as far as `position`.
bool Reaches(const std::string& high, const std::string& position) {
  return high.empty() || high >= position;
}

// The further one of two ends.
const std::string& Further(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return a.empty() ? a : b;
  return std::max(a, b);
}

}  // namespace

void ReadSet::AddKey(Bytes row_key) {
  if (keys_.insert(ToText(row_key)).second) bytes_ += kNodeBytes + row_key.size();
}

void ReadSet::AddRange(Bytes low, Bytes high) {
  if (RL_MUTANT(kIgnoreRanges)) return;
  if (!high.empty() && CompareRowKeys(low, high) >= 0) return;
  Range range{ToText(low), ToText(high)};
  if (!ranges_.empty()) {
    Range& last = ranges_.back();
    if (Reaches(last.high, range.low) && Reaches(range.high, last.low)) {
      last = Range{std::min(last.low, range.low), Further(last.high, range.high)};
      return;
    }
  }
  bytes_ += sizeof(Range) + low.size() + high.size();
  ranges_.push_back(std::move(range));
}

}  // namespace ringleader
