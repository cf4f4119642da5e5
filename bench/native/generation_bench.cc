// What one generation of the overlay costs: `generation_bench [ROUNDS] [NODES...]`.
//
// CPU time of this thread (getrusage) per operation, in shared memory that has been touched before:
// inserts of new rows and of newer versions, point reads that hit and that miss, rows of a scan in
// both directions. Row keys are 4 + 16 random bytes, values 100 bytes. Every round uses a fresh
// generation; a line shows the median round. `ordered` inserts the same rows in ascending order.
#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "store/generation.h"

namespace ringleader {
namespace {

constexpr size_t kKeyBytes = 16;
constexpr size_t kRowKeyBytes = kRowPrefixBytes + kKeyBytes;
constexpr size_t kValueBytes = 100;
constexpr DatabaseId kDatabase = 3;

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "generation_bench: %s\n", what);
  std::exit(1);
}

double CpuMicros() {
  rusage usage;
  getrusage(RUSAGE_THREAD, &usage);
  const auto micros = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

class SharedPages {
 public:
  explicit SharedPages(size_t size) : size_(size) {
    at_ = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1,
               0);
    if (at_ == MAP_FAILED) Die("mmap");
  }
  SharedPages(const SharedPages&) = delete;
  SharedPages& operator=(const SharedPages&) = delete;
  ~SharedPages() { munmap(at_, size_); }

  MutableBytes bytes() { return {static_cast<uint8_t*>(at_), size_}; }

 private:
  const size_t size_;
  void* at_;
};

class RowKeys {
 public:
  RowKeys(size_t count, uint64_t seed) : bytes_(count * kRowKeyBytes), order_(count) {
    std::mt19937_64 random(seed);
    for (size_t i = 0; i < count; ++i) {
      uint8_t* at = bytes_.data() + i * kRowKeyBytes;
      StoreRowPrefix(at, kDatabase);
      for (size_t j = 0; j < kKeyBytes; j += 8) {
        const uint64_t word = random();
        std::memcpy(at + kRowPrefixBytes + j, &word, sizeof word);
      }
    }
    std::iota(order_.begin(), order_.end(), size_t{0});
  }

  size_t count() const { return order_.size(); }
  Bytes operator[](size_t i) const {
    return {bytes_.data() + order_[i] * kRowKeyBytes, kRowKeyBytes};
  }
  void Shuffle(uint64_t seed) {
    std::mt19937_64 random(seed);
    std::shuffle(order_.begin(), order_.end(), random);
  }
  void Sort() {
    std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) {
      return std::memcmp(&bytes_[a * kRowKeyBytes], &bytes_[b * kRowKeyBytes], kRowKeyBytes) < 0;
    });
  }

 private:
  std::vector<uint8_t> bytes_;
  std::vector<size_t> order_;
};

double PerOperation(size_t count, const std::function<void()>& work) {
  const double before = CpuMicros();
  work();
  return (CpuMicros() - before) / static_cast<double>(count);
}

enum Figure { kInsert, kOrdered, kUpdate, kHit, kMiss, kNext, kPrev, kFigures };
constexpr const char* kNames[kFigures] = {"insert", "ordered", "update", "hit",
                                          "miss",   "next",    "prev"};

class Run {
 public:
  explicit Run(size_t nodes) : nodes_(nodes), keys_(nodes, 1), others_(nodes, 2) {
    value_.fill(7);
    for (std::vector<double>& series : figures_) series.clear();
  }

