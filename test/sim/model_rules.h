// What a group has promised so far, and whether it keeps it: looked at from outside, with the eyes
// of nobody in it.
//
// The ledger is the one history that the group has committed. Records come into it when a primary
// first counts them as committed; from then on
//   - nobody commits anything else at their place;
//   - they were flushed on a quorum of every configuration in effect when they came in;
//   - a disk that holds them goes on holding them, until it is replaced;
//   - a read that is asked for later, and granted, reaches at least so far.
// Of each copy: what it has said it promised, and its Invariants. The first rule that is broken is
// kept in problem().
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/invariants.h"
#include "model_log.h"
#include "model_shared.h"

namespace ringleader::sim {

class ModelGroup;
class ModelMember;

class ModelRules {
 public:
  explicit ModelRules(size_t members) : copies_(members) {}

  const std::string& problem() const { return problem_; }
  // Records of the ledger, each of kModelRecordBytes.
  size_t committed() const { return ledger_->size(); }

  // A disk or a witness has lied: the group may lose what it has promised, and only what each
  // member owes by itself is still looked at.
  void Lied() { lied_ = true; }

  void Sends(const ModelGroup& group, size_t member, const Message& message);
  void Appends(const ModelMember& member, const Records& records);
  void AppendsConfiguration(const ModelMember& member, const Configuration& next);
  // Around each step.
  void Before(const ModelMember& member, const Event& event);
  void After(const ModelMember& member, size_t index, const Event& event);
  // A copy has come into the witness's register.
  void Grows(const ModelGroup& group, Incarnation copy);
  void AnswersRead(const ModelMember& member, const ReadReady& answer);
  // After each step. `commit` and `reign`: before it, none of a member that did not lead.
  void Stepped(const ModelGroup& group, size_t member, Lsn commit, Ballot reign);
  // Less may be on the disk than was: a roll-back, or a snapshot in place of the log.
  void DiskChanged(const ModelGroup& group, size_t member);
  void Restarted(size_t member) { copies_[member].invariants.Restarted(); }
  // Before it is: what was on the old disk has been promised all the same.
  void Replaced(const ModelMember& member, size_t index);
  // A primary has all that was committed under the ballots below its own.
  std::string CheckPrimary(const ModelMember& member) const;

  // For hashes: two groups that differ here only are not the same.
  static constexpr auto Fields(auto& self, auto&& field) {
    field("ledger", *self.ledger_);
    field("copies", self.copies_);
  }

 private:
  struct Entry {
    ModelRecord record;
    Ballot reign;  // that committed it first

    static constexpr auto Fields(auto& self, auto&& field) {
      field("record", self.record);
      field("reign", self.reign);
    }
  };
  struct Copy {
    Ballot spoken;        // the highest promise that has left it
    size_t kept = 0;      // records of the ledger on its disk
    size_t verified = 0;  // records that it has committed, and that are the ledger's
    // The newest lease that it has given: to which reign, of whom, and until when on its clock.
    Nanos leased_until = 0;
    Ballot leased_to;
    MemberId lender;
    Invariants invariants;

    static constexpr auto Fields(auto& self, auto&& field) { field("spoken", self.spoken); }
  };

  // A read: what was committed when it was asked for, and the reign and its newest heartbeat.
  struct AskedOf {
    size_t committed = 0;
    Ballot reign;
    Nanos sent_at = 0;
  };
  // What a step must not change in another way than it may.
  struct Watch {
    Ballot promised, follows;
    Position flushed;
    size_t votes = 0;
    Progress peer;
  };

  void Received(const ModelMember& member, size_t index, const Receive& received);
  void CheckReign(const ModelMember& member);
  void CheckRound(const ModelMember& member, const AskedOf& read);
  void Fail(const ModelMember& member, const std::string& what);
  void Commits(const ModelGroup& group, size_t member, Lsn before, Ballot reign);
  void CheckQuorum(const ModelGroup& group, const ModelMember& member, Lsn before);
  void CheckVoters(const ModelGroup& group, const ModelMember& member, const Configuration& now);
  bool Keeps(const ModelGroup& group, Incarnation copy);
  void CountKept(const ModelGroup& group, size_t member);

  Shared<std::vector<Entry>> ledger_;
  std::vector<Copy> copies_;                                  // by member
  std::map<Incarnation, std::vector<ModelRecord>> replaced_;  // what was on disks that are gone
  std::map<uint64_t, AskedOf> reads_;
  Watch watch_;  // of the step under way
  bool lied_ = false;
  std::string problem_;
};

}  // namespace ringleader::sim
