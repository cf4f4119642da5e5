#include "engine/snapshot_source.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/mutant.h"
#include "core/limits.h"
#include "store/snapshot_install.h"

namespace ringleader {
namespace {

constexpr size_t kMaxAsked = kMaxMembers;
constexpr size_t kMaxReady = 4;  // pieces that the pump has not sent yet
// Who begins as often with the same snapshot has found something wrong with it.
constexpr uint32_t kMostBeginnings = 8;
constexpr uint64_t kFoldNs = 1'000'000'000;
constexpr auto kLookAgain = std::chrono::milliseconds(200);

Status Closed() { return Status(Code::kClosed, "the member is being closed"); }

}  // namespace

SnapshotHead HeadOf(const SnapshotHeader& header, uint64_t total_bytes, const GroupTables& tables) {
  SnapshotHead head;
  head.id = header.id;
  head.total_bytes = total_bytes;
  head.position.lsn = header.position;
  const size_t extra = tables.terms.size() - std::min(tables.terms.size(), kMaxTermsInMessage);
  head.terms.assign(tables.terms.begin() + static_cast<ptrdiff_t>(extra), tables.terms.end());
  if (!tables.terms.empty()) head.position.term = tables.terms.back().term;
  head.configuration = tables.configuration;
  return head;
}

Result<bool> SnapshotSource::LeftBehind(Log& log) {
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, log.Consumers());
  return std::any_of(consumers.begin(), consumers.end(),
                     [](const Consumer& one) { return one.name == kSnapshotConsumer; });
}

SnapshotSource::SnapshotSource(Env& env, const std::string& directory, Store& store,
                               const SnapshotOptions& options, std::function<void()> wake)
    : env_(env),
      directory_(directory),
      store_(store),
      options_(options),
      wake_(std::move(wake)),
      thread_(env.threads.Spawn("rl-snapshot", [this] { Run(); })) {}

// What it has made stays, for who goes on after a restart.
SnapshotSource::~SnapshotSource() {
  stopping_.store(true, std::memory_order_release);
  {
    const std::lock_guard<std::mutex> lock(mutex_);  // or the thread may miss it
  }
  news_.notify_all();
  thread_.reset();
}

// --- the pump's ----------------------------------------------------------------------------------

void SnapshotSource::Ask(const SendPiece& request) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto same = std::find_if(asked_.begin(), asked_.end(),
                                   [&](const SendPiece& one) { return one.to == request.to; });
    if (same != asked_.end()) {
      *same = request;
    } else if (asked_.size() < kMaxAsked) {
      asked_.push_back(request);
    }
  }
  news_.notify_all();
}

std::optional<Lsn> SnapshotSource::Wanted() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return std::exchange(wanted_, std::nullopt);
}

void SnapshotSource::Describe(Result<GroupTables> tables) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    described_.emplace(std::move(tables));
  }
  news_.notify_all();
}

std::optional<SnapshotSource::Piece> SnapshotSource::Take() {
  std::optional<Piece> piece;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (ready_.empty()) return piece;
    piece.emplace(std::move(ready_.front()));
    ready_.pop_front();
  }
  news_.notify_all();
  return piece;
}

SnapshotSource::Counts SnapshotSource::counts() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return counts_;
}

// --- the thread ----------------------------------------------------------------------------------

void SnapshotSource::Run() {
  SendPiece request;
  while (AwaitRequest(&request)) Serve(request);
}

bool SnapshotSource::AwaitRequest(SendPiece* request) {
  Nanos asked_at = env_.clock.MonotonicNanos();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!Stopping()) {
    if (!asked_.empty() && ready_.size() < kMaxReady) {
      *request = std::move(asked_.front());
      asked_.pop_front();
      return true;
    }
    news_.wait_for(lock, kLookAgain);
    if (!asked_.empty()) asked_at = env_.clock.MonotonicNanos();
    const bool forgotten =
        env_.clock.MonotonicNanos() - asked_at > options_.keep_unasked_ns && asked_.empty();
    if (!forgotten || (looked_ && !outgoing_)) continue;
    lock.unlock();
    Drop();
    lock.lock();
  }
  return false;
}

void SnapshotSource::Serve(const SendPiece& request) {
  const Status ready = MakeReady(request);
  if (!ready.ok()) {
    // It is asked for again. What keeps it from being made stands in the way for a while.
    std::unique_lock<std::mutex> lock(mutex_);
    ++counts_.failed;
    if (!Stopping()) news_.wait_for(lock, kLookAgain);
    return;
  }
  Outgoing& outgoing = *outgoing_;
  const SnapshotRequest& wants = request.request;
  const bool goes_on = wants.id == outgoing.head.id && wants.offset < outgoing.head.total_bytes;
  Piece made;
  made.to = request.to;
  made.piece.head = outgoing.head;
  // Of another one than was asked for, the beginning.
  made.piece.offset = goes_on ? wants.offset : 0;
  if (made.piece.offset == 0) ++outgoing.begun[request.to];
  const uint64_t left = outgoing.head.total_bytes - made.piece.offset;
  const uint64_t limit = std::clamp<uint64_t>(wants.limit_bytes, 1, kMaxSnapshotPieceBytes);
  made.bytes.resize(std::min(left, limit));
  made.piece.last = made.bytes.size() == left;
  if (!Pace(made.bytes.size())) return;
  if (!ReadExactly(*outgoing.file, made.piece.offset, made.bytes, kOutgoingName).ok()) {
    return Drop();
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    // Asked for again while it was waited for: this is the answer.
    std::erase_if(asked_, [&](const SendPiece& one) {
      return one.to == request.to && one.request.id == wants.id &&
             one.request.offset == wants.offset;
    });
    ++counts_.pieces;
    counts_.bytes += made.bytes.size();
    ready_.push_back(std::move(made));
  }
  wake_();
}

