// Everything that JavaScript reads from a store, and the writes of transactions that have not
// committed: calls that take and give numbers, and bytes through memory that both sides see.
//
//   keys     Uint8Array    what a call takes: row keys, one behind the other
//   values   Uint8Array    what it gives: values; of ranges, keys without the row prefix and values
//   words    Int32Array    lengths of what it gives
//   numbers  Float64Array  what is no small integer, as each call says
//
// A slot is a view or a transaction; JavaScript knows it by its number. Slot 0 is the view of reads
// that stand alone: each of them renews it, so that it sees whatever was committed before; at the
// end of the turn of the event loop JavaScript has it released. Slot 1 is the same for reads of
// what the group has committed; JavaScript renews it. Other slots are released when JavaScript says
// so, or when the guard it has been given is collected.
//
// Transactions that begin while nobody commits in between read from one view, which is let go when
// the last of them has ended.
//
// Ids of databases, which row keys begin with, are known to JavaScript as of a state of the
// catalogue. A call that would begin to read with ids of another state gives kStale instead.
// Threads: the environment's JavaScript thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutant.h"
#include "binding/js.h"
#include "store/store.h"

namespace ringleader::binding {

class StoreReader : public std::enable_shared_from_this<StoreReader> {
 public:
  // What calls give instead of a length or count.
  static constexpr int32_t kNone = -1;      // no such row
  static constexpr int32_t kStale = -2;     // the catalogue has changed: look, and call again
  static constexpr int32_t kTooLarge = -3;  // does not fit; numbers[1] says how long it is

  explicit StoreReader(Store& store) : store_(&store) {}

  // Adds the calls to `calls` and the memory to `memory`, which must live as long as this does.
  void Define(Napi::Env env, Napi::Object calls, Napi::Object memory);
  // The store is being closed: every slot ends, every call fails from now on.
  void Drop();

  // The databases, and the state of the catalogue that they are of; reads go on with these ids.
  Result<std::vector<Database>> RefreshDatabases();
  uint64_t catalogue() const { return catalogue_; }
  bool stale() const {
    return catalogue_ != store_->CatalogueState() && !RL_MUTANT(kIgnoreStaleIds);
  }
  // The id that a name had in the view of a slot; nullopt where there was no such database.
  Result<std::optional<Database>> FindIn(uint32_t slot, const std::string& name);

  // Takes a transaction out of its slot, which is free then. Null where there is none.
  std::unique_ptr<Transaction> TakeTransaction(uint32_t slot, uint64_t* catalogue);
  // A view that one user less needs: with the last one it is free for the next slot.
  void GiveBack(std::shared_ptr<View> view, ReadLevel level = ReadLevel::kLocal);
  // A transaction that has ended: the next one takes its memory.
  void GiveBack(std::unique_ptr<Transaction> transaction);

 private:
  struct Slot {
    std::shared_ptr<View> view;
    std::unique_ptr<Transaction> transaction;
    uint64_t catalogue = 0;   // state when it was taken
    uint32_t generation = 0;  // how often it has been released
    ReadLevel level = ReadLevel::kLocal;
    bool used = false;
  };
  struct Guard;
  struct Walk;

  // The calls; arguments and results are numbers unless said otherwise.
  //   get(slot, key bytes)                 -> length; the value in `values`, numbers[0]: version
  //   getLarge(slot, key bytes)            -> ArrayBuffer or undefined
  //   getInto(slot, key bytes, Uint8Array) -> length
  //   has(slot, key bytes)                 -> 1 or 0
  //   getMany(slot, count)                 -> how many are done. Keys: length u16 and row key each;
  //                                           words: a length, kNone or kTooLarge each
  //   range(slot, low bytes, high bytes, flags, limit)
  //        -> rows in [low, high), which lie in `keys`; numbers[0]: 1 where there are none behind
  //           them. words: key length and value length of each; a value that is too large has
  //           kTooLarge, and is the last one. numbers[1]: bytes in `values`
  //   openView(level)                      -> slot; numbers[0]: its LSN. Level 1: durable
  //   renew()                              -> of slot 1: 1 where its databases are those of now, 0
  //                                           where the catalogue is ahead of it
  //   begin(isolation)                     -> slot; numbers[0]: its LSN. Taken: numbers[2], the
  //                                           ticket of a reservation
  //   release(slot)
  //   guard(slot)                          -> an object whose end releases the slot
  //   put(slot, key bytes, value bytes)       of a transaction; the value lies behind the key
  //   putLarge(slot, key bytes, Uint8Array)
  //   remove(slot, key bytes)
  static napi_value Get(napi_env env, napi_callback_info info);
  static napi_value GetLarge(napi_env env, napi_callback_info info);
  static napi_value GetInto(napi_env env, napi_callback_info info);
  static napi_value Has(napi_env env, napi_callback_info info);
  static napi_value GetMany(napi_env env, napi_callback_info info);
  static napi_value Range(napi_env env, napi_callback_info info);
  static napi_value OpenView(napi_env env, napi_callback_info info);
  static napi_value RenewDurable(napi_env env, napi_callback_info info);
  static napi_value Begin(napi_env env, napi_callback_info info);
  static napi_value Release(napi_env env, napi_callback_info info);
  static napi_value MakeGuard(napi_env env, napi_callback_info info);
  static napi_value Put(napi_env env, napi_callback_info info);
  static napi_value PutLarge(napi_env env, napi_callback_info info);
  static napi_value Remove(napi_env env, napi_callback_info info);

  // Arguments that are numbers, from the first one on, and the one behind them where `last` is
  // given; null where the store is closed, which has been thrown then.
  template <size_t N>
  static StoreReader* Arguments(napi_env env, napi_callback_info info, uint32_t (&words)[N],
                                napi_value* last = nullptr);

  // Ready to be read: slot 0 is renewed. kStale where ids may have changed, 0 otherwise.
  Result<int32_t> Prepare(uint32_t slot);
  Result<std::optional<Row>> Lookup(uint32_t slot, Bytes row_key);
  uint32_t TakeGroup(View& view, const uint8_t** key, uint32_t most, Bytes* keys);
  Result<int32_t> FillMany(uint32_t slot, uint32_t count);
  Result<int32_t> FillRange(const Walk& walk);
  Result<std::unique_ptr<MergeCursor>> SeekStart(const Walk& walk);
  void RecordRange(const Walk& walk, Bytes next);
  Result<std::shared_ptr<View>> HeldView(ReadLevel level = ReadLevel::kLocal);
  // Of the newest state, too, for transactions.
  Result<std::shared_ptr<View>> SharedView();
  std::unique_ptr<Transaction> NewTransaction(std::shared_ptr<View> view, Isolation isolation,
                                              uint64_t ticket);
  uint32_t TakeSlot();
  void ReleaseSlot(uint32_t slot);
  Slot* SlotOf(uint32_t slot);
  Result<Transaction*> TransactionOf(uint32_t slot);
  Bytes KeyOf(uint32_t bytes) const;

  Store* store_;  // null once dropped
  uint64_t catalogue_ = 0;
  std::vector<Slot> slots_{2};
  std::vector<uint32_t> free_slots_;
  // Released, by level; their reader places are kept.
  std::array<std::vector<std::shared_ptr<View>>, 2> idle_views_;
  std::weak_ptr<View> shared_;  // of the transactions that began last
  std::vector<std::unique_ptr<Transaction>> idle_transactions_;

  uint8_t* keys_ = nullptr;
  uint8_t* values_ = nullptr;
  int32_t* words_ = nullptr;
  double* numbers_ = nullptr;
};

}  // namespace ringleader::binding
