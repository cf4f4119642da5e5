#include "binding/store_reader.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/coding.h"
#include "base/mutant.h"
#include "store/committer.h"

namespace ringleader::binding {
namespace {

constexpr size_t kKeysBytes = size_t{64} << 10;
constexpr size_t kValuesBytes = size_t{256} << 10;
constexpr size_t kWords = 8192;
constexpr size_t kNumbers = 4;
constexpr size_t kIdleViews = 1024;
constexpr size_t kIdleTransactions = 1024;
constexpr size_t kGroupRows = 32;  // looked up together: more cache misses at once than a core has

constexpr uint32_t kReverse = 1;
constexpr uint32_t kKeysOnly = 2;

constexpr uint32_t kOwnSlot = 0;
constexpr uint32_t kDurableSlot = 1;

napi_value Integer(napi_env env, int32_t value) {
  napi_value number = nullptr;
  napi_create_int32(env, value, &number);
  return number;
}

Status EndedStatus() { return Status(Code::kTransactionEnded, "the transaction has ended"); }

// A row in full, as memory of its own.
napi_value CopyOut(napi_env env, Bytes value) {
  void* data = nullptr;
  napi_value buffer = nullptr;
  if (napi_create_arraybuffer(env, value.size(), &data, &buffer) != napi_ok) return nullptr;
  std::copy(value.begin(), value.end(), static_cast<uint8_t*>(data));
  return buffer;
}

}  // namespace

// What releases a slot when JavaScript has forgotten to.
struct StoreReader::Guard {
  std::shared_ptr<StoreReader> reader;
  uint32_t slot;
  uint32_t generation;
};

struct StoreReader::Walk {
  uint32_t slot;
  Bytes low;
  Bytes high;
  bool reverse;
  bool keys_only;
  uint32_t limit;
};

template <size_t N>
StoreReader* StoreReader::Arguments(napi_env env, napi_callback_info info, uint32_t (&words)[N],
                                    napi_value* last) {
  napi_value values[N + 1];
  size_t count = last == nullptr ? N : N + 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, values, nullptr, &data);
  if (last != nullptr) *last = values[N];
  for (size_t i = 0; i < N; ++i) {
    words[i] = 0;
    if (i < count) napi_get_value_uint32(env, values[i], &words[i]);
  }
  auto* self = static_cast<StoreReader*>(data);
  if (self->store_ != nullptr) [[likely]]
    return self;
  Throw(env, Status(Code::kClosed, "the environment is closed"));
  return nullptr;
}

void StoreReader::Define(Napi::Env env, Napi::Object calls, Napi::Object memory) {
  const auto share = [&](const char* name, size_t size) {
    return binding::ShareMemory(env, memory, name, size);
  };
  keys_ = static_cast<uint8_t*>(share("keys", kKeysBytes));
  values_ = static_cast<uint8_t*>(share("values", kValuesBytes));
  words_ = static_cast<int32_t*>(share("words", kWords * sizeof(int32_t)));
  numbers_ = static_cast<double*>(share("numbers", kNumbers * sizeof(double)));
  const std::pair<const char*, napi_callback> functions[] = {
      {"get", Get},         {"getLarge", GetLarge},  {"getInto", GetInto},   {"has", Has},
      {"getMany", GetMany}, {"range", Range},        {"openView", OpenView}, {"begin", Begin},
      {"release", Release}, {"guard", MakeGuard},    {"put", Put},           {"putLarge", PutLarge},
      {"remove", Remove},   {"renew", RenewDurable},
  };
  for (const auto& [name, callback] : functions) {
    napi_value function = nullptr;
    napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, this, &function);
    calls.Set(name, Napi::Value(env, function));
  }
}

void StoreReader::Drop() {
  store_ = nullptr;
  slots_.clear();
  free_slots_.clear();
  for (auto& idle : idle_views_) idle.clear();
  idle_transactions_.clear();
}

