// What comes in, what becomes of it, and what goes out.
#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/mutant.h"
#include "engine/replication.h"

namespace ringleader {
namespace {

// Of received frames that wait for the pump. A member that is so far behind catches up by asking.
constexpr uint64_t kMaxInboxBytes = uint64_t{64} << 20;
constexpr size_t kTakenAtOnce = 256;

// Messages by which a primary speaks as such.
bool IsOfReign(const Body& body) {
  if (const auto* records = std::get_if<Records>(&body)) return records->from_primary;
  if (const auto* piece = std::get_if<SnapshotPiece>(&body)) return piece->from_primary;
  return std::holds_alternative<Heartbeat>(body) || std::holds_alternative<Outdated>(body);
}

// Whether `next` brings what follows `last` in the same log, from the same sender in the same
// reign: then one message could have brought both. One in which a term begins stays by itself.
bool GoesOn(const Message& last, const Message& next) {
  const auto* one = std::get_if<Records>(&last.body);
  const auto* two = std::get_if<Records>(&next.body);
  if (one == nullptr || two == nullptr || !one->from_primary || !two->from_primary) return false;
  const bool same_sender = last.from == next.from && last.to == next.to &&
                           last.incarnation == next.incarnation && last.ballot == next.ballot;
  const bool whole = one->end - one->previous.lsn == one->bytes.size() &&
                     two->end - two->previous.lsn == two->bytes.size();
  const bool behind = two->previous == Position{one->previous.term, one->end};
  return same_sender && whole && (behind || RL_MUTANT(kJoinAcrossGap)) && one->terms.empty() &&
         two->terms.empty() && one->bytes.size() + two->bytes.size() <= kMaxAppendBytes;
}

// Puts the records of `next` behind those of `last`, in the buffer in which both lie: `next` lies
// behind, and its head is needed no more.
void PutTogether(Message& last, const Message& next, std::vector<uint8_t>& buffer) {
  auto& records = std::get<Records>(last.body);
  const auto& added = std::get<Records>(next.body);
  const size_t begin = static_cast<size_t>(records.bytes.data() - buffer.data());
  const size_t end = begin + records.bytes.size();
  std::memmove(buffer.data() + end, added.bytes.data(), added.bytes.size());
  records.bytes = Bytes(buffer).subspan(begin, records.bytes.size() + added.bytes.size());
  records.end = added.end;
  records.commit = std::max(records.commit, added.commit);
  records.log_end = added.log_end;
  records.levels = added.levels;
}

}  // namespace

// What is needed of a message when the core has taken it.
struct Replication::Heard {
  explicit Heard(const Message& message)
      : from(message.from),
        to(message.to),
        ballot(message.ballot),
        of_reign(IsOfReign(message.body)),
        ack(std::holds_alternative<Ack>(message.body)),
        request(std::holds_alternative<Request>(message.body)),
        piece(std::holds_alternative<SnapshotPiece>(message.body)) {
    const auto* sent = std::get_if<Records>(&message.body);
    if (sent == nullptr) return;
    records = true;
    begin = sent->previous.lsn;
    end = sent->end;
    bytes = sent->bytes.size();
  }

