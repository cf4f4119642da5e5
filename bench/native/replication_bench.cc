// Replication against Berkeley DB 5.3's base API: `replication_bench [DIRECTORY] [CASE...]`.
//
// Two groups of three members each in this process, ours (group_subject.h) and Berkeley DB's
// (bdb_group.h, where the program was built with the library; otherwise ours alone). Windows
// alternate: ours, Berkeley DB's without DB_REP_CONF_BULK, Berkeley DB's with it. A ratio is of one
// round, to the better of its two; medians and extremes over the rounds. Rows of 16 + 100 bytes,
// random, one operation in a transaction; all members on one file system, all rows in memory.
//
// Cases (all where none is named):
//   received  quorum in memory: the primary and one replica have appended and applied. Ours: one
//             writer with 64 outstanding; the members flush in the background all the time, nobody
//             waits for it. Berkeley DB: eight writer threads; nobody flushes.
//   flushed   one replica has flushed. Ours: the same writer, and one with 1,000 outstanding; the
//             primary and the other replica flush as well. Berkeley DB: eight writer threads; both
//             replicas flush, the primary does not.
//   durable   two of the three members have flushed. Berkeley DB: the primary and one replica.
//   apply     a replica that was away applies 100,000 stored transactions while nobody writes; and
//             that over the primary's own commit rate, both alone and at `received`
//   fold      the same with 600,000, in generations of 16 MiB, so that its base folds meanwhile;
//             against the same that may fold nothing
//   readers   the same beside two threads that read rows of the replica; against without
//
// On a machine that others use, wall-clock ratios favour who has more threads: the second ratio, of
// the processor time that a transaction takes in the whole process, depends less on them.
// RINGLEADER_BENCH_ROWS makes everything smaller, to try it out.
#include <cstdio>
#include <cstring>
#include <optional>

#include "group_subject.h"
#ifdef RINGLEADER_BENCH_BDB
#include "bdb_group.h"
#endif

namespace ringleader {
namespace {

constexpr int kRounds = 5;
constexpr double kWindowSeconds = 1;
constexpr size_t kWriterOutstanding = 64;

uint64_t Rows() {
  const char* given = std::getenv("RINGLEADER_BENCH_ROWS");
  return given ? std::strtoull(given, nullptr, 10) : 200'000;
}

double LoadAverage() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? load : 0;
}

// Transactions per second, and what one took of the processors, in microseconds.
struct Window {
  double rate = 0;
  double cpu_us = 0;
};

template <typename Run>
Window Measure(const Run& run) {
  const double cpu = ProcessCpu();
  const double began = Now();
  const double rate = run();
  const double done = rate * (Now() - began);
  return {rate, (ProcessCpu() - cpu) / done * 1e6};
}

#ifdef RINGLEADER_BENCH_BDB

constexpr BdbLevel kReceivedLevel{"received", DB_TXN_NOSYNC, DB_TXN_NOSYNC, 1};
constexpr BdbLevel kFlushedLevel{"flushed", DB_TXN_NOSYNC, DB_TXN_SYNC, 1};
constexpr BdbLevel kDurableLevel{"durable", DB_TXN_SYNC, DB_TXN_SYNC, 1};

// Berkeley DB's group, the better of what it does with bulk transfer and without.
class Peer {
 public:
  Peer(const std::string& directory, uint64_t rows) : group_(directory, rows) {}
  ~Peer() {
    if (group_.unconfirmed() == 0) return;
    std::fprintf(stderr, "replication_bench: Berkeley DB has not confirmed all commits\n");
    std::exit(1);
  }
  std::optional<Window> Commit(const BdbLevel& level) {
    const auto window = [&](bool bulk) {
      return Measure([&] { return group_.CommitPerSecond(level, bulk, kWindowSeconds); });
    };
    const Window plain = window(false);
    const Window bulk = window(true);
    return plain.rate > bulk.rate ? plain : bulk;
  }
  std::optional<Window> Apply(uint64_t count) {
    const BdbGroup::Rates plain = group_.CatchUp(count, false);
    const BdbGroup::Rates bulk = group_.CatchUp(count, true);
    const BdbGroup::Rates& best = plain.applied > bulk.applied ? plain : bulk;
    return Window{best.applied, best.cpu_us};
  }

 private:
  BdbGroup group_;
};

#else

enum BdbLevel { kReceivedLevel, kFlushedLevel, kDurableLevel };

// Nothing to compare with.
class Peer {
 public:
  Peer(const std::string&, uint64_t) {}
  std::optional<Window> Commit(BdbLevel) { return std::nullopt; }
  std::optional<Window> Apply(uint64_t) { return std::nullopt; }
};

#endif

void PrintRange(const std::vector<double>& values) {
  std::printf("%.2f (%.2f-%.2f)", Median(values), Quantile(values, 0), Quantile(values, 1));
}

// What one case comes to over its rounds.
class Figure {
 public:
  void Add(const Window& ours, const std::optional<Window>& peer) {
    ours_.push_back(ours.rate);
    ours_us_.push_back(ours.cpu_us);
    if (!peer) return;
    peers_.push_back(peer->rate);
    peers_us_.push_back(peer->cpu_us);
    ratios_.push_back(ours.rate / peer->rate);
    cpu_ratios_.push_back(peer->cpu_us / ours.cpu_us);
  }
  double rate() const { return Median(ours_); }
  void Print(const char* name, const char* wanted) const {
    std::printf("%s: %.0f /s", name, rate());
    std::printf(", %.1f us of CPU each", Median(ours_us_));
    if (!ratios_.empty()) {
      std::printf("; Berkeley DB %.0f /s, %.1f us; ratio ", Median(peers_), Median(peers_us_));
      PrintRange(ratios_);
      std::printf(", wanted %s; of CPU ", wanted);
      PrintRange(cpu_ratios_);
    }
    std::printf("; load %.1f\n", LoadAverage());
    std::fflush(stdout);
  }

