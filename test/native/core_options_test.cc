// Which options of the protocol are none.
#include "core/options.h"
#include "harness.h"

namespace ringleader {
namespace {

using namespace test;

CoreOptions Good() {
  CoreOptions options;
  options.self = MemberId(1);
  options.incarnation = Incarnation(0xa);
  return options;
}

bool Refused(const CoreOptions& options) {
  const Status status = CheckOptions(options);
  if (!status.ok()) CHECK_EQ(status.code(), Code::kInvalidArgument);
  return !status.ok();
}

// The values around both ends of what an option may be.
template <typename T>
void CheckRange(T CoreOptions::*option, T least, T most) {
  CoreOptions options = Good();
  for (const T good : {least, static_cast<T>(least + 1), static_cast<T>(most - 1), most}) {
    options.*option = good;
    CHECK_OK(CheckOptions(options));
  }
  options.*option = static_cast<T>(most + 1);
  CHECK(Refused(options));
  if (least == 0) return;
  options.*option = static_cast<T>(least - 1);
  CHECK(Refused(options));
}

TEST(core_options, who) {
  CHECK_OK(CheckOptions(Good()));
  CoreOptions options = Good();
  options.self = kNobody;
  CHECK(Refused(options));
  options = Good();
  options.incarnation = Incarnation();
  CHECK(Refused(options));
  options = Good();
  options.kind = static_cast<MemberKind>(4);
  CHECK(Refused(options));
  options = Good();
  options.two_members = static_cast<TwoMembers>(0);
  CHECK(Refused(options));
  options.two_members = TwoMembers::kPreferred;
  CHECK(Refused(options));
  options.preferred = MemberId(1);
  CHECK_OK(CheckOptions(options));
}

TEST(core_options, times) {
  const Nanos third = Good().election_timeout / 3;
  CheckRange(&CoreOptions::heartbeat_interval, Nanos{1}, third);
  CheckRange(&CoreOptions::election_timeout, 3 * Good().heartbeat_interval, kMaxOptionTime);
  CheckRange(&CoreOptions::canvass_wait, Nanos{0}, kMaxOptionTime);
  CheckRange(&CoreOptions::full_election_wait, Nanos{0}, kMaxOptionTime);
  CheckRange(&CoreOptions::request_wait_min, Nanos{1}, Good().request_wait_max);
  CheckRange(&CoreOptions::request_wait_max, Good().request_wait_min, kMaxOptionTime);
  CheckRange(&CoreOptions::handover_timeout, Nanos{1}, kMaxOptionTime);
  CheckRange(&CoreOptions::lease, Good().heartbeat_interval + 1, kMaxOptionTime);
  CheckRange(&CoreOptions::clock_drift_ppm, uint32_t{0}, kMaxClockDriftPpm);
  CoreOptions options = Good();
  options.election_timeout = 0;
  options.heartbeat_interval = 0;
  CHECK(Refused(options));
}

TEST(core_options, sizes) {
  CheckRange(&CoreOptions::append_bytes, kMinAppendBytes, kMaxAppendBytes);
  CheckRange(&CoreOptions::window_bytes, Good().append_bytes, kMaxWindowBytes);
  CheckRange(&CoreOptions::snapshot_piece_bytes, kMinAppendBytes, kMaxSnapshotPieceBytes);
  for (const size_t size : {kMaxContactBytes - 1, kMaxContactBytes, kMaxContactBytes + 1}) {
    CoreOptions options = Good();
    options.contact.resize(size);
    CHECK_EQ(Refused(options), size > kMaxContactBytes);
  }
}

}  // namespace
}  // namespace ringleader
