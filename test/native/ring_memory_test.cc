// The memory of a ring: what a side shows is sealed, and what it is shown it checks.
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/coding.h"
#include "base/crc32c.h"
#include "child_process.h"
#include "env_posix_mount.h"
#include "link_fixture.h"
#include "ring_pair.h"

namespace ringleader {
namespace {

using namespace test;

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | 0x0010;  // FUTURE_WRITE

RingOffer Offer(size_t side, const RingPairOptions& options = {}) {
  CHECK_VALUE(RingOffer offer, RingOffer::Make(RingOptionsOf(options, side)));
  return offer;
}

Descriptor Copy(int descriptor) {
  Descriptor copy(fcntl(descriptor, F_DUPFD_CLOEXEC, 0));
  CHECK(copy.valid());
  return copy;
}

std::vector<Descriptor> DescriptorsOf(const RingOffer& offer) {
  std::vector<Descriptor> copies;
  for (const int descriptor : offer.descriptors()) copies.push_back(Copy(descriptor));
  return copies;
}

Poller OpenPoller() {
  CHECK_VALUE(Poller poller, Poller::Open());
  return poller;
}

// What the side that was connected to says to these descriptors.
Status Attach(std::vector<Descriptor> theirs) {
  Poller poller = OpenPoller();
  CHECK_VALUE(auto control, UnixPair());
  return RingLink::Attach(Offer(1), std::move(theirs), std::move(control.first), &poller).status();
}

std::vector<uint8_t> ContentOf(int descriptor) {
  struct stat info {};
  CHECK_EQ(fstat(descriptor, &info), 0);
  std::vector<uint8_t> content(static_cast<size_t>(info.st_size));
  CHECK_EQ(pread(descriptor, content.data(), content.size(), 0), info.st_size);
  return content;
}

// Memory of that content and with those seals.
Descriptor Forge(const std::vector<uint8_t>& content, int seals = kSeals) {
  Descriptor memory(memfd_create("forged", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  CHECK(memory.valid());
  CHECK_EQ(pwrite(memory.get(), content.data(), content.size(), 0),
           static_cast<ssize_t>(content.size()));
  CHECK_EQ(fcntl(memory.get(), F_ADD_SEALS, seals), 0);
  return memory;
}

std::vector<Descriptor> With(const RingOffer& offer, size_t which, Descriptor other) {
  auto theirs = DescriptorsOf(offer);
  theirs[which] = std::move(other);
  return theirs;
}

void Reseal(std::vector<uint8_t>* content) {
  const Bytes before = Bytes(*content).first(offsetof(RingHeader, checksum));
  StoreLe(content->data() + before.size(), MaskCrc(Crc32c(before)));
}

TEST(ring_memory, an_offer_is_taken) {
  CHECK_OK(Attach(DescriptorsOf(Offer(0))));
  RingPairOptions padded;
  padded.map_twice = false;
  CHECK_OK(Attach(DescriptorsOf(Offer(0, padded))));
}

TEST(ring_memory, nobody_else_can_change_it) {
  const RingOffer offer = Offer(0);
  for (const size_t which : {0, 1}) {
    const int memory = offer.descriptors()[which];
    CHECK_EQ(fcntl(memory, F_GET_SEALS) & kSeals, kSeals);
    CHECK(ftruncate(memory, 0) != 0 && errno == EPERM);
    CHECK(ftruncate(memory, 1 << 30) != 0 && errno == EPERM);
    CHECK(pwrite(memory, "x", 1, 0) < 0 && errno == EPERM);
    CHECK(fallocate(memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) != 0);
    CHECK(mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) == MAP_FAILED);
    // Not by way of its name either.
    const std::string name = "/proc/self/fd/" + std::to_string(memory);
    const Descriptor again(open(name.c_str(), O_RDWR | O_CLOEXEC));
    CHECK(mmap(nullptr, 4096, PROT_WRITE, MAP_SHARED, again.get(), 0) == MAP_FAILED);
  }
}

TEST(ring_memory, what_is_attached_cannot_be_written) {
  const RingOffer offer = Offer(0);
  const RingExpectation expected{kProducerMagic, 1, RingOptionsOf({}, 0).session, RingPageBytes()};
  CHECK_VALUE(const RingSegment segment,
              RingSegment::Attach(Copy(offer.descriptors()[0]), expected));
  Child writer([&] {
    std::signal(SIGSEGV, SIG_DFL);
    *static_cast<volatile uint8_t*>(segment.data()) = 1;
  });
  CHECK_EQ(writer.JoinKilled(), SIGSEGV);
  // Nor made writable.
  CHECK(mprotect(segment.page(), RingPageBytes(), PROT_READ | PROT_WRITE) != 0);
}

TEST(ring_memory, the_data_lies_behind_itself) {
  CHECK_VALUE(const RingSegment segment, RingSegment::Create("test", kMinRingBytes, true));
  CHECK(segment.twice());
  segment.data()[0] = 17;
  CHECK_EQ(segment.data()[kMinRingBytes], 17);
  segment.data()[2 * kMinRingBytes - 1] = 18;
  CHECK_EQ(segment.data()[kMinRingBytes - 1], 18);
}

TEST(ring_memory, every_seal_counts) {
  const RingOffer offer = Offer(0);
  for (const size_t which : {0, 1}) {
    const auto content = ContentOf(offer.descriptors()[which]);
    CHECK_OK(Attach(With(offer, which, Forge(content))));
    for (const int seal : {F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SEAL, 0x0010}) {
      CHECK_CODE(Attach(With(offer, which, Forge(content, kSeals & ~seal))), Code::kCorruption);
    }
  }
}

TEST(ring_memory, every_byte_of_a_header_counts) {
  const RingOffer offer = Offer(0);
  for (const size_t which : {0, 1}) {
    const auto content = ContentOf(offer.descriptors()[which]);
    for (size_t at = 0; at < sizeof(RingHeader); ++at) {
      auto damaged = content;
      damaged[at] ^= 0x40;
      const Status status = Attach(With(offer, which, Forge(damaged)));
      CHECK(status.code() == Code::kCorruption || status.code() == Code::kNewerFormat);
      if (at >= offsetof(RingHeader, checksum)) continue;
      Reseal(&damaged);  // and who knows how to make a checksum gets no further
      const Status resealed = Attach(With(offer, which, Forge(damaged)));
      const bool later = at == offsetof(RingHeader, version) || at == 5;
      CHECK(later ? resealed.ok() : !resealed.ok());
    }
  }
}

TEST(ring_memory, later_versions) {
  const RingOffer offer = Offer(0);
  auto content = ContentOf(offer.descriptors()[0]);
  StoreLe(&content[offsetof(RingHeader, version)], uint16_t{kRingVersion + 1});
  Reseal(&content);
  CHECK_OK(Attach(With(offer, 0, Forge(content))));
  StoreLe(&content[offsetof(RingHeader, lowest_reader)], uint16_t{kRingVersion + 1});
  Reseal(&content);
  CHECK_CODE(Attach(With(offer, 0, Forge(content))), Code::kNewerFormat);
}

TEST(ring_memory, its_size_is_what_it_says) {
  const RingOffer offer = Offer(0);
  const auto content = ContentOf(offer.descriptors()[0]);
  for (const size_t size : {size_t{0}, sizeof(RingHeader) - 1, sizeof(RingHeader), RingPageBytes(),
                            content.size() - 1, content.size() + 1}) {
    auto other = content;
    other.resize(size);
    CHECK_CODE(Attach(With(offer, 0, Forge(other))), Code::kCorruption);
  }
  for (const uint64_t capacity : {uint64_t{0}, uint64_t{1}, kMinRingBytes / 2, kMinRingBytes + 1,
                                  kMaxRingBytes * 2, ~uint64_t{0}, uint64_t{1} << 63}) {
    auto other = content;
    StoreLe(&other[offsetof(RingHeader, capacity)], capacity);
    Reseal(&other);
    CHECK_CODE(Attach(With(offer, 0, Forge(other))), Code::kCorruption);
  }
}

TEST(ring_memory, capacities) {
  for (const size_t capacity : {kMinRingBytes, 2 * kMinRingBytes, kMaxRingBytes}) {
    RingPairOptions options;
    options.capacity_bytes[0] = capacity;
    CHECK_OK(Attach(DescriptorsOf(Offer(0, options))));
  }
  for (const size_t capacity : {size_t{0}, kMinRingBytes / 2, kMinRingBytes - 1, kMinRingBytes + 1,
                                3 * kMinRingBytes, kMaxRingBytes * 2}) {
    RingOptions options;
    options.capacity_bytes = capacity;
    CHECK_CODE(RingOffer::Make(options).status(), Code::kInvalidArgument);
  }
}

TEST(ring_memory, what_is_no_memory_is_refused) {
  const RingOffer offer = Offer(0);
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  const Descriptor reading(ends[0]), writing(ends[1]);
  const std::string path = TempDir() + "/file";
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  const Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  for (const size_t which : {0, 1}) {
    for (const int other : {reading.get(), writing.get(), file.get(), bell.get()}) {
      CHECK(!Attach(With(offer, which, Copy(other))).ok());
    }
    // One segment for the other.
    CHECK_CODE(Attach(With(offer, which, Copy(offer.descriptors()[1 - which]))), Code::kCorruption);
  }
  auto few = DescriptorsOf(offer);
  few.pop_back();
  CHECK_CODE(Attach(std::move(few)), Code::kCorruption);
}

TEST(ring_memory, what_is_no_bell_is_refused) {
  const RingOffer offer = Offer(0);
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const Descriptor reading(ends[0]), writing(ends[1]);
  const Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  const Descriptor waits(eventfd(0, EFD_CLOEXEC));
  for (const int other : {reading.get(), writing.get(), timer.get(), waits.get()}) {
    CHECK_CODE(Attach(With(offer, 2, Copy(other))), Code::kCorruption);
  }
}

TEST(ring_memory, an_offer_of_ones_own_or_of_others_is_refused) {
  CHECK_CODE(Attach(DescriptorsOf(Offer(1))), Code::kCorruption);
  RingOptions options = RingOptionsOf({}, 0);
  options.session[15] ^= 1;
  CHECK_VALUE(const RingOffer other, RingOffer::Make(options));
  CHECK_CODE(Attach(DescriptorsOf(other)), Code::kCorruption);
}

TEST(ring_memory, the_control_socket_is_a_unix_stream) {
  Poller poller = OpenPoller();
  const Descriptor bell(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  CHECK(!RingLink::Attach(Offer(1), DescriptorsOf(Offer(0)), Copy(bell.get()), &poller).ok());
  int ends[2];
  CHECK_EQ(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, ends), 0);
  const Descriptor first(ends[0]), second(ends[1]);
  CHECK_CODE(
      RingLink::Attach(Offer(1), DescriptorsOf(Offer(0)), Copy(first.get()), &poller).status(),
      Code::kInvalidArgument);
}

// Rings live in no file system that somebody has made too small.
TEST(ring_memory, a_small_dev_shm_does_not_matter) {
  WithMount("tmpfs", "size=1m", [](const std::string& directory) {
    CHECK_EQ(mount(directory.c_str(), "/dev/shm", nullptr, MS_BIND, nullptr), 0);
    std::ofstream("/dev/shm/filled") << std::string(1 << 20, 'x') << std::flush;
    Poller first = OpenPoller(), second = OpenPoller();
    CHECK_VALUE(RingLinks links, MakeRingLinks(&first, &second));
    TestReader reader;
    CHECK_OK(SendTest(*links.first, Lane::kLog, 0, 4'000'000).status());
    CHECK_OK(links.first->Flush());
    CHECK_OK(ReceiveAll(*links.second, &reader));
    CHECK_EQ(reader.taken(), 1u);
  });
}

size_t EntriesOf(const char* directory) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    count += !entry.path().empty();
  }
  return count;
}

size_t Mappings() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) ++count;
  return count;
}

