#include "core/options.h"

#include <initializer_list>

#include "core/names.h"

namespace ringleader {
namespace {

Status Wrong(const char* what) { return Status(Code::kInvalidArgument, what); }

Status CheckIdentity(const CoreOptions& options) {
  if (options.self == kNobody) return Wrong("the member has no id");
  if (options.incarnation.value == 0) return Wrong("the member has no incarnation");
  if (NameOf(options.kind).empty()) return Wrong("the member is of an unknown kind");
  if (NameOf(options.two_members).empty()) return Wrong("an unknown rule for two members");
  if (options.two_members == TwoMembers::kPreferred && options.preferred == kNobody) {
    return Wrong("no member is preferred");
  }
  if (options.voters > kMaxVoters) return Wrong("more voters than there may be");
  if (options.contact.size() > kMaxContactBytes) return Wrong("the contact data is too long");
  return Status::Ok();
}

Status CheckTimes(const CoreOptions& options) {
  for (const Nanos needed : {options.election_timeout, options.heartbeat_interval,
                             options.request_wait_min, options.handover_timeout}) {
    if (needed == 0) return Wrong("a time that must not be zero is zero");
  }
  for (const Nanos any :
       {options.election_timeout, options.heartbeat_interval, options.canvass_wait,
        options.full_election_wait, options.request_wait_min, options.request_wait_max,
        options.handover_timeout, options.lease, options.commit_save_interval}) {
    if (any > kMaxOptionTime) return Wrong("a time is longer than a day");
  }
  if (options.heartbeat_interval > options.election_timeout / 3) {
    return Wrong("the heartbeat interval is over a third of the election timeout");
  }
  if (options.request_wait_min > options.request_wait_max) {
    return Wrong("the shortest wait for a gap is longer than the longest one");
  }
  // A lease that runs out before the next heartbeat is none.
  if (options.lease != 0 && options.lease <= options.heartbeat_interval) {
    return Wrong("the lease is not longer than the heartbeat interval");
  }
  if (options.clock_drift_ppm > kMaxClockDriftPpm) return Wrong("clocks are too far off");
  return Status::Ok();
}

Status CheckSizes(const CoreOptions& options) {
  if (options.append_bytes < kMinAppendBytes || options.append_bytes > kMaxAppendBytes) {
    return Wrong("the bytes of records in one message are out of range");
  }
  if (options.window_bytes < options.append_bytes || options.window_bytes > kMaxWindowBytes) {
    return Wrong("the bytes on their way to one member are out of range");
  }
  if (options.snapshot_piece_bytes < kMinAppendBytes ||
      options.snapshot_piece_bytes > kMaxSnapshotPieceBytes) {
    return Wrong("the bytes of one piece of a snapshot are out of range");
  }
  return Status::Ok();
}

}  // namespace

Status CheckOptions(const CoreOptions& options) {
  RL_RETURN_IF_ERROR(CheckIdentity(options));
  RL_RETURN_IF_ERROR(CheckTimes(options));
  return CheckSizes(options);
}

}  // namespace ringleader