  MemberId from, to;
  Ballot ballot;
  bool of_reign = false, ack = false, request = false, piece = false, records = false;
  Lsn begin, end;
  uint64_t bytes = 0;
};

// --- on the caller's thread ----------------------------------------------------------------------

Status Replication::Refuse(Status status) {
  refused_.fetch_add(1, std::memory_order_relaxed);  // statistics
  return status;
}

Status Replication::Decode(Bytes control, Bytes payload, MemberId from, Item* item) const {
  auto decoded = control.empty() || payload.empty()
                     ? DecodeMessage(control.empty() ? payload : control)
                     : DecodeMessage(control, payload);
  RL_RETURN_IF_ERROR(decoded.status());
  if (decoded->group_id != options_.group_id && !RL_MUTANT(kTakeForeignGroup)) {
    return Status(Code::kInvalidArgument, "a message of another group");
  }
  if (from != kNobody && decoded->message.from != from && !RL_MUTANT(kTrustSender)) {
    return Status(Code::kInvalidArgument, "a message of another member than its sender");
  }
  item->size = control.size() + payload.size();
  item->event = ringleader::Receive{std::move(decoded->message)};
  return Status::Ok();
}

Status Replication::Receive(Bytes control, Bytes payload) {
  return Receive(control, payload, kNobody, 0);
}

Status Replication::Receive(Bytes control, Bytes payload, MemberId from, uint64_t ticket) {
  const size_t size = control.size() + payload.size();
  if (size > kMaxFrameBytes) {
    return Refuse(Status(Code::kInvalidArgument, "larger than any message"));
  }
  // Copied first: what is decoded refers to it.
  auto bytes = std::make_shared<std::vector<uint8_t>>();
  bytes->reserve(size);
  bytes->insert(bytes->end(), control.begin(), control.end());
  bytes->insert(bytes->end(), payload.begin(), payload.end());
  const Bytes all(*bytes);
  std::vector<Item> items(1);
  const Status decoded =
      Decode(all.first(control.size()), all.subspan(control.size()), from, &items.front());
  if (!decoded.ok()) return Refuse(decoded);
  items.front().bytes = std::move(bytes);
  if (ticket != 0) {
    items.front().reply.arrival = std::make_shared<Arrival>();
    items.front().reply.arrival->report.ticket = ticket;
    items.front().reply.arrival->left = 1;
  }
  return Push(std::move(items));
}

Status Replication::ReceiveMany(Bytes frames, MemberId from, uint64_t ticket) {
  if (frames.size() > kMaxInboxBytes) {
    return Refuse(Status(Code::kInvalidArgument, "more bytes than may wait"));
  }
  auto bytes = std::make_shared<std::vector<uint8_t>>(frames.begin(), frames.end());
  std::vector<FrameSize> sizes;
  for (Bytes rest(*bytes); !rest.empty(); rest = rest.subspan(sizes.back().total())) {
    auto size = ReadFrameSize(rest);
    if (!size.ok()) return Refuse(size.status());
    if (size->total() > rest.size()) {
      if (RL_MUTANT(kTakeTornBatch)) break;
      return Refuse(Status(Code::kCorruption, "messages: the last one is not whole"));
    }
    sizes.push_back(size.value());
  }
  const auto arrival = std::make_shared<Arrival>();
  arrival->report.ticket = ticket;
  arrival->report.many = true;
  std::vector<Item> items;
  items.reserve(sizes.size());
  Bytes rest(*bytes);
  for (const FrameSize& size : sizes) {
    Item item;
    const Status decoded =
        Decode(rest.first(size.control_bytes), rest.subspan(size.control_bytes, size.payload_bytes),
               from, &item);
    rest = rest.subspan(size.total());
    if (!decoded.ok()) {
      ++arrival->report.refused;
      (void)Refuse(decoded);
      continue;
    }
    ++arrival->left;
    const Message& message = std::get<ringleader::Receive>(item.event).message;
    if (!items.empty()) {
      Item& before = items.back();
      Message& last = std::get<ringleader::Receive>(before.event).message;
      if (GoesOn(last, message)) {
        PutTogether(last, message, *bytes);
        before.size += item.size;
        ++before.reply.messages;
        continue;
      }
    }
    item.bytes = bytes;
    item.reply.arrival = arrival;
    items.push_back(std::move(item));
  }
  if (!items.empty()) return Push(std::move(items));
  listener_->OnArrival(arrival->report);
  return Status::Ok();
}

void Replication::Do(Event event) {
  std::vector<Item> items(1);
  items.front().event = std::move(event);
  (void)Push(std::move(items));
}

// All or none. Commands of this member take no room.
Status Replication::Push(std::vector<Item> items) {
  uint64_t bytes = 0, messages = 0;
  for (const Item& item : items) {
    bytes += item.size;
    messages += item.reply.messages;
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (bytes > 0 && inbox_bytes_ + bytes > kMaxInboxBytes) {
      dropped_.fetch_add(messages, std::memory_order_relaxed);  // statistics
      return Status(Code::kBusy, "too many messages wait");
    }
    inbox_bytes_ += bytes;
    for (Item& item : items) inbox_.push_back(std::move(item));
  }
  log_.AnnounceActivity();
  return Status::Ok();
}

void Replication::SendFailed(Lsn end) {
  uint64_t known = failed_send_.load(std::memory_order_acquire);
  while (known < end.value &&
         !failed_send_.compare_exchange_weak(known, end.value, std::memory_order_acq_rel)) {
  }
  log_.AnnounceActivity();
}

// --- the pump ------------------------------------------------------------------------------------

// True where there may be more.
bool Replication::TakeInbox() {
  std::vector<Item> taken;
  taken.reserve(kTakenAtOnce);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t count = std::min(kTakenAtOnce, inbox_.size());
    for (size_t i = 0; i < count; ++i) {
      inbox_bytes_ -= inbox_.front().size;
      taken.push_back(std::move(inbox_.front()));
      inbox_.pop_front();
    }
  }
  for (Item& item : taken) {
    const auto* received = std::get_if<ringleader::Receive>(&item.event);
    if (received == nullptr) {
      counters_.elections += std::holds_alternative<CallElection>(item.event) ? 1 : 0;
      Pass(std::move(item.event));
      continue;
    }
    const Heard heard(received->message);
    const Lsn before = end_;
    outcome_.reset();
    Pass(std::move(item.event));
    Judge(heard, before, std::move(item.reply));
  }
  return taken.size() == kTakenAtOnce;
}