// --- slots ---------------------------------------------------------------------------------------

Bytes StoreReader::KeyOf(uint32_t bytes) const {
  RL_CHECK(bytes >= kRowPrefixBytes && bytes <= kKeysBytes);
  return Bytes(keys_, bytes);
}

StoreReader::Slot* StoreReader::SlotOf(uint32_t slot) {
  if (slot >= slots_.size() || !slots_[slot].used) return nullptr;
  return &slots_[slot];
}

Result<Transaction*> StoreReader::TransactionOf(uint32_t slot) {
  Slot* found = SlotOf(slot);
  if (found == nullptr || found->transaction == nullptr) return EndedStatus();
  return found->transaction.get();
}

Result<std::shared_ptr<View>> StoreReader::HeldView(ReadLevel level) {
  auto& idle = idle_views_[static_cast<size_t>(level)];
  std::shared_ptr<View> view;
  if (idle.empty()) {
    view = store_->NewView(level);
  } else {
    view = std::move(idle.back());
    idle.pop_back();
  }
  RL_RETURN_IF_ERROR(view->Renew());
  return view;
}

Result<std::shared_ptr<View>> StoreReader::SharedView() {
  std::shared_ptr<View> view = shared_.lock();
  if (view != nullptr && view->current()) return view;
  RL_ASSIGN_OR_RETURN(view, HeldView());
  shared_ = view;
  return view;
}

uint32_t StoreReader::TakeSlot() {
  uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  slots_[slot].used = true;
  slots_[slot].level = ReadLevel::kLocal;
  slots_[slot].catalogue = catalogue_;
  return slot;
}

void StoreReader::ReleaseSlot(uint32_t slot) {
  if (slot == kOwnSlot || slot == kDurableSlot) {
    if (slots_[slot].view != nullptr) slots_[slot].view->Release();
    return;
  }
  Slot* released = SlotOf(slot);
  if (released == nullptr) return;
  if (released->transaction != nullptr) {
    released->view = released->transaction->TakeView();
    GiveBack(std::move(released->transaction));
  }
  if (released->view != nullptr) GiveBack(std::move(released->view), released->level);
  released->used = false;
  ++released->generation;
  free_slots_.push_back(slot);
}

std::unique_ptr<Transaction> StoreReader::TakeTransaction(uint32_t slot, uint64_t* catalogue) {
  Slot* found = SlotOf(slot);
  if (found == nullptr || found->transaction == nullptr) return nullptr;
  *catalogue = found->catalogue;
  std::unique_ptr<Transaction> transaction = std::move(found->transaction);
  ReleaseSlot(slot);
  return transaction;
}

void StoreReader::GiveBack(std::shared_ptr<View> view, ReadLevel level) {
  if (view.use_count() > 1) return;  // of transactions that have not ended
  view->Release();
  auto& idle = idle_views_[static_cast<size_t>(level)];
  if (idle.size() < kIdleViews) idle.push_back(std::move(view));
}

void StoreReader::GiveBack(std::unique_ptr<Transaction> transaction) {
  if (idle_transactions_.size() < kIdleTransactions) {
    idle_transactions_.push_back(std::move(transaction));
  }
}

std::unique_ptr<Transaction> StoreReader::NewTransaction(std::shared_ptr<View> view,
                                                         Isolation isolation, uint64_t ticket) {
  if (idle_transactions_.empty()) {
    return Transaction::BeginOn(std::move(view), isolation, ticket);
  }
  std::unique_ptr<Transaction> transaction = std::move(idle_transactions_.back());
  idle_transactions_.pop_back();
  transaction->Restart(std::move(view), isolation, ticket);
  return transaction;
}

