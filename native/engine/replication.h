// An environment's part in its group: the protocol of native/core, driven over the environment's
// log and tables.
//
// One Replication per environment over all processes: it has the replication role (group_board.h),
// and what it knows stands on the board, where every process of the environment reads it. A thread
// of its own, the pump, does every step in this order: append, flush, send, apply, release.
// It hears of what the writers of all processes append, of flushes, of messages and of commands,
// and sleeps otherwise. What takes a disk long, saving a promise or rolling back, is done by a
// second thread meanwhile; so the pump goes on with heartbeats and votes. JavaScript has no part in
// any of it.
//
// A replica applies a transaction in the same section in which it appends it: local readers see it
// at once, durable ones when the group has committed it (store/view.h). What is not committed is
// never folded, so rolling back is cutting the log.
//
// A member that lacks what no log has any more gets a snapshot (replication_snapshot.cc); where
// automatic ones are off it says so (kJoinFailure).
// Threads: any.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "core/replicator.h"
#include "engine/arrival.h"
#include "engine/contact_times.h"
#include "engine/disk_worker.h"
#include "engine/group_board.h"
#include "engine/group_tables.h"
#include "engine/hard_state_file.h"
#include "engine/snapshot_sink.h"
#include "engine/snapshot_source.h"
#include "store/store.h"
#include "wire/message_codec.h"

namespace ringleader {

// Who carries messages to the other members. Called by the pump.
class MessageCarrier {
 public:
  virtual ~MessageCarrier() = default;
  // `message.to`: kNobody = everybody. Must not wait; what it cannot send it drops. The bytes are
  // valid during the call.
  virtual void Send(const Message& message, const EncodedMessage& bytes) = 0;
};

// Who hears of what has come to pass. Called by the pump: quick, and without calls back.
class GroupListener {
 public:
  virtual ~GroupListener() = default;
  virtual void OnNotice(const Notice& notice) = 0;
  virtual void OnRead(const ReadReady& read) = 0;
  // What a call of Receive or ReceiveMany with a ticket has come to. Also from the thread of that
  // call, where nothing of it was for the pump.
  virtual void OnArrival(const ArrivalReport&) {}
  // Sends of records up to there have failed, and this primary has flushed them.
  virtual void OnPermanentFailed(Lsn) {}
  // The commit position, or what is known of the others' copies, has changed.
  virtual void OnProgress() = 0;
  // The member has failed for good: its environment has to be opened again.
  virtual void OnFailure(const Status& failure) = 0;
};

// The consumer that holds the log back for group-tables.
inline constexpr char kGroupConsumer[] = "group";

// What the others are known to have, as a primary knows it.
struct CopyStatus {
  MemberId member;
  bool voter = false;
  Lsn received, written, flushed, applied;

  bool operator==(const CopyStatus&) const = default;
};

struct GroupStatus {
  Role role = Role::kReplica;
  Ballot term;
  MemberId primary;
  Lsn end, flushed, commit;
  bool election_safe = false;
  Configuration configuration;
  std::vector<CopyStatus> copies;  // of a primary: one for each other member
  uint64_t steps = 0, refused_frames = 0, dropped_messages = 0, roll_backs = 0;
  Ballot promised;
  Lsn log_start;
  Lsn primary_end;  // of a replica: how far the primary's log went when it was last heard of
  Lsn matched;      // of a replica: up to here its log is certainly the primary's
  Lsn permanent_failed;
  bool caught_up = false;
  bool electing = false;
  ReplicationCounters counters;
};

class Replication {
 public:
  // Makes the environment a member where it is none yet. `options.group_id` and `incarnation` are
  // the environment's own and are filled in, and so is `disk` where it is 0. Everything given must
  // outlive the object. kBusy names the process that drives the replication.
  static Result<std::unique_ptr<Replication>> Open(Env& env, const std::string& directory,
                                                   Store& store, CoreOptions options,
                                                   MessageCarrier* carrier, GroupListener* listener,
                                                   AckLevel ack_level = AckLevel::kFlushed) {
    return Open(env, directory, store, options, carrier, listener, SnapshotOptions(), ack_level);
  }
  // The same, with what is chosen about snapshots.
  static Result<std::unique_ptr<Replication>> Open(Env& env, const std::string& directory,
                                                   Store& store, CoreOptions options,
                                                   MessageCarrier* carrier, GroupListener* listener,
                                                   const SnapshotOptions& snapshots,
                                                   AckLevel ack_level = AckLevel::kFlushed);
  // Stops both threads; the gate is closed, nothing is flushed.
  ~Replication();
  Replication(const Replication&) = delete;
  Replication& operator=(const Replication&) = delete;

