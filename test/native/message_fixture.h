// Messages for tests of the codec, the text form and the hashes: any, and one of each kind.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/message.h"
#include "core/names.h"
#include "harness.h"
#include "wire/field_codec.h"

namespace ringleader::test {

// Fills the fields of a struct with whatever they may hold. Payloads are views of `payload`.
class Randomizer {
 public:
  Randomizer(std::mt19937_64& random, const std::vector<uint8_t>& payload)
      : random_(random), payload_(payload) {}

  template <typename T>
  void operator()(const char*, T& value, Since = {}) {
    Fill(&value);
  }

 private:
  // Small numbers, round ones and all others.
  uint64_t Number(uint64_t most) {
    const uint64_t number = random_() >> (random_() % 64);
    return random_() % 16 == 0 ? most : number % (most + (most != UINT64_MAX));
  }

  void Fill(bool* value) { *value = random_() % 2 == 0; }
  void Fill(uint8_t* value) { *value = static_cast<uint8_t>(random_()); }
  void Fill(uint32_t* value) { *value = static_cast<uint32_t>(Number(UINT32_MAX)); }
  void Fill(uint64_t* value) { *value = Number(UINT64_MAX); }
  void Fill(Lsn* value) { *value = Lsn(Number(kMaxLsn.value)); }
  void Fill(MemberId* value) { Fill(&value->value); }
  void Fill(Incarnation* value) { *value = Incarnation(Number(UINT64_MAX)); }
  void Fill(Ballot* value) {
    Fill(&value->counter.value);
    value->incarnation = Incarnation();
    if (!value->none()) Fill(&value->incarnation);
  }
  void Fill(Position* value) {
    Fill(&value->term);
    Fill(&value->lsn);
  }
  void Fill(Bytes* value) { *value = Bytes(payload_).first(random_() % (payload_.size() + 1)); }
  void Fill(std::vector<uint8_t>* value) {
    value->resize(random_() % 16 == 0 ? kMaxContactBytes : random_() % 20);
    for (uint8_t& byte : *value) Fill(&byte);
  }
  template <typename T>
  requires std::is_enum_v<T>
  void Fill(T* value) {
    do {
      *value = static_cast<T>(random_() % 32);
    } while (NameOf(*value).empty());
  }
  template <HasFields T>
  void Fill(T* value) {
    VisitFields(*value, *this);
  }
  template <typename T>
  void Fill(std::vector<T>* values) {
    values->resize(random_() % 16 == 0 ? LimitOf<T>() : random_() % 4);
    for (T& value : *values) Fill(&value);
    Order(values);
  }

  // As the declarations want them: ascending, and none twice.
  static void Order(std::vector<Member>* members) {
    std::sort(members->begin(), members->end(),
              [](const Member& left, const Member& right) { return left.id < right.id; });
    const auto same = [](const Member& left, const Member& right) { return left.id == right.id; };
    members->erase(std::unique(members->begin(), members->end(), same), members->end());
  }
  static void Order(std::vector<ConfigurationAt>* all) {
    using At = ConfigurationAt;
    std::sort(all->begin(), all->end(),
              [](const At& left, const At& right) { return left.end < right.end; });
    const auto same = [](const At& left, const At& right) { return left.end == right.end; };
    all->erase(std::unique(all->begin(), all->end(), same), all->end());
  }
  static void Order(std::vector<TermStart>* rows) {
    std::sort(rows->begin(), rows->end());
    std::vector<TermStart> ascending;
    for (const TermStart& row : *rows) {
      ascending.push_back(row);
      if (!Ascends(ascending)) ascending.pop_back();
    }
    *rows = std::move(ascending);
  }