// A view sees the databases of a state when it reaches the end that goes with it, and no others
// when the state is still the same afterwards.
Result<std::vector<Database>> StoreReader::RefreshDatabases() {
  for (;;) {
    const uint64_t state = store_->CatalogueState();
    const Lsn end = store_->CatalogueEnd();
    RL_ASSIGN_OR_RETURN(std::shared_ptr<View> view, HeldView());
    const bool reached = end <= view->lsn();
    auto databases = ListDatabases(*view);
    GiveBack(std::move(view));
    if (!databases.ok()) return databases.status();
    if (!reached || store_->CatalogueState() != state) continue;
    catalogue_ = state;
    return databases;
  }
}

Result<std::optional<Database>> StoreReader::FindIn(uint32_t slot, const std::string& name) {
  Slot* found = SlotOf(slot);
  if (found == nullptr) return EndedStatus();
  if (found->view != nullptr) return FindDatabase(*found->view, name);
  return FindDatabase(found->transaction->view(), name);
}

// --- reading -------------------------------------------------------------------------------------

Result<int32_t> StoreReader::Prepare(uint32_t slot) {
  if (slot != kOwnSlot) return 0;
  Slot& own = slots_[kOwnSlot];
  if (own.view == nullptr) [[unlikely]] {
    own.view = store_->NewView();
    own.used = true;
  }
  RL_RETURN_IF_ERROR(own.view->Renew());
  // Behind the view: what it sees of the catalogue has changed the state before.
  return stale() ? kStale : 0;
}

Result<std::optional<Row>> StoreReader::Lookup(uint32_t slot, Bytes row_key) {
  Slot* found = SlotOf(slot);
  if (found == nullptr) return EndedStatus();
  if (found->view != nullptr) [[likely]]
    return found->view->Get(row_key);
  return found->transaction->Get(row_key);
}

napi_value StoreReader::Get(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const auto ready = self->Prepare(words[0]);
  if (!ready.ok()) return Throw(env, ready.status());
  if (ready.value() != 0) return Integer(env, kStale);
  const auto row = self->Lookup(words[0], self->KeyOf(words[1]));
  if (!row.ok()) return Throw(env, row.status());
  if (!row.value()) return Integer(env, kNone);
  const Bytes value = row.value()->value;
  self->numbers_[0] = static_cast<double>(row.value()->version.value);
  self->numbers_[1] = static_cast<double>(value.size());
  if (value.size() > kValuesBytes) return Integer(env, kTooLarge);
  if (!value.empty()) std::memcpy(self->values_, value.data(), value.size());
  return Integer(env, static_cast<int32_t>(value.size()));
}

napi_value StoreReader::GetLarge(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const auto row = self->Lookup(words[0], self->KeyOf(words[1]));
  if (!row.ok()) return Throw(env, row.status());
  return row.value() ? CopyOut(env, row.value()->value) : nullptr;
}

napi_value StoreReader::GetInto(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  napi_value into = nullptr;
  StoreReader* self = Arguments(env, info, words, &into);
  if (self == nullptr) return nullptr;
  void* data = nullptr;
  size_t room = 0;
  napi_get_typedarray_info(env, into, nullptr, &room, &data, nullptr, nullptr);
  const auto ready = self->Prepare(words[0]);
  if (!ready.ok()) return Throw(env, ready.status());
  if (ready.value() != 0) return Integer(env, kStale);
  const auto row = self->Lookup(words[0], self->KeyOf(words[1]));
  if (!row.ok()) return Throw(env, row.status());
  if (!row.value()) return Integer(env, kNone);
  const Bytes value = row.value()->value;
  self->numbers_[1] = static_cast<double>(value.size());
  if (value.size() > room) return Integer(env, kTooLarge);
  if (!value.empty()) std::memcpy(data, value.data(), value.size());
  return Integer(env, static_cast<int32_t>(value.size()));
}

napi_value StoreReader::Has(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const auto ready = self->Prepare(words[0]);
  if (!ready.ok()) return Throw(env, ready.status());
  if (ready.value() != 0) return Integer(env, kStale);
  const auto row = self->Lookup(words[0], self->KeyOf(words[1]));
  if (!row.ok()) return Throw(env, row.status());
  return Integer(env, row.value() ? 1 : 0);
}