 private:
  std::vector<double> ours_, ours_us_, peers_, peers_us_, ratios_, cpu_ratios_;
};

double Commits(GroupSubject& ours, Peer& peer, const char* name, GroupLevel level,
               size_t outstanding, const BdbLevel& peers_level, const char* wanted) {
  Figure figure;
  for (int round = 0; round < kRounds; ++round) {
    ours.Settle();
    const Window window = Measure([&] { return ours.Commit(level, outstanding, kWindowSeconds); });
    ours.Settle();
    figure.Add(window, peer.Commit(peers_level));
  }
  figure.Print(name, wanted);
  return figure.rate();
}

void Applies(GroupSubject& ours, Peer& peer) {
  Figure figure;
  std::vector<double> to_alone, to_group;
  const uint64_t count = Rows() / 2;
  for (int round = 0; round < kRounds; ++round) {
    const GroupSubject::Rates rates = ours.CatchUp(count);
    to_alone.push_back(rates.applied / rates.committed);
    ours.Settle();
    to_group.push_back(rates.applied / ours.Commit(GroupLevel::kReceived, kWriterOutstanding, 0.3));
    ours.Settle();
    figure.Add({rates.applied, rates.cpu_us}, peer.Apply(count));
  }
  figure.Print("apply", "4");
  std::printf("  to the primary's commits that nobody waits for ");
  PrintRange(to_alone);
  std::printf(", to those at `received` ");
  PrintRange(to_group);
  std::printf(", wanted 2\n");
}

// How fast a replica catches up in two situations that alternate.
template <typename First, typename Second>
void Compare(const char* name, const First& first, const Second& second) {
  std::vector<double> firsts, ratios;
  for (int round = 0; round < 3; ++round) {
    firsts.push_back(first());
    ratios.push_back(firsts.back() / second());
  }
  std::printf("%s: %.0f /s, ratio to without ", name, Median(firsts));
  PrintRange(ratios);
  std::printf("; load %.1f\n", LoadAverage());
  std::fflush(stdout);
}

void BenchFold(const std::string& directory) {
  StoreOptions small;
  small.generation_bytes = uint64_t{16} << 20;
  GroupSubject folding(directory + "/folding", Rows(), small);
  GroupSubject still(directory + "/still", Rows());
  const uint64_t count = 3 * Rows();
  uint64_t folds = 0;
  Compare(
      "apply while the base folds",
      [&] {
        const double rate = folding.CatchUp(count).applied;
        folds += folding.replica(2).store().Stat().folds;
        return rate;
      },
      [&] { return still.CatchUp(count).applied; });
  std::printf("  %llu folds meanwhile\n", static_cast<unsigned long long>(folds));
}

void BenchReaders(GroupSubject& ours) {
  std::vector<double> reads;
  Compare(
      "apply beside two readers",
      [&] {
        GroupSubject::Beside readers;
        readers.threads = 2;
        readers.run = [&](Store& store, const std::atomic<bool>& stop) {
          return ours.ReadRows(store, stop);
        };
        const double rate = ours.CatchUp(3 * Rows(), &readers).applied;
        reads.push_back(readers.per_second);
        return rate;
      },
      [&] { return ours.CatchUp(3 * Rows()).applied; });
  std::printf("  %.0f reads /s meanwhile\n", Median(reads));
}

int Main(int argc, char** argv) {
  const std::string directory = MakeDirectory(argc > 1 ? argv[1] : nullptr);
  const auto wanted = [&](const char* name) {
    return argc < 3 || std::any_of(argv + 2, argv + argc, [&](const char* given) {
             return std::strcmp(name, given) == 0;
           });
  };
  {
    GroupSubject ours(directory + "/ours", Rows());
    Peer peer(directory + "/bdb", Rows());
    if (wanted("received")) {
      Commits(ours, peer, "received", GroupLevel::kReceived, 64, kReceivedLevel, "10");
    }
    if (wanted("flushed")) {
      Commits(ours, peer, "flushed", GroupLevel::kFlushed, 64, kFlushedLevel, "20");
      Commits(ours, peer, "flushed-1000", GroupLevel::kFlushed, 1000, kFlushedLevel, "20");
    }
    if (wanted("durable")) {
      Commits(ours, peer, "durable", GroupLevel::kCommit, 64, kDurableLevel, "none");
    }
    if (wanted("apply")) Applies(ours, peer);
    if (wanted("readers")) BenchReaders(ours);
  }
  if (wanted("fold")) BenchFold(directory);
  std::filesystem::remove_all(directory);
  return 0;
}

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) { return ringleader::Main(argc, argv); }
