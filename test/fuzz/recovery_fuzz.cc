// Opens logs whose files have been damaged at will.
//
// The input is a list of edits to the files of a small healthy log: bytes overwritten, runs copied
// from elsewhere, files cut short, records and pages sealed again so that the checks behind the
// checksum are reached too, the region scribbled on. Whatever the damage: opening, reading,
// verifying and appending end in a value or a typed error; and as long as nothing was sealed with a
// fresh checksum, every transaction read is one that was written.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "base/coding.h"
#include "base/crc32c.h"
#include "env/sim/sim_env.h"
#include "input.h"
#include "log/log.h"

namespace ringleader {
namespace {

constexpr char kDirectory[] = "env";
constexpr uint64_t kRecords = 150;

LogOptions Options() {
  LogOptions options;
  options.segment_bytes = kMinSegmentBytes;
  options.ring_bytes = kMinRingBytes;
  options.service_threads = false;
  return options;
}

void Require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "recovery_fuzz: %s\n", what);
  std::abort();
}

std::vector<uint8_t> PayloadOf(uint64_t number) {
  std::vector<uint8_t> payload(sizeof number + number * 37 % 1500,
                               static_cast<uint8_t>(number * 31 + 7));
  StoreLe(payload.data(), number);
  return payload;
}

// The healthy log: three segments in use, one prepared; closed by the death of its process.
class Original {
 public:
  Original() : world_({.seed = 7}) {
    SimProcess& process = world_.StartProcess();
    auto log = Log::Open(process.env(), kDirectory, Options());
    Require(log.ok(), "the original log does not open");
    for (uint64_t i = 0; i < kRecords; ++i) {
      const std::vector<uint8_t> payload = PayloadOf(i);
      Entry entry;
      entry.payload = payload;
      const auto at = log.value()->Append(entry);
      Require(at.ok() && log.value()->WaitFor(at.value().end, Level::kFlushed).ok(), "append");
    }
    Require(log.value()->Tick().ok(), "tick");
    log_ = std::move(log).value();  // never closed
  }

  std::unique_ptr<SimDisk> Copy() {
    return world_.disk().CrashState(world_.disk().last_op(), CrashPolicy::Everything(), 1);
  }

 private:
  SimWorld world_;
  std::unique_ptr<Log> log_;
};

class Damage {
 public:
  Damage(Env& env, FuzzInput& input) : env_(env), input_(input) {}

  void Apply() {
    for (int edits = 0; !input_.empty() && edits < 32; ++edits) One();
  }
  // Checksums have been made to fit: the contents prove nothing any more.
  bool sealed() const { return sealed_; }

 private:
  std::string AnyFile() {
    const uint64_t choice = input_.Take(1) % 6;
    if (choice == 4) return "env/control";
    if (choice == 5) return "env/log/prepare.tmp";
    return "env/log/" + SegmentName(Lsn(choice * kMinSegmentBytes));
  }

  void One() {
    const uint64_t kind = input_.Take(1) % 8;
    const std::string path = AnyFile();
    if (kind == 6) {
      const Status ignored = env_.files.Remove(path);
      (void)ignored;
      return;
    }
    auto opened = env_.files.Open(path, OpenMode::kCreate);
    if (!opened.ok()) return;
    File& file = *opened.value();
    const uint64_t offset = input_.Take(2);
    switch (kind) {
      case 0:
      case 1:
        Overwrite(file, offset, input_.Take(1) % 16 + 1);
        break;
      case 2:
        Copy(file, offset, input_.Take(2), input_.Take(2));
        break;
      case 3:
        SealRecord(file, offset & ~uint64_t{7});
        break;
      case 4:
        SealPage(file, path == "env/control");
        break;
      case 5:
        Ignore(file.Truncate(offset));
        break;
      default:
        Ignore(file.WriteAt(offset, std::vector<uint8_t>(input_.Take(2))));
        break;
    }
  }

  void Overwrite(File& file, uint64_t offset, uint64_t count) {
    std::vector<uint8_t> bytes(count);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(input_.Take(1));
    Ignore(file.WriteAt(offset, bytes));
  }

  void Copy(File& file, uint64_t to, uint64_t from, uint64_t size) {
    std::vector<uint8_t> bytes(size);
    Ignore(file.ReadAt(from, bytes).status());
    Ignore(file.WriteAt(to, bytes));
  }

  // A field of a record header gets a new value and the header a fitting checksum.
  void SealRecord(File& file, uint64_t offset) {
    RecordHeader header;
    const MutableBytes bytes(reinterpret_cast<uint8_t*>(&header), sizeof header);
    const auto got = file.ReadAt(offset, bytes);
    if (!got.ok() || got.value() != sizeof header) return;
    bytes[input_.Take(1) % 36] = static_cast<uint8_t>(input_.Take(1));
    SealRecordHeader(header);
    Ignore(file.WriteAt(offset, bytes));
    sealed_ = true;
  }

  void SealPage(File& file, bool control) {
    std::vector<uint8_t> page(kSegmentPageBytes);
    const uint64_t at = control ? input_.Take(1) % 2 * kControlSlotBytes : 0;
    const size_t crc = control ? kControlSlotBytes - 4 : 68;
    Ignore(file.ReadAt(at, page).status());
    page[input_.Take(1) % (control ? 250 : 72)] = static_cast<uint8_t>(input_.Take(1));
    StoreLe(page.data() + crc, MaskCrc(Crc32c(Bytes(page).first(crc))));
    Ignore(file.WriteAt(at, page));
    sealed_ = true;
  }

  static void Ignore(const Status& status) { (void)status; }

  Env& env_;
  FuzzInput& input_;
  bool sealed_ = false;
};

void CheckReading(Log& log, bool sealed) {
  const std::unique_ptr<LogReader> reader = log.Read(log.Stat().start);
  for (;;) {
    const auto entry = reader->Next();
    if (!entry.ok() || !entry.value()) return;
    if (sealed) continue;
    const Bytes payload = entry.value()->payload;
    Require(payload.size() >= 8, "a transaction that was never written");
    const uint64_t number = LoadLe<uint64_t>(payload.data());
    Require(number < kRecords && std::ranges::equal(payload, PayloadOf(number)),
            "a transaction that was never written");
  }
}

void Fuzz(Bytes bytes) {
  static Original& original = *new Original();  // kept: opening it again costs more than the rest
  FuzzInput input(bytes);
  SimWorld world({.seed = 3}, original.Copy());
  SimProcess& process = world.StartProcess();
  Damage damage(process.env(), input);
  damage.Apply();
  auto opened = Log::Open(process.env(), kDirectory, Options());
  if (!opened.ok()) return;
  Log& log = *opened.value();
  CheckReading(log, damage.sealed());
  (void)log.Verify().ok();
  const std::vector<uint8_t> payload = PayloadOf(3);
  Entry entry;
  entry.payload = payload;
  for (int i = 0; i < 3; ++i) {
    const auto at = log.Append(entry);
    if (!at.ok() || !log.WaitFor(at.value().end, Level::kFlushed).ok()) break;
  }
  const Status ticked = log.Tick();
  const Status closed = log.Close();
  if (!ticked.ok() || !closed.ok()) return;
  const auto again = Log::Open(process.env(), kDirectory, Options());
  Require(again.ok(), "a log that was closed in order does not open again");
}

}  // namespace
}  // namespace ringleader

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  ringleader::Fuzz({data, size});
  return 0;
}
