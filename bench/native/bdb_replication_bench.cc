// Berkeley DB 5.3 as a replicated group: `bdb_replication_bench [DIRECTORY] [CASE...]`.
//
// Cases (both where none is named), medians and extremes of alternating windows; bdb_group.h has
// the group, its transport and its settings. Rows of 16 + 100 bytes, random, all in memory.
//   commit  eight threads with one-operation transactions, one line for each level:
//             received   in the memory of the primary and of one replica, no write, no flush
//             written    the primary has handed it to the operating system; the replica as above,
//                        because what 5.3 does at a replica for DB_TXN_WRITE_NOSYNC is to flush
//             flushed    flushed by one replica; the primary does not
//             durable    flushed by the primary and by one replica: two of three copies
//           A replica confirms when it has applied, at every level: the API knows no other way.
//   apply   transactions per second of a replica that was away while the primary wrote 100,000,
//           none flushed; that over the rate at which the primary wrote them, alone; and how
//           long the replica took before it applied the first
// Each window is run with DB_REP_CONF_BULK and without; the line leads with the better median.
// It ends by itself, after five minutes at the latest. Built where CMake finds the library.
#include <cstdio>

#ifdef RINGLEADER_BENCH_BDB

#include <unistd.h>

#include <cstring>

#include "bdb_group.h"

namespace ringleader {
namespace {

constexpr int kRounds = 5;
constexpr int kApplyRounds = 3;  // each writes everything first
constexpr double kWindowSeconds = 1;
constexpr auto kLimit = std::chrono::minutes(5);

constexpr BdbLevel kLevels[] = {
    {"received", DB_TXN_NOSYNC, DB_TXN_NOSYNC, 1},
    {"written", DB_TXN_WRITE_NOSYNC, DB_TXN_NOSYNC, 1},
    {"flushed", DB_TXN_NOSYNC, DB_TXN_SYNC, 1},
    {"durable", DB_TXN_SYNC, DB_TXN_SYNC, 1},
};

// RINGLEADER_BENCH_ROWS makes everything smaller, to try it out.
uint64_t Rows() {
  const char* given = std::getenv("RINGLEADER_BENCH_ROWS");
  return given ? std::strtoull(given, nullptr, 10) : 200'000;
}

// Removes the directory however the program ends, and ends it when it takes too long.
class Guard {
 public:
  explicit Guard(const std::string& directory) {
    directory_ = directory;
    std::atexit([] {
      std::error_code ignored;
      std::filesystem::remove_all(directory_, ignored);
    });
    std::thread([] {
      std::this_thread::sleep_for(kLimit);
      std::fprintf(stderr, "bdb_replication_bench: no end in sight\n");
      std::error_code ignored;
      std::filesystem::remove_all(directory_, ignored);
      _exit(1);
    }).detach();
  }

 private:
  static inline std::string directory_;
};

// One figure, with bulk transfer ([1]) and without ([0]).
class Figure {
 public:
  void Add(bool bulk, double value, double ratio = 0) {
    values_[bulk].push_back(value);
    ratios_[bulk].push_back(ratio);
  }
  void Print(const std::string& name, const char* ratio_to = nullptr) const {
    const bool bulk = Median(values_[1]) > Median(values_[0]);
    const std::vector<double>& best = values_[bulk];
    const auto [least, most] = std::minmax_element(best.begin(), best.end());
    std::printf("%-16s Berkeley DB %.2f /s (%.2f-%.2f), bulk %s, otherwise %.2f /s", name.c_str(),
                Median(best), *least, *most, bulk ? "on" : "off", Median(values_[!bulk]));
    if (ratio_to != nullptr) std::printf(", ratio to %s %.2f", ratio_to, Median(ratios_[bulk]));
    std::printf("\n");
    std::fflush(stdout);
  }

 private:
  std::vector<double> values_[2], ratios_[2];
};

void Commits(BdbGroup& group) {
  for (const BdbLevel& level : kLevels) {
    Figure figure;
    for (int round = 0; round < kRounds; ++round) {
      for (const bool bulk : {false, true}) {
        figure.Add(bulk, group.CommitPerSecond(level, bulk, kWindowSeconds));
      }
    }
    figure.Print(std::string("commit-") + level.name);
  }
}

void Applies(BdbGroup& group) {
  const uint64_t count = Rows() / 2;
  Figure figure;
  std::vector<double> starts;
  for (int round = 0; round < kApplyRounds; ++round) {
    for (const bool bulk : {false, true}) {
      const BdbGroup::Rates rates = group.CatchUp(count, bulk);
      figure.Add(bulk, rates.applied, rates.applied / rates.committed);
      starts.push_back(rates.started_s);
    }
  }
  figure.Print("apply", "its primary's commits");
  std::printf("%-16s Berkeley DB %.2f s\n", "apply-start", Median(starts));
}

int Main(int argc, char** argv) {
  const std::string directory = MakeDirectory(argc > 1 ? argv[1] : nullptr);
  const Guard guard(directory);
  const auto wanted = [&](const char* name) {
    return argc < 3 || std::any_of(argv + 2, argv + argc, [&](const char* given) {
             return std::strcmp(name, given) == 0;
           });
  };
  BdbGroup group(directory, Rows());
  if (wanted("commit")) Commits(group);
  if (wanted("apply")) Applies(group);
  if (group.unconfirmed() == 0) return 0;
  std::fprintf(stderr, "bdb_replication_bench: %llu commits were not confirmed\n",
               static_cast<unsigned long long>(group.unconfirmed()));
  return 1;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }

#else

int main() {
  std::printf("left out: built without Berkeley DB 5.3 (db.h, libdb-5.3)\n");
  return 0;
}

#endif
