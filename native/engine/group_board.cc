#include "engine/group_board.h"

#include <algorithm>
#include <new>
#include <utility>

#include "base/crc32c.h"
#include "base/mutant.h"

namespace ringleader {
namespace {

constexpr size_t kHeadBytes = 128;
constexpr size_t kLevels = 4;
constexpr size_t kImageWords = (kBoardBytes - kHeadBytes) / 2 / sizeof(uint64_t);

// An image: number of words | checksum of what follows | fields | counters.
constexpr size_t kFirstField = 2;
constexpr size_t kCounters = 4;
// Looks that an endless run of publications may spoil before the reader gives up.
constexpr int kMostLooks = 1000;

// The file `lock`: bytes 0 and 1 are the log's (log_attachment.h).
constexpr uint64_t kRoleByte = 2;

uint64_t ChecksumOf(const std::vector<uint64_t>& words) {
  const uint64_t* from = words.data() + kFirstField;
  return MaskCrc(Crc32c(Bytes(reinterpret_cast<const uint8_t*>(from),
                              (words.size() - kFirstField) * sizeof(uint64_t))));
}

Status Damaged() { return Status(Code::kCorruption, "shared memory is damaged: the board"); }

}  // namespace

// Zeros are a board on which nothing stands.
struct BoardLayout {
  std::atomic<uint64_t>
      published;  // how many images; the newest one is number `published` modulo 2
  std::atomic<uint32_t> bell;
  std::atomic<uint32_t> sleepers;
  std::atomic<uint32_t> holder_pid;
  alignas(64) std::atomic<uint64_t> asked_reads;  // tickets given out
  std::atomic<uint64_t> wanted_at[kLevels];  // when a level was wanted last, of AckLevel's bits
  alignas(64) std::atomic<uint64_t> images[2][kImageWords];
};
static_assert(offsetof(BoardLayout, images) == kHeadBytes && sizeof(BoardLayout) <= kBoardBytes);

namespace {

// The fields of a state, once for both directions.
template <typename State, typename Words>
void Scalars(State& state, Words& words) {
  words(state.role);
  words(state.term);
  words(state.self);
  words(state.primary);
  words(state.end);
  words(state.commit);
  words(state.term_end);
  words(state.history);
  words(state.voters);
  words(state.votes);
  words(state.copies);
  words(state.self_votes);
  words(state.in_sync);
  words(state.changing);
  words(state.election_safe);
  words(state.disk);
  words(state.fresh_ns);
  words(state.permanent_failed);
  words(state.reads.served);
  words(state.reads.granted);
  words(state.reads.position);
}

template <typename Row, typename Words>
void MemberFields(Row& member, Words& words) {
  words(member.id);
  words(member.voter);
  words(member.disk);
  words(member.received);
  words(member.written);
  words(member.flushed);
  words(member.applied);
}

template <typename State, typename Words>
void Counters(State& state, Words& words) {
  words(state.steps);
  words(state.refused_frames);
  words(state.dropped_messages);
  words(state.roll_backs);
}

class WordWriter {
 public:
  explicit WordWriter(std::vector<uint64_t>* words) : words_(*words) {}
  void operator()(uint64_t value) { words_.push_back(value); }
  void operator()(uint32_t value) { words_.push_back(value); }
  void operator()(bool value) { words_.push_back(value ? 1 : 0); }
  void operator()(Role role) { words_.push_back(static_cast<uint64_t>(role)); }
  void operator()(MemberId id) { words_.push_back(id.value); }
  void operator()(Lsn lsn) { words_.push_back(lsn.value); }
  void operator()(const Ballot& ballot) {
    words_.push_back(ballot.counter.value);
    words_.push_back(ballot.incarnation.value);
  }

 private:
  std::vector<uint64_t>& words_;
};

// Anything that is no value of its type makes it not ok; then zeros follow.
class WordReader {
 public:
  explicit WordReader(const std::vector<uint64_t>& words) : words_(words) {}
  bool ok() const { return ok_; }
  bool done() const { return ok_ && at_ == words_.size(); }