  void Round(uint64_t seed) {
    keys_.Sort();
    {
      SharedPages pages(Size(1));
      Generation generation = Fresh(pages);
      Add(kOrdered, [&] { InsertAll(generation, Lsn(1)); });
    }
    keys_.Shuffle(seed);
    SharedPages pages(Size(2));
    Generation generation = Fresh(pages);
    Add(kInsert, [&] { InsertAll(generation, Lsn(1)); });
    bytes_per_row_ = static_cast<double>(generation.used_bytes()) / static_cast<double>(nodes_);
    keys_.Shuffle(seed + 1);
    Add(kHit, [&] { FindAll(generation, keys_, Found::kValue); });
    Add(kMiss, [&] { FindAll(generation, others_, Found::kNothing); });
    Add(kNext,
        [&] { Walk(generation, &Generation::Cursor::Next, &Generation::Cursor::SeekAtLeast); });
    Add(kPrev,
        [&] { Walk(generation, &Generation::Cursor::Prev, &Generation::Cursor::SeekBelow); });
    keys_.Shuffle(seed + 2);
    Add(kUpdate, [&] { InsertAll(generation, Lsn(2)); });
  }

  void Print() {
    std::printf("%9zu %10.1f", nodes_, bytes_per_row_);
    for (std::vector<double>& series : figures_) {
      std::nth_element(series.begin(), series.begin() + static_cast<ptrdiff_t>(series.size() / 2),
                       series.end());
      std::printf(" %8.3f", series[series.size() / 2]);
    }
    std::printf("\n");
  }

 private:
  uint64_t Size(uint64_t inserts) const {
    return Generation::BytesFor(nodes_ * inserts *
                                Generation::InsertBytes(kRowKeyBytes, kValueBytes));
  }
  static Generation Fresh(SharedPages& pages) {
    Generation::Format(pages.bytes(), 1, 1);
    auto attached = Generation::Attach(pages.bytes());
    if (!attached.ok()) Die("attach");
    return attached.value();
  }
  void Add(Figure figure, const std::function<void()>& work) {
    figures_[figure].push_back(PerOperation(nodes_, work));
  }

  void InsertAll(Generation& generation, Lsn lsn) {
    for (size_t i = 0; i < nodes_; ++i) {
      const Bytes key = keys_[i];
      if (!generation.Insert(lsn, key, generation.Hash(key), false, value_).ok()) Die("insert");
    }
  }
  static void FindAll(const Generation& generation, const RowKeys& keys, Found expected) {
    Row row;
    for (size_t i = 0; i < keys.count(); ++i) {
      const Bytes key = keys[i];
      if (generation.Find(key, generation.Hash(key), Lsn(1), &row) != expected) Die("find");
    }
  }
  void Walk(const Generation& generation, bool (Generation::Cursor::*step)(),
            bool (Generation::Cursor::*seek)(Bytes)) {
    Generation::Cursor cursor(generation);
    size_t rows = 0;
    uint64_t sum = 0;
    Row row;
    for (bool on = (cursor.*seek)({}); on; on = (cursor.*step)(), ++rows) {
      if (cursor.Read(Lsn(1), &row) != Found::kValue) Die("read");
      sum += row.value[0] + cursor.row_key()[4];
    }
    if (rows != nodes_ || sum == 0) Die("scan");
  }

  const size_t nodes_;
  RowKeys keys_;
  RowKeys others_;
  std::array<uint8_t, kValueBytes> value_;
  double bytes_per_row_ = 0;
  std::vector<double> figures_[kFigures];
};

}  // namespace
}  // namespace ringleader

int main(int argc, char** argv) {
  const uint64_t rounds = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 5;
  std::vector<size_t> sizes;
  for (int i = 2; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {100'000, 500'000, 1'000'000};
  if (rounds == 0 || std::find(sizes.begin(), sizes.end(), 0u) != sizes.end()) {
    std::fprintf(stderr, "usage: generation_bench [ROUNDS] [NODES...]\n");
    return 2;
  }
  std::printf("CPU us per operation, median of %llu rounds\n%9s %10s",
              static_cast<unsigned long long>(rounds), "nodes", "bytes/row");
  for (const char* name : ringleader::kNames) std::printf(" %8s", name);
  std::printf("\n");
  for (const size_t nodes : sizes) {
    ringleader::Run run(nodes);
    for (uint64_t round = 0; round < rounds; ++round) run.Round(round * 10 + 1);
    run.Print();
  }
  return 0;
}