// Takes the next keys, up to a group of them, and fetches what their lookups will touch. A
// transaction looks at its own writes first, and only its view's part is fetched.
uint32_t StoreReader::TakeGroup(View& view, const uint8_t** key, uint32_t most, Bytes* keys) {
  uint64_t hashes[kGroupRows];
  const auto count = std::min<uint32_t>(most, kGroupRows);
  for (uint32_t i = 0; i < count; ++i) {
    const size_t length = LoadLe<uint16_t>(*key);
    *key += sizeof(uint16_t);
    RL_CHECK(*key + length <= keys_ + kKeysBytes);
    keys[i] = Bytes(*key, length);
    *key += length;
    hashes[i] = view.Hash(keys[i]);
    view.Prefetch(hashes[i]);
  }
  for (uint32_t i = 0; i < count; ++i) view.PrefetchRow(hashes[i]);
  return count;
}

Result<int32_t> StoreReader::FillMany(uint32_t slot, uint32_t count) {
  Slot* const found = SlotOf(slot);
  if (found == nullptr) return EndedStatus();
  View& view = found->view != nullptr ? *found->view : found->transaction->view();
  const uint8_t* key = keys_;
  Bytes keys[kGroupRows];
  uint32_t taken = 0;
  size_t used = 0;
  for (uint32_t i = 0; i < count; ++i) {
    if (i == taken) taken += TakeGroup(view, &key, count - i, keys);
    RL_ASSIGN_OR_RETURN(const std::optional<Row> row, Lookup(slot, keys[i % kGroupRows]));
    if (!row) {
      words_[i] = kNone;
      continue;
    }
    const Bytes value = row->value;
    if (value.size() > kValuesBytes) {
      words_[i] = kTooLarge;
      continue;
    }
    if (value.size() > kValuesBytes - used) return static_cast<int32_t>(i);
    if (!value.empty()) std::memcpy(values_ + used, value.data(), value.size());
    used += value.size();
    words_[i] = static_cast<int32_t>(value.size());
  }
  return static_cast<int32_t>(count);
}

napi_value StoreReader::GetMany(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const auto ready = self->Prepare(words[0]);
  if (!ready.ok()) return Throw(env, ready.status());
  if (ready.value() != 0) return Integer(env, kStale);
  const auto done = self->FillMany(words[0], std::min<uint32_t>(words[1], kWords));
  return done.ok() ? Integer(env, done.value()) : Throw(env, done.status());
}

// --- ranges --------------------------------------------------------------------------------------

Result<std::unique_ptr<MergeCursor>> StoreReader::SeekStart(const Walk& walk) {
  Slot* slot = SlotOf(walk.slot);
  if (slot == nullptr) return EndedStatus();
  auto opened = slot->view != nullptr ? MergeCursor::Open(*slot->view, nullptr)
                                      : slot->transaction->OpenCursor();
  RL_ASSIGN_OR_RETURN(std::unique_ptr<MergeCursor> cursor, std::move(opened));
  RL_RETURN_IF_ERROR(walk.reverse ? cursor->SeekBelow(walk.high) : cursor->SeekAtLeast(walk.low));
  return cursor;
}

// A transaction has read up to the first row that it has not been given, or the whole of the range.
void StoreReader::RecordRange(const Walk& walk, Bytes next) {
  Transaction* transaction = SlotOf(walk.slot)->transaction.get();
  if (transaction == nullptr) return;
  if (next.empty()) return transaction->AddRange(walk.low, walk.high);
  if (!walk.reverse) return transaction->AddRange(walk.low, next);
  std::vector<uint8_t> behind(next.begin(), next.end());
  behind.push_back(0);
  transaction->AddRange(behind, walk.high);
}

