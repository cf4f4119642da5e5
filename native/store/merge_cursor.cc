// Every place is an ordered walk of its own and always stands on the next row that it has in the
// direction of the cursor, tombstones included. The least of those rows (going back: the greatest)
// is the cursor's; where several places have it, the newest one speaks.
#include "store/merge_cursor.h"

#include <bit>
#include <utility>

#include "base/check.h"

namespace ringleader {
namespace {

// One place that has rows: the members describe the row it stands on, where it stands on one.
class Place {
 public:
  virtual ~Place() = default;
  virtual Status SeekAtLeast(Bytes row_key) = 0;
  virtual Status SeekBelow(Bytes row_key) = 0;
  virtual Status Next() = 0;
  virtual Status Prev() = 0;

  bool valid = false;
  bool removed = false;
  // Good for as long as the place is, also when it has moved on: keys lie in the write set's map,
  // in a generation or in pages that the base snapshot holds.
  Bytes row_key;
  Row row;
};

class OwnPlace final : public Place {
 public:
  explicit OwnPlace(const WriteSet::Map& rows) : rows_(rows), at_(rows.end()) {}

  Status SeekAtLeast(Bytes row_key) override {
    at_ = rows_.lower_bound(AsText(row_key));
    return Describe(at_ != rows_.end());
  }
  Status SeekBelow(Bytes row_key) override {
    at_ = row_key.empty() ? rows_.end() : rows_.lower_bound(AsText(row_key));
    return Prev();
  }
  Status Next() override {
    ++at_;
    return Describe(at_ != rows_.end());
  }
  Status Prev() override {
    const bool exists = at_ != rows_.begin();
    if (exists) --at_;
    return Describe(exists);
  }

 private:
  static std::string_view AsText(Bytes bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  Status Describe(bool exists) {
    valid = exists;
    if (!exists) return Status::Ok();
    row_key = {reinterpret_cast<const uint8_t*>(at_->first.data()), at_->first.size()};
    row = Row{Lsn(), at_->second.bytes};
    removed = at_->second.removed;
    return Status::Ok();
  }

  const WriteSet::Map& rows_;
  WriteSet::Map::const_iterator at_;
};

class GenerationPlace final : public Place {
 public:
  GenerationPlace(const Generation& generation, Lsn at) : cursor_(generation), at_(at) {}

  Status SeekAtLeast(Bytes row_key) override {
    cursor_.SeekAtLeast(row_key);
    return PassUnseen<&Generation::Cursor::Next>();
  }
  Status SeekBelow(Bytes row_key) override {
    cursor_.SeekBelow(row_key);
    return PassUnseen<&Generation::Cursor::Prev>();
  }
  Status Next() override {
    cursor_.Next();
    return PassUnseen<&Generation::Cursor::Next>();
  }
  Status Prev() override {
    cursor_.Prev();
    return PassUnseen<&Generation::Cursor::Prev>();
  }

 private:
  // A row whose versions here are all newer than the snapshot is not there.
  template <bool (Generation::Cursor::*kStep)()>
  Status PassUnseen() {
    valid = false;
    for (; cursor_.valid(); (cursor_.*kStep)()) {
      const Found found = cursor_.Read(at_, &row);
      if (found == Found::kNothing) continue;
      if (found == Found::kDamaged) return Damaged();
      valid = true;
      removed = found == Found::kRemoved;
      row_key = cursor_.row_key();
      return Status::Ok();
    }
    return cursor_.damaged() ? Damaged() : Status::Ok();
  }

  static Status Damaged() {
    return Status(Code::kCorruption, "the overlay in shared memory is damaged");
  }

  Generation::Cursor cursor_;
  const Lsn at_;
};

class BasePlace final : public Place {
 public:
  explicit BasePlace(std::unique_ptr<BaseTree::Cursor> cursor) : cursor_(std::move(cursor)) {}

  Status SeekAtLeast(Bytes row_key) override { return Describe(cursor_->SeekAtLeast(row_key)); }
  Status SeekBelow(Bytes row_key) override { return Describe(cursor_->SeekBelow(row_key)); }
  Status Next() override { return Describe(cursor_->Next()); }
  Status Prev() override { return Describe(cursor_->Prev()); }

 private:
  Status Describe(Status status) {
    valid = status.ok() && cursor_->valid();
    if (!valid) return status;
    row_key = cursor_->row_key();
    row = cursor_->row();
    return status;
  }

  std::unique_ptr<BaseTree::Cursor> cursor_;
};

}  // namespace

struct MergeCursor::State {
  Status Seek(Bytes row_key, bool ascend);
  Status Step(bool ascend);
  Status SeekPlaces(Bytes row_key, bool ascend);
  Status MovePlaces();
  Status Settle();
  void Choose();
  // A cursor that has failed stands nowhere: its places need not fit together.
  Status LeaveIfFailed(Status status);

