#include "transport/ring/spin.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

namespace ringleader {
namespace {

// Weight of what is new in the moving means.
constexpr uint64_t kShare = 4;

// The number that `text` begins with, which moves on behind it.
std::optional<uint64_t> TakeNumber(std::string_view* text) {
  while (!text->empty() && text->front() == ' ') text->remove_prefix(1);
  uint64_t value = 0;
  const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (bad != std::errc()) return std::nullopt;
  text->remove_prefix(static_cast<size_t>(end - text->data()));
  return value;
}

// Time per period, rounded up to whole processors.
std::optional<unsigned> Processors(std::optional<uint64_t> quota, std::optional<uint64_t> period) {
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return static_cast<unsigned>(std::min<uint64_t>((*quota - 1) / *period + 1, 1u << 20));
}

// Of the group at `path` alone; nullopt: as much as there is.
std::optional<unsigned> QuotaOf(FileSystem& files, const std::string& path) {
  if (const auto both = ReadText(files, path + "/cpu.max")) {
    std::string_view text = *both;
    const auto quota = TakeNumber(&text);  // none in "max 100000"
    return Processors(quota, quota ? TakeNumber(&text) : std::nullopt);
  }
  const auto quota = ReadText(files, path + "/cpu.cfs_quota_us");
  const auto period = ReadText(files, path + "/cpu.cfs_period_us");
  if (!quota || !period) return std::nullopt;
  std::string_view quota_text = *quota, period_text = *period;
  return Processors(TakeNumber(&quota_text), TakeNumber(&period_text));  // "-1" is no number
}

// The line of /proc/self/cgroup for what sets quotas: "0::/a/b", or "4:cpu,cpuacct:/a/b".
struct Group {
  std::string mount;
  std::string path;
};
std::optional<Group> ParseGroup(std::string_view line) {
  const size_t first = line.find(':');
  const size_t second = first == line.npos ? line.npos : line.find(':', first + 1);
  if (second == line.npos) return std::nullopt;
  const std::string_view controllers = line.substr(first + 1, second - first - 1);
  std::string path(line.substr(second + 1));
  if (controllers.empty()) return Group{"sys/fs/cgroup", std::move(path)};
  const std::string padded = "," + std::string(controllers) + ",";
  if (padded.find(",cpu,") == padded.npos) return std::nullopt;
  return Group{"sys/fs/cgroup/cpu", std::move(path)};
}

// The least of the group and of all that it lies in. In a container the path may be one of outside
// of it; then it is the mount's root that counts, where the walk ends.
void Narrow(FileSystem& files, const std::string& root, Group group, unsigned* count) {
  const auto look = [&](const std::string& path) {
    if (const auto quota = QuotaOf(files, root + group.mount + path)) {
      *count = std::min(*count, *quota);
    }
  };
  while (!group.path.empty() && group.path != "/") {
    look(group.path);
    group.path.resize(group.path.rfind('/') == group.path.npos ? 0 : group.path.rfind('/'));
  }
  look("");
}

}  // namespace

unsigned UsableProcessors(FileSystem& files, const std::string& root) {
  cpu_set_t set;
  CPU_ZERO(&set);
  // Fails where there are more processors than the set has room for.
  const bool known = sched_getaffinity(0, sizeof set, &set) == 0;
  unsigned count = known ? static_cast<unsigned>(CPU_COUNT(&set)) : unsigned{CPU_SETSIZE};
  if (const auto groups = ReadText(files, root + "proc/self/cgroup")) {
    std::string_view text = *groups;
    while (!text.empty()) {
      const size_t end = std::min(text.find('\n'), text.size());
      if (auto group = ParseGroup(text.substr(0, end))) {
        Narrow(files, root, std::move(*group), &count);
      }
      text.remove_prefix(std::min(end + 1, text.size()));
    }
  }
  return std::max(count, 1u);
}

void AdaptiveSpin::Arrived(uint64_t now_ns) {
  const uint64_t gap_ns = std::min(now_ns - last_ns_, kLongestNs);
  gap_ns_ = (gap_ns_ * (kShare - 1) + gap_ns) / kShare;
  last_ns_ = now_ns;
}

void AdaptiveSpin::Woken(uint64_t cost_ns) {
  wake_ns_ = (wake_ns_ * (kShare - 1) + std::min(cost_ns, kLongestNs)) / kShare;
}

uint64_t AdaptiveSpin::BudgetNs(bool awaited) const {
  if (!allowed_) return 0;
  const uint64_t budget_ns = std::clamp(wake_ns_, kMinSpinNs, kMaxSpinNs);
  return awaited || gap_ns_ < budget_ns ? budget_ns : 0;
}

void AdaptiveSpin::Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

void AdaptiveSpin::GiveWay() { sched_yield(); }

}  // namespace ringleader
