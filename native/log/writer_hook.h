// What a layer above the log does inside the writer section, with the writer lock held.
//
//   Admit    before the entry has a place: check it, perhaps change it, or refuse it
//   Insert   the entry counts now: it will be in the log whatever dies; nobody sees it before the
//            section ends
//   Redo     another writer died between the two: its entries count, but may be inserted in part or
//            not at all. Called before anything else happens under the lock
//
// None of them may wait, allocate much or fail lightly: everybody else's appends wait. Insert and
// Redo that fail end the environment, because a record that counts could not be made visible.
// Threads: called by the thread that appends, one at a time over all processes.
#pragma once

#include <cstddef>
#include <span>

#include "base/bytes.h"
#include "base/status.h"
#include "base/types.h"
#include "log/log_format.h"

namespace ringleader {

// One transaction to append.
struct Entry {
  Bytes payload;  // at most kMaxTransactionBytes
  RecordType type = RecordType::kTransaction;
  uint16_t operations = 0;
  Term term;  // 0 = that of the record before; otherwise not below it
};

enum class Admission : uint8_t {
  kAppend,
  kAppendChanged,  // the payload is another one now
  kRefuse,         // it has no place in the log: go on with the next entry
  kStop,           // it has to wait: neither it nor what comes after it is appended now
};

class WriterHook {
 public:
  virtual ~WriterHook() = default;

  // A hint, given without the lock: transactions that will be asked for soon, if nothing comes in
  // between.
  virtual void Foresee(std::span<const Entry>) {}
  // Entry `index` of this call is next; the log ends at `tail`. May change the payload, which must
  // then stay in place for the call. Asked again where there turns out to be no room.
  virtual Admission Admit(size_t index, Lsn tail, Entry& entry) = 0;
  // The entry's last record ends at `end`.
  virtual Status Insert(Lsn end, const Entry& entry) = 0;
  virtual Status Redo(Lsn end, const Entry& entry) = 0;
  // The holder of the lock has died, wherever it was.
  virtual void Mend() = 0;
};

}  // namespace ringleader