  // A frame of another member, which may be anybody's bytes. kCorruption, kNewerFormat and
  // kUnsupported as DecodeMessage, kInvalidArgument where it is of another group, of another member
  // than `from` (kNobody = whoever), or longer than any; kBusy where more is waiting than may be.
  // Copies the bytes. Where there is a ticket and it is taken, OnArrival says what it has come to.
  Status Receive(Bytes control, Bytes payload);
  Status Receive(Bytes control, Bytes payload, MemberId from, uint64_t ticket);
  // Frames one behind the other, with one report. Their lengths have to be right, or nothing of it
  // is taken; a frame that is refused by itself is counted in the report.
  Status ReceiveMany(Bytes frames, MemberId from, uint64_t ticket);
  // Records up to there could not be sent: OnPermanentFailed when they are on the own disk.
  void SendFailed(Lsn end);
  // A command of the application: CallElection, LeadNow, FollowNow, FoundGroup, AskRead, ...
  void Do(Event event);

  GroupStatus Look() const;
  Incarnation incarnation() const { return options_.incarnation; }

 private:
  // Of one call of Receive; the pump's from when it is in the inbox.
  struct Arrival {
    ArrivalReport report;
    uint32_t left = 0;  // messages that have not come to anything yet
  };
  // Who is to be told of a message, or of so many that have been put together to one.
  struct Reply {
    std::shared_ptr<Arrival> arrival;
    uint32_t messages = 1;
  };
  struct Item {
    Event event;
    std::shared_ptr<const std::vector<uint8_t>> bytes;  // what a received message refers to
    uint64_t size = 0;                                  // of it, as part of the inbox
    Reply reply;
  };
  // What the application is told of the step of a message.
  struct Outcome {
    MessageResult result = MessageResult::kProcessed;
    MemberId member;
    std::vector<uint8_t> contact;
  };
  struct Heard;

  Replication(Env& env, const std::string& directory, Store& store, const CoreOptions& options,
              MessageCarrier* carrier, GroupListener* listener, AckLevel ack_level);

  // --- replication.cc: opening, the pump
  Status Join();
  Result<Start> ComeUp();
  void Run();
  void TellLevels();
  void RequestFlush();
  void Pass(Event event);
  void Step(Event event);
  void Perform(const Outputs& out);
  void SaveHardState(const HardState& state);
  void Publish();
  void Fail(const Status& failure);
  void FailLater(const Status& failure);

  // --- replication_messages.cc: what comes in, what becomes of it, what goes out
  Status Refuse(Status status);
  Status Decode(Bytes control, Bytes payload, MemberId from, Item* item) const;
  Status Push(std::vector<Item> items);
  bool TakeInbox();
  void Judge(const Heard& heard, Lsn before, Reply reply);
  MessageResult ResultOf(const Heard& heard) const;
  Lsn SafeEnd() const;
  void SettleArrivals();
  void DropArrivals(Lsn end);
  void Conclude(Reply reply, MessageResult result, Lsn end);
  void NoteOutcome(const Notice& notice);
  void NoteFailedSends();
  void Send(const Message& message);

  // --- replication_snapshot.cc: snapshots given and received
  void MakeSource();
  void Give(const SendPiece& piece);
  Result<GroupTables> TablesAt(Lsn position) const;
  void ServeSnapshots();
  void Grant(Lsn position);
  std::optional<Lsn> AskToSwitch(Lsn position);
  void Keep(const KeepPiece& piece);
  std::vector<Event> Fill(SnapshotSink::Order order, uint64_t offset, bool last, Bytes bytes);
  void NoteInstalled(Lsn end);

