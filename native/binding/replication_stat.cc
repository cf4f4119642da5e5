#include "binding/replication_stat.h"

namespace ringleader::binding {
namespace {

void Put(Napi::Object& object, const char* name, uint64_t value) {
  object.Set(name, static_cast<double>(value));
}
void Put(Napi::Object& object, const char* name, Lsn value) { Put(object, name, value.value); }
void Put(Napi::Object& object, const char* name, const Ballot& ballot) {
  Put(object, name, uint64_t{ballot.counter.value});
}

void PutCounters(Napi::Object& object, const ReplicationCounters& counters) {
  const auto result = [&counters](MessageResult which) {
    return counters.results[static_cast<size_t>(which)];
  };
  uint64_t taken = 0;
  for (const uint64_t count : counters.results) taken += count;
  Put(object, "messagesProcessed", taken);
  Put(object, "messagesPermanent", result(MessageResult::kPermanent));
  Put(object, "messagesNotPermanent", result(MessageResult::kNotPermanent));
  Put(object, "messagesIgnored", result(MessageResult::kIgnored));
  Put(object, "newMembers", result(MessageResult::kNewMember));
  Put(object, "duplicatePrimaries", result(MessageResult::kDuplicatePrimary));
  Put(object, "joinFailures", result(MessageResult::kJoinFailure));
  Put(object, "messagesSent", counters.sent);
  Put(object, "recordMessagesSent", counters.records_sent);
  Put(object, "recordBytesSent", counters.record_bytes_sent);
  Put(object, "recordMessagesReceived", counters.records_received);
  Put(object, "recordBytesReceived", counters.record_bytes_received);
  Put(object, "recordMessagesRepeated", counters.records_repeated);
  Put(object, "requestsSent", counters.requests_sent);
  Put(object, "requestsReceived", counters.requests_received);
  Put(object, "requestsRefused", counters.refusals_sent);
  Put(object, "snapshotPiecesSent", counters.pieces_sent);
  Put(object, "snapshotPiecesReceived", counters.pieces_received);
  Put(object, "snapshots", counters.snapshots);
  Put(object, "outdated", counters.outdated);
  Put(object, "elections", counters.elections);
  Put(object, "electionsWon", counters.elections_won);
  Put(object, "electionsFailed", counters.elections_failed);
  Put(object, "primaryChanges", counters.primary_changes);
  Put(object, "permanentFailures", counters.permanent_failed);
}

Napi::Value Copies(Napi::Env env, const std::vector<CopyStatus>& copies) {
  Napi::Array list = Napi::Array::New(env, copies.size());
  for (uint32_t i = 0; i < copies.size(); ++i) {
    const CopyStatus& copy = copies[i];
    Napi::Object object = Napi::Object::New(env);
    Put(object, "member", uint64_t{copy.member.value});
    object.Set("voter", copy.voter);
    Put(object, "received", copy.received);
    Put(object, "written", copy.written);
    Put(object, "flushed", copy.flushed);
    Put(object, "applied", copy.applied);
    list[i] = object;
  }
  return list;
}

}  // namespace

Napi::Value ToJs(Napi::Env env, const GroupStatus& status, const Outbox::Counts& outbox) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("role", status.role == Role::kPrimary ? "primary" : "replica");
  object.Set("electing", status.electing);
  if (status.primary != kNobody) Put(object, "primary", uint64_t{status.primary.value});
  Put(object, "term", status.term);
  Put(object, "promisedTerm", status.promised);
  Put(object, "members", uint64_t{status.configuration.voters});
  Put(object, "votes", uint64_t{status.configuration.votes});
  Put(object, "copies", uint64_t{status.configuration.copies});
  Put(object, "membersKnown", status.configuration.members.size());
  object.Set("electionSafe", status.election_safe);
  object.Set("startupDone", status.caught_up);
  Put(object, "start", status.log_start);
  Put(object, "end", status.end);
  Put(object, "flushed", status.flushed);
  Put(object, "commit", status.commit);
  Put(object, "matched", status.role == Role::kPrimary ? status.end : status.matched);
  Put(object, "primaryEnd", status.role == Role::kPrimary ? status.end : status.primary_end);
  Put(object, "permanentFailedLsn", status.permanent_failed);
  Put(object, "rollBacks", status.roll_backs);
  Put(object, "messagesRefused", status.refused_frames);
  Put(object, "messagesRefusedBusy", status.dropped_messages);
  Put(object, "sendsDropped", outbox.dropped);
  Put(object, "sendsWaiting", outbox.waiting_frames);
  Put(object, "sendBytesWaiting", outbox.waiting_bytes);
  Put(object, "batchesSent", outbox.taken_batches);
  PutCounters(object, status.counters);
  object.Set("others", Copies(env, status.copies));
  return object;
}

}  // namespace ringleader::binding
