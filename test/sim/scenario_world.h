// The group of a scenario, its network and disks, and the trace of what they do.
//
// Disks are fast and so is the witness: they do at once what they are asked, unless they are told
// to be slow. Messages lie in the network, in the order in which they were sent, until a command
// delivers them.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "model_group.h"

namespace ringleader::sim {

// The text of a scenario makes no sense, or something does not hold.
struct ScenarioProblem {
  std::string text;
};

// Which messages are meant. Unset: any.
struct MessagePattern {
  std::optional<MemberId> from, to;
  std::string type;

  bool Matches(const Message& message) const;
};

// What a group has in common; the rest of CoreOptions follows from it.
struct ScenarioOptions {
  CoreOptions core;
  QuorumRule rule = QuorumRule::kVotes;
  uint32_t votes = 0, copies = 0;  // 0 = by majority
};

class ScenarioWorld {
 public:
  // `outside`: not in the first configuration.
  void Start(const ScenarioOptions& options, const std::vector<Member>& members,
             const std::set<MemberId>& outside);
  Configuration FirstConfiguration() const;

  ModelGroup& group();
  size_t IndexOf(MemberId id);
  // Who leads in the highest ballot.
  MemberId Primary();
  const ModelMember& member(MemberId id) { return group().member(IndexOf(id)); }
  void Say(std::string line) { trace_.push_back(std::move(line)); }
  // What came of the command, with what it has committed and acknowledged in the end.
  std::vector<std::string> TakeTrace();
  void DropTrace() { (void)TakeTrace(); }

  // --- Steps. Each is checked, and what the member tells goes into the trace.
  template <typename Choice>
  void Act(size_t index, Choice choice) {
    choice();
    AfterStep(index);
  }
  void Do(MemberId id, Event event);
  void Write(MemberId id, uint64_t value);
  // Of the messages that are in the network now, in their order, at most so many. None is no good.
  void Deliver(const MessagePattern& pattern, bool keep, size_t most);
  void Drop(const MessagePattern& pattern);
  // Until nothing moves any more; messages of the types in `shown` go into the trace.
  void Settle(const std::set<std::string>& shown);
  void Pass(Nanos time, const std::set<std::string>& shown);
  void TickAll();
  void Work();  // of fast disks, and of a fast witness

  // --- Faults
  void Hold(const MessagePattern& pattern) { holds_.push_back(pattern); }
  void Release() { holds_.clear(); }
  void Cut(MemberId from, MemberId to) { cuts_.emplace(from, to); }
  void Heal() { cuts_.clear(); }
  void SetSlow(MemberId id, bool slow);
  // A process that is stopped: it looks at no clock and takes no message.
  void SetStopped(MemberId id, bool stopped);
  void SetWitnessSlow(bool slow) { witness_slow_ = slow; }
  void RestoreWitness(uint64_t version);
  // Power goes while the hard state is being written: so many of the slot's sectors arrive.
  void Tear(MemberId id, size_t sectors);

 private:
  void AfterStep(size_t index);
  void DeliverOne(size_t packet, bool keep, bool shown);
  void LoseWhatIsCut();
  bool IsHeld(const Message& message) const;

  std::optional<ModelGroup> group_;
  ScenarioOptions options_;
  std::vector<Member> members_;
  std::set<MemberId> outside_;
  std::set<std::pair<MemberId, MemberId>> cuts_;
  std::vector<MessagePattern> holds_;
  std::set<size_t> slow_, stopped_;
  bool witness_slow_ = false;
  std::vector<WitnessRegister> registers_;  // all that the witness has held
  std::vector<std::string> trace_;
  std::vector<Lsn> commits_;         // as the trace has told
  std::set<uint64_t> acknowledged_;  // ends of records, the same
};

// One line at the margin.
void RunCommand(const std::string& line, ScenarioWorld* world);
// "1 is primary in 1.a": what a member tells, or an answer to a read.
std::string TextOf(const ModelMember& member, const Notice& notice);
std::string TextOf(const ModelMember& member, const ReadReady& read);
// "7 9 11..600".
std::string ValuesText(const std::vector<uint64_t>& values);
// "1.a[T C1 7 8] 2.b[T] end=40 flushed=40 commit=40".
std::string LogText(const ModelMember& member);
// "2 replica of 1 in 1.a, promised 1.a".
std::string MemberText(const ModelMember& member);

}  // namespace ringleader::sim