// What has become of a message, now that the core has taken it and its records are in the log.
void Replication::Judge(const Heard& heard, Lsn before, Reply reply) {
  counters_.records_received += heard.records ? reply.messages : 0;
  counters_.record_bytes_received += heard.bytes;
  counters_.records_repeated += heard.records && heard.end <= before ? reply.messages : 0;
  counters_.requests_received += heard.request ? 1 : 0;
  counters_.pieces_received += heard.piece ? 1 : 0;
  const MessageResult result = ResultOf(heard);
  if (result == MessageResult::kPermanent) {
    // Where it was there already, it is permanent as far as everything is.
    const Lsn end = std::min(LastEndWithin(heard.end), core_->state().replica.matched);
    if (end <= heard.begin) return Conclude(std::move(reply), MessageResult::kProcessed, {});
    arrivals_.emplace(end, std::move(reply));
    return SettleArrivals();
  }
  const Lsn end = result == MessageResult::kNotPermanent ? heard.end : Lsn();
  Conclude(std::move(reply), result, end);
}

MessageResult Replication::ResultOf(const Heard& heard) const {
  if (outcome_) return outcome_->result;
  if (failed_ || heard.from == options_.self) return MessageResult::kIgnored;
  if (heard.to != options_.self && heard.to != kNobody) return MessageResult::kIgnored;
  const bool leads = core_->role() == Role::kPrimary;
  const bool same_reign = core_->term() == heard.ballot;
  if (heard.ack && !(leads && same_reign)) return MessageResult::kIgnored;
  if (heard.of_reign && (leads || !same_reign)) return MessageResult::kIgnored;
  if (!heard.records) return MessageResult::kProcessed;
  const ReplicaState& replica = core_->state().replica;
  if (leads || !replica.sync_allowed) return MessageResult::kIgnored;
  return replica.matched >= heard.end ? MessageResult::kPermanent : MessageResult::kNotPermanent;
}

// Up to where the log is as safe as this member has been told to have it.
Lsn Replication::SafeEnd() const {
  switch (ack_level_) {
    case AckLevel::kReceived:
    case AckLevel::kApplied:
      return applied_;
    case AckLevel::kWritten:
      return written_;
    case AckLevel::kFlushed:
      break;
  }
  return RL_MUTANT(kPermanentEarly) ? whole_ : flushed_;
}

void Replication::SettleArrivals() {
  const Lsn safe = SafeEnd();
  while (!arrivals_.empty() && arrivals_.begin()->first <= safe) {
    const auto first = arrivals_.begin();
    Conclude(std::move(first->second), MessageResult::kPermanent, first->first);
    arrivals_.erase(first);
  }
}