TEST(ring_memory, a_thousand_links_leave_nothing) {
  Poller first = OpenPoller(), second = OpenPoller();
  RingPairOptions small;
  small.capacity_bytes[0] = kMinRingBytes;
  const auto connect = [&] {
    CHECK_VALUE(RingLinks links, MakeRingLinks(&first, &second, small));
    CHECK_OK(SendTest(*links.first, Lane::kLog, 0, 300).status());
    CHECK_OK(links.first->Flush());
    // Refused in the middle, too.
    CHECK(!Attach(DescriptorsOf(Offer(1))).ok());
  };
  connect();
  const size_t descriptors = EntriesOf("/proc/self/fd");
  const size_t threads = EntriesOf("/proc/self/task");
  const size_t mappings = Mappings();
  for (int i = 0; i < 1000; ++i) connect();
  CHECK_EQ(EntriesOf("/proc/self/fd"), descriptors);
  CHECK_EQ(EntriesOf("/proc/self/task"), threads);
  CHECK(Mappings() <= mappings + 4);  // those of the heap
}

// What a process has published before it was killed is there, and then the end.
TEST(ring_memory, a_killed_peer_has_sent_what_it_has_flushed) {
  CHECK_VALUE(auto control, UnixPair());
  constexpr uint64_t kMessages = 500;
  Child peer([&] {
    control.second.Reset();
    Poller poller = OpenPoller();
    RingOffer offer = Offer(0);
    CHECK_OK(SendOffer(control.first, offer));
    const auto attach = [&]() -> Result<std::unique_ptr<RingLink>> {
      for (;;) {
        auto theirs = ReceiveDescriptors(control.first.get(), 1, RingOffer::kDescriptors);
        if (theirs.ok()) {
          return RingLink::Attach(std::move(offer), std::move(theirs->descriptors),
                                  std::move(control.first), &poller);
        }
        if (theirs.status().code() != Code::kBusy) return theirs.status();
        usleep(1000);
      }
    };
    CHECK_VALUE(const auto link, attach());
    for (uint64_t i = 0; i < kMessages; ++i) {
      CHECK_OK(SendTest(*link, Lane::kLog, i, 1000).status());
    }
    CHECK_OK(link->Flush());
    CHECK_OK(SendTest(*link, Lane::kLog, kMessages, 1000).status());  // never flushed
    raise(SIGKILL);
  });
  control.first.Reset();
  Poller poller = OpenPoller();
  RingOffer offer = Offer(1);
  CHECK_OK(SendOffer(control.second, offer));
  CHECK_EQ(peer.JoinKilled(), SIGKILL);
  CHECK_VALUE(const auto link, AttachToOffer(std::move(offer), std::move(control.second), &poller));
  TestReader reader;
  Status status;
  while ((status = ReceiveAll(*link, &reader)).ok()) CHECK_OK(poller.Wait(1'000'000));
  CHECK_CODE(status, Code::kClosed);
  CHECK_EQ(reader.taken(), kMessages);
}

