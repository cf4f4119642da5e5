// Walks the rows of a view in row-key order, in either direction: own writes, generations and base
// tree merged, tombstones left out.
//
// Of one row key the newest place wins: own writes, then generations newest to oldest, then the
// base. Moving costs one step of each place that stands on the row that is left; turning round
// costs a search in each. Threads: one at a time, together with its view. Ends with the view's next
// Renew or Release.
#pragma once

#include <memory>
#include <vector>

#include "base/status.h"
#include "store/base_tree.h"
#include "store/generation.h"
#include "store/row.h"
#include "store/view.h"
#include "store/write_set.h"

namespace ringleader {

// What a cursor merges. All of it must outlive the cursor.
struct MergeInput {
  const WriteSet* own = nullptr;               // may be null
  std::vector<const Generation*> generations;  // newest first
  Lsn at;                                      // of them: versions at or below
  BaseTree::Snapshot* base = nullptr;          // may be null
};

class MergeCursor {
 public:
  // `own` may be null; it must not change while the cursor stands on a row of its own, except by
  // Put and Remove followed by another Seek.
  static Result<std::unique_ptr<MergeCursor>> Open(View& view, const WriteSet* own);
  static Result<std::unique_ptr<MergeCursor>> Open(const MergeInput& input);
  ~MergeCursor();

  // The first row at or above / the last row strictly below `row_key`; an empty key means the first
  // / last of all. Ok with valid() false where there is none.
  Status SeekAtLeast(Bytes row_key);
  Status SeekBelow(Bytes row_key);
  // From a row only. A call that fails leaves the cursor on none.
  Status Next();
  Status Prev();

  bool valid() const;
  // Valid until the cursor moves.
  Bytes row_key() const;
  const Row& row() const;  // version 0 for own writes

 private:
  struct State;
  explicit MergeCursor(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace ringleader