// What the log has behind `end` is gone.
void Replication::DropArrivals(Lsn end) {
  while (!arrivals_.empty() && arrivals_.rbegin()->first > end) {
    const auto last = std::prev(arrivals_.end());
    Conclude(std::move(last->second), MessageResult::kIgnored, {});
    arrivals_.erase(last);
  }
}

void Replication::Conclude(Reply reply, MessageResult result, Lsn end) {
  counters_.results[static_cast<size_t>(result)] += reply.messages;
  if (reply.arrival == nullptr) return;
  ArrivalReport& report = reply.arrival->report;
  report.result = result;
  switch (result) {
    case MessageResult::kPermanent:
      // The first one takes the place of what the messages before it were told.
      report.lsn = report.permanent == 0 ? end : std::max(report.lsn, end);
      report.permanent += reply.messages;
      break;
    case MessageResult::kNotPermanent:
      report.not_permanent += reply.messages;
      if (report.permanent == 0) report.lsn = std::max(report.lsn, end);
      break;
    case MessageResult::kIgnored:
      report.ignored += reply.messages;
      break;
    default:
      report.processed += reply.messages;
      if (result == MessageResult::kProcessed) break;
      report.member = outcome_->member;
      report.contact = outcome_->contact;
  }
  reply.arrival->left -= reply.messages;
  if (reply.arrival->left == 0) listener_->OnArrival(report);
}

// Of the step of a message: what the application is told of it.
void Replication::NoteOutcome(const Notice& notice) {
  const auto note = [this, &notice](MessageResult result) {
    if (!outcome_) outcome_ = Outcome{result, notice.member, notice.contact};
  };
  switch (notice.kind) {
    case NoticeKind::kNewMember:
      return note(MessageResult::kNewMember);
    case NoticeKind::kHoldElection:
      return note(MessageResult::kHoldElection);
    case NoticeKind::kDuplicatePrimary:
      return note(MessageResult::kDuplicatePrimary);
    case NoticeKind::kJoinFailure:
      return note(MessageResult::kJoinFailure);
    case NoticeKind::kElected:
      ++counters_.elections_won;
      return;
    case NoticeKind::kElectionFailed:
      ++counters_.elections_failed;
      return;
    case NoticeKind::kNewPrimary:
      ++counters_.primary_changes;
      return;
    case NoticeKind::kSnapshotDone:
      ++counters_.snapshots;
      return;
    default:
      return;
  }
}

// The carrier could not send records of this primary: they are on its own disk at least before it
// says so.
void Replication::NoteFailedSends() {
  const Lsn end(failed_send_.load(std::memory_order_acquire));
  if (end <= permanent_failed_ || core_->role() != Role::kPrimary || end > end_) return;
  log_.Request(end, Level::kFlushed);
  if (flushed_ < end && !RL_MUTANT(kFailedBeforeFlush)) return;
  permanent_failed_ = end;
  ++counters_.permanent_failed;
  listener_->OnPermanentFailed(end);
}

void Replication::Send(const Message& message) {
  ++counters_.sent;
  if (const auto* records = std::get_if<Records>(&message.body)) {
    ++counters_.records_sent;
    counters_.record_bytes_sent += records->bytes.size();
  } else if (const auto* ack = std::get_if<Ack>(&message.body)) {
    const bool asks = ack->problem == AckProblem::kGap || ack->problem == AckProblem::kFork;
    counters_.requests_sent += asks ? 1 : 0;
  } else if (std::holds_alternative<Request>(message.body)) {
    ++counters_.requests_sent;
  } else if (std::holds_alternative<Refusal>(message.body)) {
    ++counters_.refusals_sent;
  } else if (std::holds_alternative<SnapshotPiece>(message.body)) {
    ++counters_.pieces_sent;
  } else if (std::holds_alternative<Outdated>(message.body)) {
    ++counters_.outdated;
  }
  EncodeMessage(options_.group_id, message, kWireVersion, &encoded_);
  carrier_->Send(message, encoded_);
}

}  // namespace ringleader
