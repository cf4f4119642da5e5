// Time of every CRC-32C implementation at several sizes.
//
//   crc32c_bench [SIZE...]
//
// Rounds go through all sizes and implementations in turn, so that a slow spell of the machine hits
// all of them; a line shows the median round. Each call continues from the checksum before it:
// times are latencies, which is what a writer that needs the checksum waits for. Data is in the L1
// or L2 cache.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/crc32c.h"
#include "measure.h"

namespace ringleader {
namespace {

constexpr int kRounds = 41;
constexpr double kNanosPerSample = 100'000;

struct Series {
  const Crc32cVariant* variant;
  size_t size;
  size_t calls = 1;
  std::vector<double> nanos_per_call;
};

uint32_t g_result = 0;  // keeps the calls from being optimized away

double NanosPerCall(const Series& series, const std::vector<uint8_t>& data) {
  const auto begin = std::chrono::steady_clock::now();
  uint32_t crc = g_result;
  for (size_t i = 0; i < series.calls; ++i) {
    crc = series.variant->compute(data.data(), series.size, crc);
  }
  g_result = crc;
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - begin;
  return spent.count() / static_cast<double>(series.calls);
}

int Main(const std::vector<size_t>& sizes) {
  std::vector<uint8_t> data(*std::max_element(sizes.begin(), sizes.end()));
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<uint8_t>(i * 2654435761u >> 13);
  std::vector<Series> all;
  for (const size_t size : sizes) {
    for (const Crc32cVariant& variant : Crc32cVariants()) {
      if (variant.supported) all.push_back({&variant, size, 1, {}});
    }
  }
  for (Series& series : all) {
    while (NanosPerCall(series, data) * static_cast<double>(series.calls) < kNanosPerSample) {
      series.calls *= 2;
    }
  }
  for (int round = 0; round < kRounds; ++round) {
    for (Series& series : all) series.nanos_per_call.push_back(NanosPerCall(series, data));
  }

  std::printf("%8s  %-12s %10s %8s %9s\n", "bytes", "variant", "ns", "GB/s", "x sse42");
  for (const Series& series : all) {
    const double nanos = Median(series.nanos_per_call);
    double serial = 0;
    for (const Series& other : all) {
      if (other.size == series.size && std::strcmp(other.variant->name, "sse42") == 0) {
        serial = Median(other.nanos_per_call);
      }
    }
    std::printf("%8zu  %-12s %10.1f %8.2f ", series.size, series.variant->name, nanos,
                static_cast<double>(series.size) / nanos);
    if (serial > 0) std::printf("%9.2f\n", serial / nanos);
    if (serial == 0) std::printf("%9s\n", "-");
  }
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) {
  std::vector<size_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 0));
  if (sizes.empty()) sizes = {40, 160, 512, 4096, 65536};
  if (std::find(sizes.begin(), sizes.end(), 0u) != sizes.end()) {
    std::fprintf(stderr, "usage: crc32c_bench [SIZE...]   (bytes, at least 1)\n");
    return 2;
  }
  return ringleader::Main(sizes);
}
