// Every run of a small ring, and of each of its planted bugs, which have to be found.
//
//   ring_model [--slots N] [--frames N] [--bug NAME]
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ring_model.h"

using ringleader::sim::ExploreRing;
using ringleader::sim::RingBug;
using ringleader::sim::RingModelOptions;
using ringleader::sim::RingModelReport;

namespace {

bool Run(const RingModelOptions& options, bool tell) {
  const RingModelReport report = ExploreRing(options);
  std::printf("ring of %u slots, %u frames, %s: %llu states, %llu transitions, %s%s%s\n",
              unsigned{options.slots}, unsigned{options.frames}, NameOf(options.bug),
              static_cast<unsigned long long>(report.states),
              static_cast<unsigned long long>(report.transitions),
              report.exhausted ? "that is all" : "not all", report.problem.empty() ? "" : "; ",
              report.problem.c_str());
  for (const std::string& step : report.trace) {
    if (tell) std::printf("  %s\n", step.c_str());
  }
  const bool good = options.bug == RingBug::kNone;
  if (good != (report.problem.empty() && report.exhausted)) {
    std::printf("FAILED %s\n", good ? "there is a problem" : "the planted bug is not found");
    return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  RingModelOptions options;
  const char* only = nullptr;
  for (int i = 1; i + 1 < argc; i += 2) {
    const auto number = static_cast<uint8_t>(std::strtoul(argv[i + 1], nullptr, 10));
    if (std::strcmp(argv[i], "--slots") == 0) options.slots = number;
    if (std::strcmp(argv[i], "--frames") == 0) options.frames = number;
    if (std::strcmp(argv[i], "--bug") == 0) only = argv[i + 1];
  }
  if (options.slots < 1 || options.slots > 4 || options.frames < 1 || options.frames > 100) {
    std::fprintf(stderr, "ring_model: 1 to 4 slots, 1 to 100 frames\n");
    return 2;
  }
  bool good = true;
  for (size_t i = 0; i < static_cast<size_t>(RingBug::kCount); ++i) {
    options.bug = static_cast<RingBug>(i);
    if (only != nullptr && std::strcmp(only, NameOf(options.bug)) != 0) continue;
    good = Run(options, only != nullptr) && good;
  }
  return good ? 0 : 1;
}