// False where the member is being closed.
bool SnapshotSource::Pace(uint64_t bytes) {
  if (options_.bytes_per_second == 0) return !Stopping();
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    const Nanos now = env_.clock.MonotonicNanos();
    if (Stopping()) return false;
    if (now >= paced_until_ || RL_MUTANT(kSendUnpaced)) {
      const double seconds =
          static_cast<double>(bytes) / static_cast<double>(options_.bytes_per_second);
      paced_until_ = std::max(now, paced_until_) + static_cast<Nanos>(seconds * 1e9);
      return true;
    }
    news_.wait_for(lock, std::chrono::nanoseconds(std::min<Nanos>(paced_until_ - now, 50'000'000)));
  }
}

Status SnapshotSource::MakeReady(const SendPiece& request) {
  if (!looked_) {
    looked_ = true;
    if (!Load().ok()) Drop();
  }
  if (outgoing_ && Usable(request)) return Status::Ok();
  Drop();
  const Status made = Make();
  if (!made.ok()) Drop();
  return made;
}

bool SnapshotSource::Usable(const SendPiece& request) {
  const Outgoing& outgoing = *outgoing_;
  if (outgoing.head.position.lsn < store_.log().Stat().start) return false;
  const auto begun = outgoing.begun.find(request.to);
  const bool begins = request.request.id != outgoing.head.id || request.request.offset == 0;
  if (!begins || begun == outgoing.begun.end()) return true;
  if (begun->second >= kMostBeginnings) return false;
  if (request.request.id != outgoing.head.id) return true;
  // Something was wrong with what it got: with what is here?
  SnapshotHeader header;
  const auto good = GoodBytes(env_, SnapshotPath(directory_, kOutgoingName), &header);
  return good.ok() && good.value() == outgoing.head.total_bytes;
}

// What an earlier run of this member has left: whoever has a part of it goes on.
Status SnapshotSource::Load() {
  const std::string path = SnapshotPath(directory_, kOutgoingName);
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, store_.log().Consumers());
  const bool held = std::any_of(consumers.begin(), consumers.end(), [](const Consumer& one) {
    return one.name == kSnapshotConsumer && !one.broken;
  });
  if (!held) return Status(Code::kNotFound, "nothing holds the log for it");
  SnapshotHeader header;
  RL_ASSIGN_OR_RETURN(const uint64_t good, GoodBytes(env_, path, &header));
  Outgoing found;
  RL_ASSIGN_OR_RETURN(found.file, env_.files.Open(path, OpenMode::kRead));
  RL_ASSIGN_OR_RETURN(const uint64_t size, found.file->Size());
  if (good == 0 || good != size || header.group_id != store_.log().identity().group_id) {
    return Status(Code::kCorruption, "it is not whole");
  }
  RL_ASSIGN_OR_RETURN(const std::vector<uint8_t> group, ReadSnapshotGroup(env_, path));
  RL_ASSIGN_OR_RETURN(const GroupTables tables, DecodeGroupTables(group));
  found.head = HeadOf(header, size, tables);
  outgoing_.emplace(std::move(found));
  return Status::Ok();
}

Status SnapshotSource::Make() {
  // The newer it is, the less has to be shipped behind it.
  (void)store_.Fold(kFoldNs).ok();
  RL_RETURN_IF_ERROR(MakeSnapshotDirectory(env_, directory_));
  Outgoing made;
  RL_ASSIGN_OR_RETURN(
      made.file, env_.files.Open(SnapshotPath(directory_, kOutgoingName), OpenMode::kCreateEmpty));
  Store::SnapshotOrder order;
  order.id = env_.random.Next64() | 1;
  order.max_bytes = options_.max_bytes;
  order.consumer = kSnapshotConsumer;
  order.max_log_bytes = options_.max_log_bytes;
  order.stop = [this] { return Stopping(); };
  GroupTables tables;
  order.describe = [this, &tables](Lsn position) -> Result<std::vector<uint8_t>> {
    RL_ASSIGN_OR_RETURN(std::vector<uint8_t> group, AskPump(position));
    RL_ASSIGN_OR_RETURN(tables, DecodeGroupTables(group));
    return group;
  };
  RL_ASSIGN_OR_RETURN(const SnapshotHeader header, store_.WriteSnapshot(*made.file, order));
  RL_ASSIGN_OR_RETURN(const uint64_t size, made.file->Size());
  made.head = HeadOf(header, size, tables);
  outgoing_.emplace(std::move(made));
  const std::lock_guard<std::mutex> lock(mutex_);
  ++counts_.made;
  return Status::Ok();
}

Result<std::vector<uint8_t>> SnapshotSource::AskPump(Lsn position) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    described_.reset();
    wanted_ = position;
  }
  wake_();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!described_) {
    if (Stopping()) return Closed();
    news_.wait_for(lock, kLookAgain);
  }
  const Result<GroupTables> tables = *std::exchange(described_, std::nullopt);
  RL_RETURN_IF_ERROR(tables.status());
  return EncodeGroupTables(tables.value());
}

void SnapshotSource::Drop() {
  looked_ = true;
  outgoing_.reset();
  const Status removed = env_.files.Remove(SnapshotPath(directory_, kOutgoingName));
  (void)removed;  // a leftover costs space, and is written over
  const Status let_go = store_.log().RemoveConsumer(kSnapshotConsumer);
  (void)let_go;  // kNotFound where there was none
}

}  // namespace ringleader