  std::vector<std::unique_ptr<Place>> places;  // newest first
  bool ascending = true;
  const Place* current = nullptr;  // the newest of those that stand on the cursor's row
  uint64_t on_row = 0;             // a bit for each of those
};

void MergeCursor::State::Choose() {
  current = nullptr;
  on_row = 0;
  for (size_t i = 0; i < places.size(); ++i) {
    const Place& place = *places[i];
    if (!place.valid) continue;
    const int order = current == nullptr ? -1 : CompareRowKeys(place.row_key, current->row_key);
    if (order == 0) {
      on_row |= uint64_t{1} << i;
    } else if (current == nullptr || (order < 0) == ascending) {
      current = &place;
      on_row = uint64_t{1} << i;
    }
  }
}

// Moves every place on that stands on the cursor's row.
Status MergeCursor::State::MovePlaces() {
  for (uint64_t left = on_row; left != 0; left &= left - 1) {
    Place& place = *places[static_cast<size_t>(std::countr_zero(left))];
    RL_RETURN_IF_ERROR(ascending ? place.Next() : place.Prev());
  }
  return Status::Ok();
}

// On to the first row that has not been removed, from wherever the places stand.
Status MergeCursor::State::Settle() {
  for (Choose(); current != nullptr && current->removed; Choose()) RL_RETURN_IF_ERROR(MovePlaces());
  return Status::Ok();
}

Status MergeCursor::State::SeekPlaces(Bytes row_key, bool ascend) {
  ascending = ascend;
  for (const auto& place : places) {
    RL_RETURN_IF_ERROR(ascend ? place->SeekAtLeast(row_key) : place->SeekBelow(row_key));
  }
  return Status::Ok();
}

Status MergeCursor::State::Seek(Bytes row_key, bool ascend) {
  RL_RETURN_IF_ERROR(SeekPlaces(row_key, ascend));
  return Settle();
}

Status MergeCursor::State::Step(bool ascend) {
  RL_CHECK(current != nullptr);
  if (ascend != ascending) {
    const Bytes left = current->row_key;
    RL_RETURN_IF_ERROR(SeekPlaces(left, ascend));
    Choose();
    // Going back, every place is strictly below already.
    if (!ascend || current == nullptr || CompareRowKeys(current->row_key, left) != 0) {
      return Settle();
    }
  }
  RL_RETURN_IF_ERROR(MovePlaces());
  return Settle();
}

Status MergeCursor::State::LeaveIfFailed(Status status) {
  if (!status.ok()) current = nullptr;
  return status;
}

MergeCursor::MergeCursor(std::unique_ptr<State> state) : state_(std::move(state)) {}
MergeCursor::~MergeCursor() = default;

Result<std::unique_ptr<MergeCursor>> MergeCursor::Open(View& view, const WriteSet* own) {
  MergeInput input;
  input.own = own;
  const auto& list = view.generations().list;
  for (auto at = list.rbegin(); at != list.rend(); ++at) {
    input.generations.push_back(&(*at)->generation);
  }
  input.at = view.lsn();
  input.base = &view.base();
  return Open(input);
}

Result<std::unique_ptr<MergeCursor>> MergeCursor::Open(const MergeInput& input) {
  auto state = std::make_unique<State>();
  if (input.own != nullptr) {
    state->places.push_back(std::make_unique<OwnPlace>(input.own->rows()));
  }
  for (const Generation* generation : input.generations) {
    state->places.push_back(std::make_unique<GenerationPlace>(*generation, input.at));
  }
  if (input.base != nullptr) {
    RL_ASSIGN_OR_RETURN(auto cursor, BaseTree::Cursor::Open(*input.base));
    state->places.push_back(std::make_unique<BasePlace>(std::move(cursor)));
  }
  RL_CHECK(state->places.size() <= 64);
  return std::unique_ptr<MergeCursor>(new MergeCursor(std::move(state)));
}

Status MergeCursor::SeekAtLeast(Bytes row_key) {
  return state_->LeaveIfFailed(state_->Seek(row_key, true));
}
Status MergeCursor::SeekBelow(Bytes row_key) {
  return state_->LeaveIfFailed(state_->Seek(row_key, false));
}
Status MergeCursor::Next() { return state_->LeaveIfFailed(state_->Step(true)); }
Status MergeCursor::Prev() { return state_->LeaveIfFailed(state_->Step(false)); }

bool MergeCursor::valid() const { return state_->current != nullptr; }
Bytes MergeCursor::row_key() const { return state_->current->row_key; }
const Row& MergeCursor::row() const { return state_->current->row; }

}  // namespace ringleader
