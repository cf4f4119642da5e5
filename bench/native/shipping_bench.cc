// What shipping costs beside the first append: `shipping_bench [DIRECTORY] [ROUNDS] [BYTES]`.
//
// A primary appends transactions of BYTES each; the stored log is then read as a sender reads it,
// and appended as a replica appends it, in runs of 1 MiB. All three in each round, by processor
// time of their thread, so that other load on the machine counts little; medians over the rounds.
// Nothing is flushed but where a segment ends; DIRECTORY had better be in memory.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "engine/hard_state_file.h"
#include "log/log.h"
#include "measure.h"

namespace ringleader {
namespace {

constexpr uint64_t kLogBytes = uint64_t{48} << 20;  // of one round
constexpr uint64_t kRunBytes = uint64_t{1} << 20;
const Id128 kGroup{1};

// A member with room for a round: its segments are made outside of what is measured.
std::unique_ptr<Log> OpenMember(const std::string& directory) {
  std::filesystem::create_directory(directory);
  Must(HardStateFile::Create(PosixEnv(), directory));
  LogOptions options;
  options.group_id = kGroup;
  options.service_threads = false;
  std::unique_ptr<Log> log = Must(Log::Open(PosixEnv(), directory, options));
  Must(log->Tick());
  return log;
}

struct Costs {
  std::vector<double> append, read, replay;  // seconds
  uint64_t transactions = 0, bytes = 0;
};

void Round(const std::string& directory, size_t size, Costs* costs) {
  const auto primary = OpenMember(directory + "/primary");
  const auto replica = OpenMember(directory + "/replica");
  Must(primary->AppendTerm({Term(1), 1, 1}).status());
  const std::vector<uint8_t> payload(size, 0x5a);
  Entry entry;
  entry.payload = payload;
  double began = ThreadCpu();
  while (primary->End(Level::kMemory).value < kLogBytes) {
    for (int i = 0; i < 1024; ++i) Must(primary->Append(entry).status());
  }
  costs->append.push_back(ThreadCpu() - began);
  const LogStat stat = primary->Stat();
  costs->transactions = stat.transactions;
  costs->bytes = stat.tail.value;
  Must(primary->WaitFor(stat.tail, Level::kWritten));
  const auto reader = primary->ReadRaw(Lsn());
  double read = 0, replay = 0;
  for (;;) {
    began = ThreadCpu();
    const RawRun run = Must(reader->Next(kRunBytes));
    read += ThreadCpu() - began;
    if (run.bytes.empty()) break;
    began = ThreadCpu();
    for (;;) {
      const ShippedAppend done = replica->AppendRecords(run.from, run.bytes);
      Must(done.status);
      if (done.stop == ShipStop::kNothing) break;
      Must(replica->AwaitRoom(done));
    }
    replay += ThreadCpu() - began;
  }
  if (replica->Stat().tail != stat.tail) {
    Must(Status(Code::kCorruption, "not all has arrived"));
  }
  costs->read.push_back(read);
  costs->replay.push_back(replay);
  Must(primary->Close());
  Must(replica->Close());
}

void Print(const char* what, const std::vector<double>& seconds, const Costs& costs, double base) {
  const double median = Median(seconds);
  std::printf("%-28s %9.0f MB/s %12.0f /s   %.2f of the append's time\n", what,
              static_cast<double>(costs.bytes) / 1e6 / median,
              static_cast<double>(costs.transactions) / median, median / base);
}

int Main(int argc, char** argv) {
  const std::string directory = argc > 1 ? argv[1] : "/dev/shm/ringleader-shipping-bench";
  const int rounds = argc > 2 ? std::atoi(argv[2]) : 9;
  const size_t size = argc > 3 ? static_cast<size_t>(std::atoi(argv[3])) : 200;
  Costs costs;
  for (int round = 0; round < rounds; ++round) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    Round(directory, size, &costs);
  }
  std::filesystem::remove_all(directory);
  std::printf("transactions of %zu B, %d rounds, processor time, medians\n", size, rounds);
  const double base = Median(costs.append);
  Print("primary: Append", costs.append, costs, base);
  Print("sender: ReadRaw", costs.read, costs, base);
  Print("replica: AppendRecords", costs.replay, costs, base);
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