TEST(ring_memory, a_word_on_the_control_socket_ends_the_link) {
  Poller poller = OpenPoller();
  CHECK_VALUE(auto control, UnixPair());
  CHECK_VALUE(const auto link, RingLink::Attach(Offer(1), DescriptorsOf(Offer(0)),
                                                std::move(control.first), &poller));
  CHECK_EQ(write(control.second.get(), "x", 1), 1);
  CHECK_OK(poller.Wait(1'000'000'000));
  std::vector<uint8_t> out;
  CHECK_CODE(link->Receive(1, &out).status(), Code::kCorruption);
  CHECK_CODE(link->Flush(), Code::kCorruption);
  CHECK(!link->PrepareSleep());
  CHECK_EQ(link->Room(Lane::kUrgent), 0u);
}

TEST(ring_memory, beats_go_on_while_a_side_goes_round) {
  Poller first = OpenPoller(), second = OpenPoller();
  CHECK_VALUE(RingLinks links, MakeRingLinks(&first, &second));
  const RingBeats before = links.second->OtherBeats();
  std::vector<uint8_t> out;
  CHECK_OK(links.first->Flush());
  CHECK_OK(links.first->Receive(1, &out).status());
  const RingBeats after = links.second->OtherBeats();
  CHECK(after.producer > before.producer && after.consumer > before.consumer);
}

}  // namespace
}  // namespace ringleader
