// What the writer section is asked to do, and what it answers.
//
// Optimistic concurrency control (Kung, Robinson: "On Optimistic Methods for Concurrency Control",
// ACM TODS 1981, serial validation): a transaction reads from its view and buffers its writes. In
// the writer section its reads are compared with everything committed since: a row or range that
// has a version above the view's LSN is a conflict, and nothing of the transaction happens. What
// passes is appended, inserted into the overlay and visible before the section ends, so the order
// of the log is the order of the transactions.
//
// An atomic operation brings a rule instead of a payload. Its rule is applied to the row outside
// the section; inside, only if the row has changed since, once more, to the newest version, which
// is in memory. So it never aborts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "log/log_appender.h"
#include "store/read_set.h"
#include "store/row.h"

namespace ringleader {

enum class Verdict : uint8_t {
  kPending,    // not yet tried, or not yet possible: try again
  kCommitted,  // `appended` says where
  kConflict,   // something read has changed: nothing happened
  kUnchanged,  // an atomic operation whose condition did not hold: nothing happened
  kDropped,    // it writes to a database that has been dropped: nothing happened
  kInvalid,    // `error` says why: nothing happened
};

enum class AtomicKind : uint8_t {
  kPutIfAbsent,      // puts `value` where there is no row
  kPutIfVersion,     // puts `value` where the row's version is `expected_version`; 0 = no row
  kPutIfValue,       // puts `value` where the row's value equals `expected_value`
  kRemove,           // removes the row and gives back what it was
  kRemoveIfVersion,  // removes the row where its version is `expected_version`
  kAdd,  // adds `delta` to a number (8 bytes, float64 little-endian); no row counts as 0
};

struct AtomicOperation {
  AtomicKind kind = AtomicKind::kPutIfAbsent;
  std::vector<uint8_t> row_key;
  std::vector<uint8_t> value;
  Lsn expected_version;
  std::vector<uint8_t> expected_value;
  double delta = 0;

  // Out: the row as it was before, whatever the verdict; of kAdd, the sum.
  std::optional<std::vector<uint8_t>> before;
  Lsn before_version;
  double sum = 0;
};

// One commit on its way. Everything it points to stays in place until its verdict is final.
struct Commit {
  // In: operations (operations.h); ignored where there is an atomic operation.
  Bytes payload;
  // In, optimistic transactions only: what was read, and from which view.
  const ReadSet* reads = nullptr;
  Lsn snapshot;
  uint64_t history = 0;  // View::history
  // Rows that are written must be unchanged since `snapshot` too (snapshot isolation: first
  // committer wins).
  bool first_committer_wins = false;
  AtomicOperation* atomic = nullptr;
  uint64_t ticket = 0;  // of a reservation; 0 = none
  // The databases it writes to are known to exist as of this state of the catalogue; 0 = look.
  uint64_t catalogue = 0;

  // Out.
  Verdict verdict = Verdict::kPending;
  Appended appended;
  Status error;
};

}  // namespace ringleader
