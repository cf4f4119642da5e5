// Commits of one handle on a store: a turn's records at once, in the order in which they were made.
//
// They arrive through memory that both sides see:
//   payload    Uint8Array    the bytes of the records, one behind the other
//   entries    Uint32Array   three words per record: bytes (of a transaction: its slot),
//                            kind | level << 8 | flags << 16, promises that wait for it; flag 1:
//                            databases of it are known to be gone
//   results    Float64Array  seven numbers per record: lsn, end, level, promises, kind, sum, term;
//                            lsn is kFailed or kUnchanged where there is none
//
// Of a level the two lowest bits are the log's own; what else it says is JavaScript's.
//
// The bytes of a record of operations are what operations.h says, those of an atomic operation
//   kind u8 | 0 u8 | row key bytes u16 | value bytes u32 | expected bytes u32 | 0 u32 |
//   expected version f64 | delta f64 | row key | value | expected value
//
// What cannot be committed at once goes to a queue with a thread that may wait, and so does
// everything after it until the queue is empty.
// Threads: the environment's JavaScript thread; Close on any, when that is done with it.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "binding/js.h"
#include "binding/progress_signal.h"
#include "binding/store_reader.h"
#include "binding/submission_queue.h"
#include "store/store.h"

namespace ringleader::binding {

enum class RecordKind : uint8_t {
  kOperations,
  kTransaction,
  kAtomic,
};

// One commit on its way, with what it refers to.
struct StoreSubmission {
  RecordKind kind = RecordKind::kOperations;
  uint8_t level = 0;
  uint32_t promises = 0;
  Commit commit;
  std::unique_ptr<Transaction> transaction;
  std::unique_ptr<AtomicOperation> atomic;
  std::shared_ptr<uint8_t[]> bytes;  // where the payload lies, once queued

  Level log_level() const { return static_cast<Level>(level & 3); }

  Status status;  // out: why there is no verdict
};

class StoreWriter {
 public:
  // `signal` is raised when queued records are done.
  StoreWriter(Store& store, StoreReader& reader, ProgressSignal* signal);

  void Define(Napi::Env env, Napi::Object memory);

  // Commits the first `count` records in the shared memory, or queues them. Returns how many have
  // their results already, or StoreReader::kStale, having done nothing: ids of databases may be
  // old.
  int32_t Submit(size_t count);
  // The same for one record of operations that is too large for the shared memory.
  int32_t SubmitOne(Bytes payload, uint32_t word, uint32_t promises);
  // How many results of queued records are in the shared memory now, in order.
  size_t Collect();
  // Why the next failed one of the latest results has failed.
  std::optional<Status> TakeFailure();
  // The row that the next atomic removal of the latest results has found.
  std::optional<std::vector<uint8_t>> TakeBefore();
  size_t outstanding() const { return queue_->outstanding(); }

  // Ends the queue's thread after the record it is at.
  void Close() { queue_.reset(); }

 private:
  size_t Run(std::span<StoreSubmission> items);
  void RunOne(StoreSubmission& item);
  bool AddRecord(const uint32_t* words, const uint8_t** payload);
  void AddAtomic(Bytes bytes, StoreSubmission* item);
  // The state of the catalogue as of which a record's databases are known to exist; 0 = look.
  uint64_t KnownCatalogue(uint32_t word) const;
  int32_t SubmitAll();
  void Queue(std::span<StoreSubmission> items);
  void PutResult(size_t i, StoreSubmission& item);
  void EndTransactions(std::span<StoreSubmission> items);

  Store& store_;
  StoreReader& reader_;
  uint8_t* payload_ = nullptr;
  uint32_t* words_ = nullptr;
  double* results_ = nullptr;

  std::vector<StoreSubmission> items_;  // of the batch at hand
  std::vector<Commit*> commits_;
  // Of the latest results, the next one to be taken last.
  std::vector<Status> failures_;
  std::vector<std::optional<std::vector<uint8_t>>> befores_;

  std::optional<SubmissionQueue<StoreSubmission>> queue_;
};

}  // namespace ringleader::binding
