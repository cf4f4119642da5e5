#include "sim_store.h"

#include <algorithm>

#include "base/coding.h"
#include "base/crc32c.h"

namespace ringleader::simulator {
namespace {

constexpr char kRoot[] = "m";
constexpr char kCurrentName[] = "current";
constexpr char kCheckpointName[] = "checkpoint";
constexpr char kConsumerName[] = "data";

LogOptions OptionsFor(const Id128& group) {
  LogOptions options;
  options.segment_bytes = kMinSegmentBytes;
  options.ring_bytes = SmallestRing(kMinSegmentBytes);
  options.segments_ahead = 1;
  options.group_id = group;
  options.service_threads = false;
  return options;
}

Status IgnoreExists(const Status& status) {
  return status.code() == Code::kExists ? Status::Ok() : status;
}

}  // namespace

SimStore::SimStore(const Id128& group, uint64_t seed, Nanos skew)
    : group_(group),
      world_({.seed = seed,
              .disk = {.seed = seed + 1, .record = false},
              .threads = {.point_nanos = 0, .max_points = UINT64_MAX}}) {
  world_.clock().Advance(skew);
}

SimStore::~SimStore() { Abandon(); }

void SimStore::Abandon() {
  hard_state_.reset();
  if (log_ != nullptr) log_->Forget();
  log_.reset();
}

void SimStore::Kill() {
  if (process_ != nullptr && process_->alive()) world_.KillProcess(*process_);
  Abandon();
  process_ = nullptr;
}

void SimStore::PowerCut(const CrashPolicy& policy, uint64_t seed) {
  world_.PowerCut(policy, seed);
  Abandon();
  process_ = nullptr;
}

std::string SimStore::Environment() const {
  return JoinPath(kRoot, "e" + std::to_string(generation_));
}

Result<std::vector<uint8_t>> SimStore::ReadFile(const std::string& path) {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file, env().files.Open(path, OpenMode::kRead));
  RL_ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::vector<uint8_t> bytes(size);
  RL_RETURN_IF_ERROR(ReadExactly(*file, 0, bytes, path));
  return bytes;
}

Status SimStore::ReplaceFile(const std::string& directory, const std::string& name, Bytes bytes) {
  const std::string path = JoinPath(directory, name);
  {
    RL_ASSIGN_OR_RETURN(const std::unique_ptr<File> file,
                        env().files.Open(path + ".tmp", OpenMode::kCreateEmpty));
    RL_RETURN_IF_ERROR(file->WriteAt(0, bytes));
    RL_RETURN_IF_ERROR(file->SyncData());
  }
  RL_RETURN_IF_ERROR(env().files.Rename(path + ".tmp", path));
  return env().files.SyncDirectory(directory);
}

Status SimStore::Prepare() {
  RL_RETURN_IF_ERROR(IgnoreExists(env().files.MakeDirectory(kRoot)));
  RL_RETURN_IF_ERROR(env().files.SyncDirectory(""));
  RL_RETURN_IF_ERROR(IgnoreExists(HardStateFile::Create(env(), kRoot)));
  RL_ASSIGN_OR_RETURN(hard_state_, HardStateFile::Open(env(), kRoot));
  // The name may be in the cache only, as after a flush of the directory that failed.
  RL_RETURN_IF_ERROR(env().files.SyncDirectory(kRoot));
  const auto current = ReadFile(JoinPath(kRoot, kCurrentName));
  if (current.status().code() == Code::kNotFound) {
    generation_ = 1;
    return Status::Ok();
  }
  if (!current.ok()) return current.status();
  RL_CHECK(current.value().size() == sizeof generation_);
  generation_ = LoadLe<uint64_t>(current.value().data());
  return Status::Ok();
}

Lsn SimStore::end() {
  const Lsn at = log_->End(Level::kMemory);
  const uint64_t within = at.value % kMinSegmentBytes;
  if (within != 0 && within != kSegmentPageBytes) return end_ = CoreEnd(at);
  // Where the disk cannot say, what was told before is still right: neither padding nor a page
  // makes an end.
  if (const auto last = log_->LastEnd(at); last.ok()) end_ = CoreEnd(last.value());
  return end_;
}

Status SimStore::OpenLog() {
  RL_ASSIGN_OR_RETURN(log_, Log::Open(env(), Environment(), OptionsFor(group_)));
  RL_RETURN_IF_ERROR(log_->SetGate(Gate::Closed(GateReason::kStarting)).status());
  RL_ASSIGN_OR_RETURN(const std::vector<Consumer> consumers, log_->Consumers());
  if (consumers.empty()) {
    RL_RETURN_IF_ERROR(log_->PutConsumer({kConsumerName, log_->Stat().start, 0, 0, false}));
  }
  return DropRest(kMaxLsn);
}

// Pieces of a transaction that never came to its end were never promised to anybody, and whoever
// ships the rest may have other ones. Neither is padding part of what members compare: the next
// record of the group may stand where it is.
Status SimStore::DropRest(Lsn end) {
  const Lsn tail = log_->Stat().tail;
  RL_ASSIGN_OR_RETURN(const Lsn last, log_->LastEnd(tail));
  if (CoreEnd(last) == CoreEnd(tail)) return Status::Ok();
  if (last > end) return Status(Code::kCorruption, "the log has whole transactions there");
  return log_->RollBack(last);
}

