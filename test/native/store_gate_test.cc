// A store whose environment belongs to a group: it commits only while its member is the primary,
// and it comes up from a log that ends inside a transaction.
#include "ship_fixture.h"
#include "store_fixture.h"

namespace ringleader {
namespace {

using namespace test;

const Id128 kGroup{6, 6, 6};

Code CommitCode(Store& store, const std::string& row_key) {
  WriteSet writes;
  CHECK_OK(writes.Put(AsBytes(row_key), AsBytes("late")));
  const std::vector<uint8_t> payload = writes.Encode();
  Commit commit;
  commit.payload = payload;
  const Status status = store.CommitOne(commit);
  Commit tried;
  tried.payload = payload;
  Commit* one = &tried;
  CHECK_EQ(store.TryCommit({&one, 1}).status().code(), status.code());
  return status.code();
}

TEST(store_gate, only_a_primary_commits) {
  const std::string directory = TempDir();
  auto store = OpenStore(directory);
  const DatabaseId id = MakeDatabase(*store, "some");
  PutRow(*store, KeyOf(id, "early"), "1");
  CHECK_OK(HardStateFile::Create(PosixEnv(), directory));
  CHECK_OK(store->Close());
  store = OpenStore(directory);
  CHECK_EQ(CommitCode(*store, KeyOf(id, "late")), Code::kNotPrimary);
  CHECK_CODE(store->OpenDatabase("other", {}, true).status(), Code::kNotPrimary);
  CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "early")), "1");
  CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "late")), "none");
  CHECK_OK(store->log().AppendTerm({Term(1), 5, 1}).status());
  CHECK_EQ(CommitCode(*store, KeyOf(id, "late")), Code::kOk);
  CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "late")), "late");
  CHECK_OK(store->Close());
}

// The log of a replica, at any place of a shipment.
TEST(store_gate, comes_up_with_pieces_at_the_end_of_its_log) {
  const std::string from = TempDir();
  StoreOptions options = QuietStore();
  options.log.group_id = kGroup;
  const auto primary = OpenStore(from, options);
  const DatabaseId id = MakeDatabase(*primary, "some");
  PutRow(*primary, KeyOf(id, "small"), "1");
  const Lsn small = primary->log().Stat().visible;
  PutRow(*primary, KeyOf(id, "large"), std::string(5 * kPieceBytes, 'x'));
  const Lsn large = primary->log().Stat().visible;
  SimRng rng(Seed());
  for (uint64_t piece = 0; piece <= 6; ++piece) {
    const std::string directory = TempDir();
    const Lsn to = piece == 6 ? large : small + piece * RecordBytes(kPieceBytes);
    const auto log = OpenMember(PosixEnv(), directory, kGroup);
    Ship(primary->log(), *log, rng, to);
    const Lsn tail = log->Stat().tail;
    CHECK_OK(log->Close());
    const auto store = OpenStore(directory, options);
    CHECK_EQ(store->log().Stat().tail.value, tail.value);
    CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "small")), "1");
    CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "large")) != "none", piece == 6);
    // It leads: what was in pieces never happened.
    CHECK_OK(store->log().AppendTerm({Term(1), 5, 1}).status());
    PutRow(*store, KeyOf(id, "next"), "2");
    CHECK_EQ(ValueOf(*TakeView(*store), KeyOf(id, "next")), "2");
    CHECK_OK(store->Close());
    const auto again = OpenStore(directory, options);
    CHECK_EQ(ValueOf(*TakeView(*again), KeyOf(id, "next")), "2");
    CHECK_EQ(ValueOf(*TakeView(*again), KeyOf(id, "large")) != "none", piece == 6);
    CHECK_OK(again->Close());
  }
}

}  // namespace
}  // namespace ringleader