  uint64_t Take(uint64_t most = UINT64_MAX) {
    ok_ = ok_ && at_ < words_.size() && words_[at_] <= most;
    return ok_ ? words_[at_++] : 0;
  }
  void operator()(uint64_t& value) { value = Take(); }
  void operator()(uint32_t& value) { value = static_cast<uint32_t>(Take(UINT32_MAX)); }
  void operator()(bool& value) { value = Take(1) == 1; }
  void operator()(MemberId& id) { id = MemberId(static_cast<uint32_t>(Take(UINT32_MAX))); }
  void operator()(Lsn& lsn) { lsn = Lsn(Take(kMaxLsn.value)); }
  void operator()(Ballot& ballot) {
    ballot.counter = Term(static_cast<uint32_t>(Take(UINT32_MAX)));
    ballot.incarnation = Incarnation(Take());
  }
  void operator()(Role& role) {
    role = static_cast<Role>(Take(static_cast<uint64_t>(Role::kPrimary)));
    ok_ = ok_ && role >= Role::kReplica;
  }

 private:
  const std::vector<uint64_t>& words_;
  size_t at_ = kFirstField;
  bool ok_ = true;
};

void Encode(const BoardState& state, std::vector<uint64_t>* words) {
  words->assign(kFirstField, 0);
  WordWriter put(words);
  Scalars(state, put);
  const size_t members = std::min(state.members.size(), kMaxMembers);
  put(uint64_t{members});
  for (size_t i = 0; i < members; ++i) MemberFields(state.members[i], put);
  const size_t terms = std::min(state.terms.size(), kBoardTerms);
  put(uint64_t{terms});
  for (size_t i = state.terms.size() - terms; i < state.terms.size(); ++i) {
    put(state.terms[i].term);
    put(state.terms[i].start);
  }
  Counters(state, put);
  (*words)[0] = words->size();
}

bool Decode(const std::vector<uint64_t>& words, BoardState* state) {
  WordReader take(words);
  Scalars(*state, take);
  state->members.clear();
  for (uint64_t left = take.Take(kMaxMembers); left > 0; --left) {
    const MemberId before = state->members.empty() ? MemberId(0) : state->members.back().id;
    MemberFields(state->members.emplace_back(), take);
    const bool first = state->members.size() == 1;
    if (!take.ok() || (!first && state->members.back().id <= before)) return false;
  }
  state->terms.clear();
  for (uint64_t left = take.Take(kBoardTerms); left > 0; --left) {
    TermStart& row = state->terms.emplace_back();
    take(row.term);
    take(row.start);
  }
  Counters(*state, take);
  return take.done() && Ascends(state->terms);
}

}  // namespace

Result<GroupBoard> GroupBoard::Of(Env& env, Log& log) {
  const MutableBytes bytes = log.Board();
  if (bytes.empty()) return Status(Code::kClosed, "the log is closed");
  return GroupBoard(env, log, std::launder(reinterpret_cast<BoardLayout*>(bytes.data())));
}

// The words of the newest image; none where there is none yet.
Status GroupBoard::Read(std::vector<uint64_t>* words) const {
  for (int look = 0; look < kMostLooks; ++look) {
    const uint64_t before = layout_->published.load(std::memory_order_acquire);
    if (before == 0) {
      words->clear();
      return Status::Ok();
    }
    const std::atomic<uint64_t>* image = layout_->images[before % 2];
    const uint64_t count = image[0].load(std::memory_order_acquire);
    const bool sized = count >= kFirstField + kCounters && count <= kImageWords;
    words->resize(sized ? count : 0);
    for (size_t i = 0; i < words->size(); ++i) {
      (*words)[i] = image[i].load(std::memory_order_acquire);
    }
    const bool same = layout_->published.load(std::memory_order_acquire) == before;
    if (!same && !RL_MUTANT(kLookOnce)) continue;
    if (!sized || (*words)[0] != count || (*words)[1] != ChecksumOf(*words)) return Damaged();
    return Status::Ok();
  }
  return Status(Code::kBusy, "the board changes faster than it can be read");
}

Status GroupBoard::Look(BoardState* state) const {
  std::vector<uint64_t> words;
  RL_RETURN_IF_ERROR(Read(&words));
  BoardState seen;
  if (!words.empty() && !Decode(words, &seen)) return Damaged();
  seen.holder_pid = holder_pid();
  *state = std::move(seen);
  return Status::Ok();
}

Result<BoardState> GroupBoard::Look() const {
  BoardState state;
  RL_RETURN_IF_ERROR(Look(&state));
  return state;
}

uint32_t GroupBoard::Sequence() const { return layout_->bell.load(std::memory_order_acquire); }

bool GroupBoard::Await(uint32_t sequence, uint64_t timeout_ns) {
  layout_->sleepers.fetch_add(1, std::memory_order_seq_cst);
  if (layout_->bell.load(std::memory_order_seq_cst) == sequence) {
    env_->threads.Wait(layout_->bell, sequence, timeout_ns);
  }
  layout_->sleepers.fetch_sub(1, std::memory_order_acq_rel);
  return Sequence() != sequence;
}

void GroupBoard::Ring() {
  layout_->bell.fetch_add(1, std::memory_order_seq_cst);
  if (layout_->sleepers.load(std::memory_order_seq_cst) != 0) {
    env_->threads.WakeAll(layout_->bell);
  }
}

uint64_t GroupBoard::AskRead() {
  const uint64_t ticket = layout_->asked_reads.fetch_add(1, std::memory_order_acq_rel) + 1;
  log_->AnnounceActivity();
  return ticket;
}

uint64_t GroupBoard::AskedReads() const {
  return layout_->asked_reads.load(std::memory_order_acquire);
}

// Levels of their own: whoever wants one never takes back what another one wants.
void GroupBoard::Want(uint8_t levels) {
  const Nanos now = env_->clock.MonotonicNanos();
  for (size_t i = 0; i < kLevels; ++i) {
    if ((levels >> i & 1) != 0) layout_->wanted_at[i].store(now, std::memory_order_release);
  }
}

uint8_t GroupBoard::Wanted() const {
  const Nanos now = env_->clock.MonotonicNanos();
  uint8_t levels = 0;
  for (size_t i = 0; i < kLevels; ++i) {
    // Of the future, or never: long ago.
    const Nanos ago = now - layout_->wanted_at[i].load(std::memory_order_acquire);
    if (ago < kWantedNs && ago != now) levels |= static_cast<uint8_t>(1U << i);
  }
  return levels;
}

void GroupBoard::SetHolder(uint32_t pid) {
  layout_->holder_pid.store(pid, std::memory_order_release);
}

uint32_t GroupBoard::holder_pid() const {
  return layout_->holder_pid.load(std::memory_order_acquire);
}

bool GroupBoard::Publish(const BoardState& state) {
  Encode(state, &next_);
  const bool same = next_.size() == newest_.size() &&
                    std::equal(next_.begin() + kFirstField, next_.end() - kCounters,
                               newest_.begin() + kFirstField);
  if (same) return false;
  next_[1] = ChecksumOf(next_);
  const uint64_t number = layout_->published.load(std::memory_order_acquire) + 1;
  std::atomic<uint64_t>* image = layout_->images[(number + (RL_MUTANT(kFillInPlace) ? 1 : 0)) % 2];
  for (size_t i = 0; i < next_.size(); ++i) image[i].store(next_[i], std::memory_order_release);
  layout_->published.store(number, std::memory_order_release);
  std::swap(next_, newest_);
  Ring();
  return true;
}

Result<std::unique_ptr<ReplicationRole>> ReplicationRole::Take(Env& env,
                                                               const std::string& directory,
                                                               GroupBoard board) {
  RL_ASSIGN_OR_RETURN(std::unique_ptr<File> lock,
                      env.files.Open(JoinPath(directory, "lock"), OpenMode::kReadWrite));
  const Status taken = RL_MUTANT(kShareRole) ? Status::Ok() : lock->TryLock(kRoleByte, true);
  if (taken.code() == Code::kBusy) {
    const uint32_t pid = board.holder_pid();  // 0: it has not said so yet
    return Status(Code::kBusy, (pid == 0 ? "another process" : "process " + std::to_string(pid)) +
                                   " replicates this environment");
  }
  RL_RETURN_IF_ERROR(taken);
  board.SetHolder(env.host.ProcessId());
  return std::unique_ptr<ReplicationRole>(new ReplicationRole(std::move(board), std::move(lock)));
}

ReplicationRole::~ReplicationRole() {
  board_.SetHolder(0);
  // A child of fork may have the file open too.
  (void)lock_->Unlock(kRoleByte).ok();
}

}  // namespace ringleader