  // --- replication_log.cc: what it does with the log
  std::optional<Event> Act(const LogAction& action);
  Event Append(const AppendRecords& append);
  Event Append(const AppendTerm& append);
  Event Append(const AppendConfiguration& append);
  void RollBackBehind(const RollBack& action);
  Event ShipRecords(const Ship& ship);
  void TellLog();
  void NoteWhole(Lsn end);
  // Drops what the log has behind its last whole transaction; kCorruption where that ends above.
  Status DropRest(Lsn end);
  Lsn LastEndWithin(Lsn position) const;
  void KeepTables();

  // --- replication_board.cc: what all processes are told, and what they ask for
  void AskForReaders();
  bool AnswerReaders(const ReadReady& read);
  void Show();
  void ShowMembers();
  void ShowTerms();
  void TakeDown();

  Env& env_;
  const std::string directory_;
  Store& store_;
  Log& log_;
  CoreOptions options_;
  MessageCarrier* const carrier_;
  GroupListener* const listener_;
  const AckLevel ack_level_;

  std::unique_ptr<ReplicationRole> role_;

  // Of the pump.
  std::optional<GroupBoard> board_;
  GroupStatus next_status_;
  BoardState shown_;  // what stands on the board, or will at the end of this round
  ContactTimes contacts_;
  uint64_t round_ticket_ = 0;  // the newest that the round under way answers; 0 = none is
  uint64_t round_id_ = 0;      // of the newest round, as the core knows it
  std::unique_ptr<HardStateFile> hard_state_;
  std::optional<Replicator> core_;
  GroupTables tables_;  // as they were saved last
  EncodedMessage encoded_;
  std::map<MemberId, std::unique_ptr<RawReader>> readers_;
  Lsn end_;             // of the log, pieces of a transaction included, as the core has been told
  Lsn whole_;           // where its last whole transaction ends
  Lsn requested_;       // whose flush has been asked for
  Nanos flush_at_ = 0;  // when it will be, of what nobody waits for; 0 = there is nothing
  std::deque<Lsn> open_ends_;        // those above `flushed_`, ascending
  Lsn applied_, written_, flushed_;  // as the core has been told
  uint64_t history_ = 0;             // roll-backs, as the core counts them
  Lsn limit_;                        // that the fold has been told of
  uint64_t steps_ = 0;
  bool rolling_back_ = false;
  bool switching_ = false;  // log and rows are being exchanged for those of a snapshot
  std::atomic<bool> keeping_tables_{false};
  bool failed_ = false;
  std::optional<Outcome> outcome_;      // of the message that is being looked at
  std::multimap<Lsn, Reply> arrivals_;  // by what has to be safe for them
  Lsn permanent_failed_;
  ReplicationCounters counters_;

  mutable std::mutex mutex_;  // guards what follows
  std::deque<Item> inbox_;
  uint64_t inbox_bytes_ = 0;
  GroupStatus status_;
  Status failure_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> refused_{0}, dropped_{0};
  std::atomic<uint64_t> failed_send_{0};  // the end of records that could not be sent

  SnapshotOptions snapshot_options_;
  std::unique_ptr<SnapshotSource> source_;  // once somebody has asked
  std::unique_ptr<SnapshotSink> sink_;
  std::mutex fill_mutex_;  // guards what follows
  std::condition_variable fill_news_;
  std::optional<Lsn> fill_asked_;                   // the snapshot that is ready is of there
  std::optional<std::optional<Lsn>> fill_granted_;  // the pump's answer
  std::vector<Event> fill_told_;                    // what a piece has come to
  std::unique_ptr<DiskWorker> filler_;              // once there is a piece

  std::unique_ptr<DiskWorker> disk_;
  std::unique_ptr<Thread> pump_;
};

}  // namespace ringleader