  std::mt19937_64& random_;
  const std::vector<uint8_t>& payload_;
};

template <size_t... places>
void EmplaceBody(size_t place, Body* body, std::index_sequence<places...>) {
  ((place == places ? static_cast<void>(body->emplace<places>()) : static_cast<void>(0)), ...);
}

inline constexpr size_t kBodies = std::variant_size_v<Body>;

// Any message of the kind of that place in Body. Its payload is a view of `payload`.
inline Message RandomMessage(std::mt19937_64& random, size_t place,
                             const std::vector<uint8_t>& payload) {
  Message message;
  EmplaceBody(place, &message.body, std::make_index_sequence<kBodies>());
  Randomizer fill(random, payload);
  VisitFields(message, [&fill](const char* name, auto& value, Since since = {}) {
    if constexpr (std::is_same_v<std::remove_cvref_t<decltype(value)>, Body>) {
      std::visit([&fill](auto& body) { VisitFields(body, fill); }, value);
    } else {
      fill(name, value, since);
    }
  });
  return message;
}

inline Member SampleMember(uint32_t id, MemberKind kind = MemberKind::kVoter,
                           uint32_t priority = 100) {
  return {MemberId(id), Incarnation(0x9 + id), kind, priority};
}

inline Message SampleOf(uint32_t from, uint32_t to, Body body) {
  Message message;
  message.from = MemberId(from);
  message.to = MemberId(to);
  message.incarnation = Incarnation(0x9 + from);
  message.ballot = {Term(3), Incarnation(0xb)};
  message.body = std::move(body);
  return message;
}

// Of the samples: who they speak of.
inline const Ballot kFirstBallot{Term(1), Incarnation(0xa)};
inline const Ballot kSecondBallot{Term(3), Incarnation(0xb)};
inline const Position kLast{kFirstBallot, Lsn(120)};
inline constexpr uint8_t kSamplePayload[] = {'r', 'e', 'c', 'o', 'r', 'd', 's', '.'};

inline std::vector<TermStart> SampleTerms() {
  return {{kFirstBallot, Lsn(4096)}, {kSecondBallot, Lsn(300'000)}};
}

inline ConfigurationAt SampleConfiguration() {
  return {Lsn(5000), MajorityOf({SampleMember(1), SampleMember(2, MemberKind::kVoter, 50),
                                 SampleMember(3, MemberKind::kLearner)},
                                4)};
}

inline std::vector<Message> SampleElection() {
  Canvass canvass;
  canvass.round = 9;
  canvass.last = kLast;
  canvass.priority = 100;
  canvass.configuration = 4;
  CanvassReply reply;
  reply.round = 9;
  reply.verdict = CanvassVerdict::kBusy;
  reply.last = kLast;
  reply.priority = 50;
  reply.configuration = 4;
  reply.settled = {kFirstBallot, Lsn(24)};
  Vote vote;
  vote.last = kLast;
  vote.configuration = 4;
  vote.handover = kFirstBallot;
  return {SampleOf(1, kNobody.value, canvass), SampleOf(2, 1, reply),
          SampleOf(1, 2, Nominate{true}), SampleOf(2, kNobody.value, vote),
          SampleOf(1, 2, VoteReply{kSecondBallot, true, kLast})};
}

inline std::vector<Message> SampleShipping() {
  Records records;
  records.previous = kLast;
  records.end = Lsn(128);
  records.commit = Lsn(120);
  records.log_end = Lsn(160);
  records.levels = kFlushed;
  records.terms = SampleTerms();
  records.bytes = kSamplePayload;
  Records copied;
  copied.previous = kLast;
  copied.end = Lsn(120);
  copied.from_primary = false;
  Heartbeat heartbeat;
  heartbeat.sent_at = 1'000'000'007;
  heartbeat.end = {kSecondBallot, Lsn(160)};
  heartbeat.commit = Lsn(120);
  heartbeat.has_quorum = true;
  heartbeat.lease = 250'000'000;
  Ack ack;
  ack.sent_at = 1'000'000'007;
  ack.problem = AckProblem::kFork;
  ack.received = Lsn(160);
  ack.written = Lsn(150);
  ack.flushed = Lsn(120);
  ack.applied = Lsn(110);
  ack.end = {kFirstBallot, Lsn(170)};
  ack.terms = SampleTerms();
  ack.disk = 0x5a5a'1234'0000'0001;
  return {
      SampleOf(2, 1, records),
      SampleOf(3, 1, copied),
      SampleOf(2, kNobody.value, heartbeat),
      SampleOf(1, 2, ack),
      SampleOf(1, 2, Ack{}),
      SampleOf(3, 1, Request{kLast, 65536}),
      SampleOf(1, 3, Refusal{kLast, Lsn(48), Lsn(150), {kSecondBallot, Lsn(160)}, SampleTerms()})};
}

inline std::vector<Message> SampleJoining() {
  Message hello = SampleOf(3, kNobody.value, Hello{kLast, {'h', 'o', 's', 't', ':', '1'}});
  hello.kind = MemberKind::kLearner;
  SnapshotPiece piece;
  piece.head = {77, 1 << 20, {kSecondBallot, Lsn(310'000)}, SampleTerms(), SampleConfiguration()};
  piece.offset = 4096;
  piece.last = true;
  piece.bytes = kSamplePayload;
  SnapshotPiece donated;
  donated.head.id = 78;
  donated.from_primary = false;
  return {hello, SampleOf(2, 3, Outdated{Lsn(65536)}),
          SampleOf(3, 2, SnapshotRequest{77, 4096, 1 << 20}), SampleOf(2, 3, piece),
          SampleOf(3, 2, donated)};
}

// One of each kind at least, the same ones for ever: their frames are the golden bytes.
inline std::vector<Message> SampleMessages() {
  std::vector<Message> all = SampleElection();
  for (auto part : {SampleShipping(), SampleJoining()}) {
    all.insert(all.end(), part.begin(), part.end());
  }
  all.push_back(SampleOf(1, 2, ReadRequest{5}));
  all.push_back(SampleOf(2, 1, ReadReply{5, true, Lsn(160)}));
  all.push_back({});
  return all;
}

}  // namespace ringleader::test