Status SimStore::LoadCheckpoint(Checkpoint* checkpoint) {
  const auto bytes = ReadFile(JoinPath(Environment(), kCheckpointName));
  if (bytes.status().code() == Code::kNotFound) return Status::Ok();
  if (!bytes.ok()) return bytes.status();
  if (DecodeCheckpoint(bytes.value(), checkpoint)) return Status::Ok();
  return Status(Code::kCorruption, "the checkpoint");
}

Status SimStore::ReadTables(const Checkpoint& checkpoint, Start* start) {
  RL_ASSIGN_OR_RETURN(const GroupScan scan, log_->ScanGroup());
  const Lsn log_start = log_->Stat().start;
  for (const TermStart& row : checkpoint.terms) {
    if (row.start < log_start) RL_CHECK(start->terms.Add(row));
  }
  for (const TermRow& row : scan.terms) {
    const Ballot ballot{row.term.counter, Incarnation(row.term.incarnation)};
    RL_CHECK(start->terms.Add({ballot, row.start}));
  }
  const ConfigurationAt& below = checkpoint.configuration;
  if (below.configuration.version > 0) start->configurations.push_back(below);
  for (const ConfigurationRow& row : scan.configurations) {
    if (row.end <= below.end) continue;
    ConfigurationAt at{row.end, {}};
    RL_CHECK(DecodeConfiguration(row.payload, &at.configuration));
    start->configurations.push_back(std::move(at));
  }
  const Lsn commit = std::min(start->hard_state.commit, start->log_end);
  auto& all = start->configurations;
  while (all.size() > 1 && all[1].end <= commit) all.erase(all.begin());
  return Status::Ok();
}

Status SimStore::Open(Start* start, Checkpoint* checkpoint) {
  process_ = &world_.StartProcess();
  RL_RETURN_IF_ERROR(Prepare());
  RL_RETURN_IF_ERROR(OpenLog());
  RL_RETURN_IF_ERROR(LoadCheckpoint(checkpoint));
  if (hard_state_->state()) start->hard_state = *hard_state_->state();
  // The hard state says what was certain when it was saved last; the checkpoint may know more.
  Lsn& commit = start->hard_state.commit;
  commit = std::max(commit, checkpoint->state.position());
  start->log_start = log_->Stat().start;
  RL_ASSIGN_OR_RETURN(const Lsn log_end, log_->LastEnd(log_->End(Level::kMemory)));
  start->log_end = end_ = CoreEnd(log_end);
  RL_RETURN_IF_ERROR(ReadTables(*checkpoint, start));
  for (Gone& gone : expected_) gone.certain = gone.certain || gone.end > start->log_end;
  std::erase_if(expected_, [](const Gone& gone) { return !gone.certain; });
  return ReadIncoming(start);
}

Status SimStore::SaveCheckpoint(const Checkpoint& checkpoint) {
  // What is committed may be on the disks of others only. Data ahead of its own log is none.
  RL_RETURN_IF_ERROR(log_->WaitFor(checkpoint.state.position(), Level::kFlushed));
  RL_RETURN_IF_ERROR(ReplaceFile(Environment(), kCheckpointName, EncodeCheckpoint(checkpoint)));
  const Lsn position = checkpoint.state.position();
  if (position.value == 0) return Status::Ok();
  return log_->AdvanceConsumer(kConsumerName, position);
}

Status SimStore::Housekeep() { return log_->Tick(); }

Status SimStore::KeepBehind(Lsn fork, Ballot discarded) {
  std::erase_if(expected_, [](const Gone& gone) { return !gone.certain; });
  // What is on the disk for good can go by a roll-back only.
  RL_RETURN_IF_ERROR(log_->WaitFor(log_->End(Level::kMemory), Level::kFlushed));
  const auto reader = log_->Read(fork);
  for (;;) {
    RL_ASSIGN_OR_RETURN(const std::optional<LogEntry> entry, reader->Next());
    if (!entry) break;
    expected_.push_back({entry->end, HashOfEntry(*entry), false});
  }
  return SaveDiscarded(env(), kRoot, *log_, fork, discarded.counter, discarded.incarnation.value)
      .status();
}

Result<Lsn> SimStore::RollBack(Lsn to, Ballot discarded) {
  RL_ASSIGN_OR_RETURN(const Lsn fork, log_->LastEnd(to));
  RL_RETURN_IF_ERROR(KeepBehind(fork, discarded));
  RL_RETURN_IF_ERROR(log_->RollBack(fork));
  ++roll_backs_;
  for (Gone& gone : expected_) gone.certain = true;
  return CoreEnd(fork);
}

std::string SimStore::CheckDiscarded() {
  std::vector<std::pair<Lsn, uint64_t>> found;
  const auto paths = ListDiscarded(env(), kRoot);
  if (paths.status().code() == Code::kIo) return "";  // nothing can be said now
  if (!paths.ok()) return paths.status().ToString();
  for (const std::string& path : paths.value()) {
    auto opened = DiscardedReader::Open(env(), path);
    if (opened.status().code() == Code::kIo) return "";
    if (!opened.ok()) return path + ": " + opened.status().ToString();
    for (;;) {
      const auto entry = opened.value()->Next();
      if (!entry.ok()) return path + ": " + entry.status().ToString();
      if (!entry.value()) break;
      found.emplace_back(entry.value()->end, HashOfEntry(*entry.value()));
    }
  }
  std::ranges::sort(found);
  for (const Gone& gone : expected_) {
    if (gone.certain && !std::ranges::binary_search(found, std::pair(gone.end, gone.hash))) {
      return "a discarded transaction is in no file: " + std::to_string(gone.end.value);
    }
  }
  return "";
}

}  // namespace ringleader::simulator
