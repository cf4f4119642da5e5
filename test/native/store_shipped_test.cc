// The transactions of another member's log: applied as they come, seen as far as a reader wants.
#include "ship_fixture.h"
#include "slow_sync.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

StoreOptions MemberStore() {
  StoreOptions options = QuietStore();
  options.log.group_id = Id128{9, 9};
  options.fold_limit = Lsn();
  return options;
}

// Everything behind `from` goes over, in pieces of at most `limit` bytes.
Lsn ShipAll(Store& primary, Store& replica, Lsn from, uint64_t limit) {
  const std::unique_ptr<RawReader> reader = primary.log().ReadRaw(from);
  for (;;) {
    CHECK_VALUE(const RawRun run, reader->Next(limit));
    if (run.end == run.from) return run.end;
    for (;;) {
      const ShippedAppend done = replica.AppendShipped(run.from, run.bytes);
      CHECK_OK(done.status);
      if (done.stop == ShipStop::kNothing) break;
      if (done.stop == ShipStop::kHook) CHECK_OK(replica.Fold());
      if (done.stop != ShipStop::kHook) CHECK_OK(replica.log().AwaitRoom(done));
    }
  }
}

TEST(store_shipped, a_replica_has_the_rows_of_the_log_that_it_is_sent) {
  const std::string directory = TempDir();
  auto primary = OpenStore(directory + "/primary", MemberStore());
  auto replica = OpenStore(directory + "/replica", MemberStore());
  CHECK_OK(primary->log().SetGate(Gate::Closed(GateReason::kStarting)).status());
  CHECK_OK(replica->log().SetGate(Gate::Closed(GateReason::kReplica)).status());
  Lead(primary->log());
  const DatabaseId rows = MakeDatabase(*primary, "rows");
  const Lsn first = PutRow(*primary, KeyOf(rows, "a"), "1");
  PutRow(*primary, KeyOf(rows, "b"), "2");
  RemoveRow(*primary, KeyOf(rows, "a"));
  const uint64_t state = replica->CatalogueState();
  ShipAll(*primary, *replica, Lsn(), 200);
  CHECK(replica->CatalogueState() != state);
  CHECK_VALUE(const Database found, replica->OpenDatabase("rows", {}, false));
  CHECK_EQ(found.id, rows);
  CHECK_EQ(RowsOf(*TakeView(*replica), rows), "b=2 ");
  // Durable readers stop where the group has got to.
  const std::unique_ptr<View> durable = replica->NewView(ReadLevel::kDurable);
  CHECK_OK(durable->Renew());
  CHECK_EQ(RowsOf(*durable, rows), "");
  replica->SetFoldLimit(first);
  CHECK_OK(durable->Renew());
  CHECK_EQ(RowsOf(*durable, rows), "a=1 ");
  CHECK(durable->lsn() == first);
  // It never goes back.
  replica->SetFoldLimit(Lsn(1));
  CHECK_OK(durable->Renew());
  CHECK_EQ(RowsOf(*durable, rows), "a=1 ");
  CHECK_OK(replica->Verify().status());
}

TEST(store_shipped, what_has_no_room_waits_for_the_fold) {
  const std::string directory = TempDir();
  StoreOptions options = MemberStore();
  options.log.service_threads = true;
  options.max_frozen = 1;
  auto primary = OpenStore(directory + "/primary", options);
  auto replica = OpenStore(directory + "/replica", options);
  CHECK_OK(primary->log().SetGate(Gate::Closed(GateReason::kStarting)).status());
  CHECK_OK(replica->log().SetGate(Gate::Closed(GateReason::kReplica)).status());
  Lead(primary->log());
  HoldAll(primary->log());
  primary->SetFoldLimit(kMaxLsn);
  const DatabaseId rows = MakeDatabase(*primary, "rows");
  const std::string value(3000, 'v');
  for (int i = 0; i < 3000; ++i) PutRow(*primary, KeyOf(rows, std::to_string(i % 700)), value);
  const std::unique_ptr<RawReader> reader = primary->log().ReadRaw(Lsn());
  replica->SetFoldLimit(kMaxLsn);
  const SlowBase slow(200'000);
  bool waited = false;
  for (;;) {
    CHECK_VALUE(const RawRun run, reader->Next(uint64_t{256} << 10));
    if (run.end == run.from) break;
    for (;;) {
      const ShippedAppend done = replica->AppendShipped(run.from, run.bytes);
      CHECK_OK(done.status);
      if (done.stop == ShipStop::kNothing) break;
      waited = waited || done.stop == ShipStop::kHook;
      CHECK_OK(replica->AwaitShipped(done, 1'000'000'000));
    }
  }
  CHECK(waited);
  CHECK(RowsOf(*TakeView(*primary), rows) == RowsOf(*TakeView(*replica), rows));
  CHECK_OK(replica->Verify().status());
}

}  // namespace
}  // namespace ringleader