Result<int32_t> StoreReader::FillRange(const Walk& walk) {
  RL_ASSIGN_OR_RETURN(const std::unique_ptr<MergeCursor> cursor, SeekStart(walk));
  const auto inside = [&] {
    if (!cursor->valid()) return false;
    return walk.reverse ? CompareRowKeys(cursor->row_key(), walk.low) >= 0
                        : CompareRowKeys(cursor->row_key(), walk.high) < 0;
  };
  size_t used = 0;
  uint32_t rows = 0;
  bool full = false;
  while (!full && rows < walk.limit && inside()) {
    const Bytes key = cursor->row_key().subspan(kRowPrefixBytes);
    const Bytes value = walk.keys_only ? Bytes() : cursor->row().value;
    const bool large = key.size() + value.size() > kValuesBytes;
    const size_t size = key.size() + (large ? 0 : value.size());
    if (size > kValuesBytes - used) break;
    std::memcpy(values_ + used, key.data(), key.size());
    if (!large && !value.empty()) {
      std::memcpy(values_ + used + key.size(), value.data(), value.size());
    }
    words_[2 * rows] = static_cast<int32_t>(key.size());
    words_[2 * rows + 1] = large ? kTooLarge : static_cast<int32_t>(value.size());
    used += size;
    ++rows;
    full = large;
    RL_RETURN_IF_ERROR(walk.reverse ? cursor->Prev() : cursor->Next());
  }
  const bool more = inside();
  RecordRange(walk, more ? cursor->row_key() : Bytes());
  numbers_[0] = more ? 1 : 0;
  numbers_[1] = static_cast<double>(used);
  return static_cast<int32_t>(rows);
}

napi_value StoreReader::Range(napi_env env, napi_callback_info info) {
  uint32_t words[5];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const size_t low_bytes = words[1];
  const size_t high_bytes = words[2];
  RL_CHECK(low_bytes + high_bytes <= kKeysBytes);
  const Walk walk{words[0],
                  Bytes(self->keys_, low_bytes),
                  Bytes(self->keys_ + low_bytes, high_bytes),
                  (words[3] & kReverse) != 0,
                  (words[3] & kKeysOnly) != 0,
                  std::min<uint32_t>(words[4], kWords / 2)};
  const auto rows = self->FillRange(walk);
  return rows.ok() ? Integer(env, rows.value()) : Throw(env, rows.status());
}

// --- slots, as JavaScript sees them --------------------------------------------------------------

napi_value StoreReader::OpenView(napi_env env, napi_callback_info info) {
  uint32_t words[1];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const bool durable = words[0] == 1 && !RL_MUTANT(kDurableViewsAreLocal);
  const ReadLevel level = durable ? ReadLevel::kDurable : ReadLevel::kLocal;
  auto view = self->HeldView(level);
  if (!view.ok()) return Throw(env, view.status());
  if (self->stale()) {
    self->GiveBack(std::move(view).value(), level);
    return Integer(env, kStale);
  }
  const uint32_t slot = self->TakeSlot();
  self->slots_[slot].level = level;
  self->numbers_[0] = static_cast<double>(view.value()->lsn().value);
  self->slots_[slot].view = std::move(view).value();
  return Integer(env, static_cast<int32_t>(slot));
}

// The catalogue is asked for its state first: a view that reaches its end then sees that state.
napi_value StoreReader::RenewDurable(napi_env env, napi_callback_info info) {
  uint32_t words[1];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  Slot& own = self->slots_[kDurableSlot];
  if (own.view == nullptr) {
    own.view = self->store_->NewView(ReadLevel::kDurable);
    own.used = true;
  }
  const Status renewed = own.view->Renew();
  if (!renewed.ok()) return Throw(env, renewed);
  if (self->stale()) return Integer(env, kStale);
  return Integer(env, own.view->lsn() >= self->store_->CatalogueEnd() ? 1 : 0);
}

