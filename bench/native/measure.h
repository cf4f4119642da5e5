// What the benches share: clocks, quantiles, and the end of a program that cannot go on.
#pragma once

#include <time.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/status.h"

namespace ringleader {

inline double Seconds(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}
inline double Now() { return Seconds(CLOCK_MONOTONIC); }
inline double ThreadCpu() { return Seconds(CLOCK_THREAD_CPUTIME_ID); }
inline double ProcessCpu() { return Seconds(CLOCK_PROCESS_CPUTIME_ID); }

inline void Must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s: %s\n", program_invocation_short_name, status.ToString().c_str());
  std::exit(1);
}

template <typename T>
T Must(Result<T> result) {
  Must(result.status());
  return std::move(result).value();
}

// `values` must not be empty; of two in the middle, the lower one.
inline double Quantile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<size_t>(static_cast<double>(values.size() - 1) * share)];
}
inline double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

}  // namespace ringleader