napi_value StoreReader::Begin(napi_env env, napi_callback_info info) {
  uint32_t words[1];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  auto view = self->SharedView();
  if (!view.ok()) return Throw(env, view.status());
  if (self->stale()) {
    self->GiveBack(std::move(view).value());
    return Integer(env, kStale);
  }
  const uint32_t slot = self->TakeSlot();
  self->numbers_[0] = static_cast<double>(view.value()->lsn().value);
  self->slots_[slot].transaction =
      self->NewTransaction(std::move(view).value(), static_cast<Isolation>(words[0]),
                           static_cast<uint64_t>(self->numbers_[2]));
  return Integer(env, static_cast<int32_t>(slot));
}

napi_value StoreReader::Release(napi_env env, napi_callback_info info) {
  uint32_t words[1] = {};
  napi_value value = nullptr;
  size_t count = 1;
  void* data = nullptr;
  napi_get_cb_info(env, info, &count, &value, nullptr, &data);
  napi_get_value_uint32(env, value, &words[0]);
  auto* self = static_cast<StoreReader*>(data);
  // Closing has released everything.
  if (self->store_ != nullptr) self->ReleaseSlot(words[0]);
  return nullptr;
}

napi_value StoreReader::MakeGuard(napi_env env, napi_callback_info info) {
  uint32_t words[1];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  Slot* slot = self->SlotOf(words[0]);
  if (slot == nullptr) return nullptr;
  auto* guard = new Guard{self->shared_from_this(), words[0], slot->generation};
  napi_value object = nullptr;
  const auto finalize = [](napi_env, void* data, void*) {
    std::unique_ptr<Guard> guard(static_cast<Guard*>(data));
    StoreReader& reader = *guard->reader;
    if (reader.store_ == nullptr) return;
    const Slot* slot = reader.SlotOf(guard->slot);
    if (slot == nullptr || RL_MUTANT(kKeepGuardedSlot)) return;
    const bool same = slot->generation == guard->generation || RL_MUTANT(kGuardAnyGeneration);
    if (same) reader.ReleaseSlot(guard->slot);
  };
  if (napi_create_external(env, guard, finalize, nullptr, &object) != napi_ok) delete guard;
  return object;
}

// --- writes of transactions ----------------------------------------------------------------------

napi_value StoreReader::Put(napi_env env, napi_callback_info info) {
  uint32_t words[3];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  RL_CHECK(uint64_t{words[1]} + words[2] <= kKeysBytes);
  const auto transaction = self->TransactionOf(words[0]);
  if (!transaction.ok()) return Throw(env, transaction.status());
  const Status put =
      transaction.value()->Put(self->KeyOf(words[1]), Bytes(self->keys_ + words[1], words[2]));
  return put.ok() ? nullptr : static_cast<napi_value>(Throw(env, put));
}

napi_value StoreReader::PutLarge(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  napi_value values[3];
  size_t count = 3;
  napi_get_cb_info(env, info, &count, values, nullptr, nullptr);
  void* data = nullptr;
  size_t length = 0;
  napi_get_typedarray_info(env, values[2], nullptr, &length, &data, nullptr, nullptr);
  const auto transaction = self->TransactionOf(words[0]);
  if (!transaction.ok()) return Throw(env, transaction.status());
  const Status put =
      transaction.value()->Put(self->KeyOf(words[1]), Bytes(static_cast<uint8_t*>(data), length));
  return put.ok() ? nullptr : static_cast<napi_value>(Throw(env, put));
}

napi_value StoreReader::Remove(napi_env env, napi_callback_info info) {
  uint32_t words[2];
  StoreReader* self = Arguments(env, info, words);
  if (self == nullptr) return nullptr;
  const auto transaction = self->TransactionOf(words[0]);
  if (!transaction.ok()) return Throw(env, transaction.status());
  const Status removed = transaction.value()->Remove(self->KeyOf(words[1]));
  return removed.ok() ? nullptr : static_cast<napi_value>(Throw(env, removed));
}

}  // namespace ringleader::binding
