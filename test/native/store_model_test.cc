// Random work of several processes on one environment against a reference that knows every version
// of every row: commits, transactions, old views, walks, folds, databases dropped and cleared,
// members that close, die in the middle of something and come back, alone and all of them.
#include <set>

#include "store_member.h"

namespace ringleader {
namespace {

using test::Choices;
using test::KeyOf;
using test::Member;
using test::Words;

constexpr size_t kMembers = 3;
constexpr int kNumbers = 4;  // of views and of transactions per member
constexpr uint64_t kMostUnfolded = 300'000;

// Every version of every row, and which databases there were when.
class Reference {
 public:
  using Rows = std::map<std::string, std::string>;

  void Set(const std::string& row_key, uint64_t lsn, std::optional<std::string> value) {
    versions_[row_key].emplace_back(lsn, std::move(value));
  }
  // The rows of a database as of `lsn`.
  Rows At(DatabaseId database, uint64_t lsn) const {
    Rows rows;
    const std::string end = KeyOf(database + 1, "");
    for (auto at = versions_.lower_bound(KeyOf(database, "")); at != versions_.end(); ++at) {
      if (at->first >= end) break;
      for (const auto& [version, value] : at->second) {
        if (version > lsn) continue;
        if (value) rows[at->first] = *value;
        if (!value) rows.erase(at->first);
      }
    }
    return rows;
  }
  // Whether a row from `low` up to `high` has a version above `lsn`; an empty `high` has no end.
  bool Changed(const std::string& low, const std::string& high, uint64_t lsn) const {
    for (auto at = versions_.lower_bound(low); at != versions_.end(); ++at) {
      if (!high.empty() && at->first >= high) break;
      if (at->second.back().first > lsn) return true;
    }
    return false;
  }

 private:
  std::map<std::string, std::vector<std::pair<uint64_t, std::optional<std::string>>>> versions_;
};

using Writes = std::map<std::string, std::optional<std::string>>;

struct OpenView {
  uint64_t lsn = 0;
  std::set<DatabaseId> databases;
};

struct OpenTransaction {
  uint64_t snapshot = 0;
  bool serializable = true;
  std::set<DatabaseId> databases;
  Writes writes;
  std::vector<std::pair<std::string, std::string>> reads;  // ranges; a key is a very small one
};

struct MemberState {
  std::unique_ptr<Member> process;
  std::map<int, OpenView> views;
  std::map<int, OpenTransaction> transactions;
};

class Campaign {
 public:
  Campaign(uint64_t seed, bool quiet)
      : choices_(seed), options_(quiet ? test::QuietStore() : test::BusyStore()), quiet_(quiet) {
    for (size_t i = 0; i < kMembers; ++i) Start(members_.emplace_back());
    for (const char* name : {"one", "two"}) Make(name);
  }

  void Run(uint64_t steps) {
    for (uint64_t i = 0; i < steps; ++i) Step();
    for (MemberState& member : members_) {
      for (const auto& [number, view] : member.views) CheckWhole(member, number, view);
    }
    CloseAll();
    Start(members_[0]);
    TakeView(members_[0], 0);
    CheckWhole(members_[0], 0, members_[0].views.at(0));
    members_[0].process->Close();
  }
  uint64_t committed() const { return outcomes_.at("committed"); }
  uint64_t refused() const { return outcomes_.at("conflict"); }

 private:
  using Action = void (Campaign::*)(MemberState&);

  void Step() {
    struct Weighted {
      uint64_t weight;
      Action action;
    };
    static constexpr Weighted kActions[] = {
        {30, &Campaign::CommitBatch}, {12, &Campaign::TakeSomeView}, {25, &Campaign::CheckRow},
        {20, &Campaign::CheckWalk},   {12, &Campaign::BeginOne},     {25, &Campaign::WriteInOne},
        {25, &Campaign::ReadInOne},   {12, &Campaign::FinishOne},    {3, &Campaign::Fold},
        {2, &Campaign::ChangeName},   {2, &Campaign::Restart},       {3, &Campaign::KillInStorm},
        {1, &Campaign::KillInFold},   {1, &Campaign::RestartAll},    {3, &Campaign::CheckSome},
    };
    uint64_t all = 0;
    for (const Weighted& weighted : kActions) all += weighted.weight;
    uint64_t chosen = choices_.Below(all);
    for (const Weighted& weighted : kActions) {
      if (chosen < weighted.weight) return (this->*weighted.action)(Any());
      chosen -= weighted.weight;
    }
  }

  // --- members -----------------------------------------------------------------------------------

  MemberState& Any() { return members_[choices_.Below(kMembers)]; }
  MemberState& Other(const MemberState& member) {
    for (;;) {
      MemberState& other = Any();
      if (&other != &member) return other;
    }
  }
  void Start(MemberState& member) {
    member = MemberState();
    member.process = std::make_unique<Member>(directory_, options_);
  }
  void CloseAll() {
    for (MemberState& member : members_) member.process->Close();
  }
  void Restart(MemberState& member) {
    if (choices_.OneIn(2)) {
      member.process->Close();
    } else {
      member.process->Kill();
    }
    Start(member);
  }
  // The last one to go leaves, or dies and leaves its shared memory behind.
  void RestartAll(MemberState&) {
    for (MemberState& member : members_) {
      if (choices_.OneIn(2)) {
        member.process->Close();
      } else {
        member.process->Kill();
      }
    }
    for (MemberState& member : members_) Start(member);
    MemberState& member = Any();
    TakeView(member, 0);
    CheckWhole(member, 0, member.views.at(0));
  }

  // --- databases ---------------------------------------------------------------------------------

  uint64_t Now(MemberState& member) {
    member.views.erase(kNumbers);
    return member.process->AskNumber({"view", std::to_string(kNumbers)});
  }
  void Make(const std::string& name) {
    MemberState& member = Any();
    names_[name] = static_cast<DatabaseId>(member.process->AskNumber({"make", name}));
    now_ = Now(member);
  }
  std::set<DatabaseId> Live() const {
    std::set<DatabaseId> live;
    for (const auto& [name, id] : names_) live.insert(id);
    return live;
  }
  void ChangeName(MemberState& member) {
    const std::string name = choices_.OneIn(2) ? "one" : "two";
    const DatabaseId before = names_.at(name);
    if (choices_.OneIn(2)) {
      names_[name] = static_cast<DatabaseId>(member.process->AskNumber({"clear", name}));
      now_ = Now(member);
    } else {
      member.process->Ask({"drop", name});
      Make(name);
    }
    CHECK(names_.at(name) > before);  // an id is never used twice
    dropped_ = before;
    Words expected;
    for (const auto& [known, id] : names_) {
      expected.insert(expected.end(), {known, std::to_string(id)});
    }
    CHECK(Other(member).process->Ask({"list"}) == expected);
  }
  DatabaseId SomeDatabase() { return names_.at(choices_.OneIn(2) ? "one" : "two"); }

  std::string SomeKey(DatabaseId database) {
    static constexpr char kLetters[] = {'\0', 'k', '\xff'};
    std::string key;
    const size_t length = 1 + choices_.Below(4);
    while (key.size() < length) key += kLetters[choices_.Below(sizeof kLetters)];
    return KeyOf(database, key);
  }
  DatabaseId SomeOf(const std::set<DatabaseId>& databases) {
    auto at = databases.begin();
    std::advance(at, static_cast<ptrdiff_t>(choices_.Below(databases.size())));
    return *at;
  }

  // --- commits -----------------------------------------------------------------------------------

  std::optional<std::string> SomeValue() {
    if (choices_.OneIn(3)) return std::nullopt;
    const size_t size = choices_.OneIn(10) ? choices_.Below(5000) : choices_.Below(30);
    return std::to_string(++values_) + std::string(size, '.');
  }
  Writes SomeWrites() {
    Writes writes;
    for (uint64_t count = 1 + choices_.Below(12); count > 0; --count) {
      writes[SomeKey(SomeDatabase())] = SomeValue();
    }
    return writes;
  }
  static Words BatchOf(const Writes& writes) {
    Words words{"batch"};
    for (const auto& [row_key, value] : writes) {
      words.insert(words.end(), {value ? "put" : "remove", row_key, value.value_or("")});
    }
    return words;
  }
  void Apply(const Writes& writes, uint64_t end) {
    CHECK(end > now_);
    now_ = end;
    for (const auto& [row_key, value] : writes) {
      reference_.Set(row_key, end, value);
      unfolded_ += 200 + row_key.size() + value.value_or("").size();
    }
    // Without its threads nobody makes room, so the test does.
    if (quiet_ && unfolded_ > kMostUnfolded) Fold(Any());
  }
  void CommitBatch(MemberState& member) {
    const Writes writes = SomeWrites();
    const Words outcome = member.process->Ask(BatchOf(writes));
    CHECK_EQ(outcome.at(0), "committed");
    Apply(writes, std::stoull(outcome.at(1)));
    if (dropped_ == 0 || !choices_.OneIn(8)) return;
    const Words refused = member.process->Ask({"batch", "put", SomeKey(dropped_), "1"});
    CHECK_EQ(refused.at(0), "dropped");
  }
  void Fold(MemberState& member) {
    member.process->Ask({"fold"});
    surely_folded_ = now_;
    maybe_folded_ = Now(member);
    unfolded_ = 0;
  }

  // Dies while it commits one transaction after the other, at some instruction: of each, all
  // happened or nothing.
  void KillInStorm(MemberState& member) {
    std::set<std::string> row_keys;
    while (row_keys.size() < 4) row_keys.insert(SomeKey(SomeDatabase()));
    const std::string prefix = "storm " + std::to_string(++values_) + " ";
    Words storm{"storm", prefix};
    storm.insert(storm.end(), row_keys.begin(), row_keys.end());
    member.process->Tell(storm);
    usleep(static_cast<useconds_t>(choices_.Below(1500)));
    member.process->Kill();
    const bool back = choices_.OneIn(2);
    if (back) Start(member);
    // Whoever commits next brings to light what the dead one had done.
    MemberState& other = Other(member);
    const Writes next{{KeyOf(names_.at("two"), "next"), std::to_string(++values_)}};
    const Words outcome = other.process->Ask(BatchOf(next));
    CHECK_EQ(outcome.at(0), "committed");
    Now(other);
    const Words found =
        other.process->Ask({"view get", std::to_string(kNumbers), *row_keys.begin()});
    if (!back) Start(member);
    if (!found.empty() && found[0].starts_with(prefix)) {
      const uint64_t last = std::stoull(found[0].substr(prefix.size()));
      Apply(StormWrites(row_keys, prefix, last), std::stoull(found.at(1)));
      unfolded_ += last * 1000;
    }
    Apply(next, std::stoull(outcome.at(1)));
    TakeView(other, 0);
    CheckWhole(other, 0, other.views.at(0));
  }
  static Writes StormWrites(const std::set<std::string>& row_keys, const std::string& prefix,
                            uint64_t number) {
    Writes writes;
    for (const std::string& row_key : row_keys) writes[row_key] = prefix + std::to_string(number);
    if (number % 2 == 1) writes[*row_keys.rbegin()] = std::nullopt;
    return writes;
  }
  void KillInFold(MemberState& member) {
    member.process->Tell({"fold"});
    usleep(static_cast<useconds_t>(choices_.Below(5000)));
    member.process->Kill();
    Start(member);
    maybe_folded_ = Now(member);
    MemberState& other = Other(member);
    TakeView(other, 0);
    CheckWhole(other, 0, other.views.at(0));
  }

  // --- views -------------------------------------------------------------------------------------

  void TakeView(MemberState& member, int number) {
    const uint64_t lsn = member.process->AskNumber({"view", std::to_string(number)});
    CHECK(lsn >= now_);  // above it where the rest of a segment has been filled
    member.views[number] = {lsn, Live()};
  }
  void TakeSomeView(MemberState& member) {
    TakeView(member, static_cast<int>(choices_.Below(kNumbers)));
  }
  void CheckRow(MemberState& member) {
    if (member.views.empty()) return TakeSomeView(member);
    const auto& [number, view] = *SomeEntry(member.views);
    const DatabaseId database = SomeOf(view.databases);
    const std::string row_key = SomeKey(database);
    const auto rows = reference_.At(database, view.lsn);
    const auto row = rows.find(row_key);
    const Words found = member.process->Ask({"view get", std::to_string(number), row_key});
    CHECK_EQ(found.empty(), row == rows.end());
    if (row != rows.end()) CHECK_EQ(found[0], row->second);
  }
  void CheckWalk(MemberState& member) {
    if (member.views.empty()) return TakeSomeView(member);
    const auto& [number, view] = *SomeEntry(member.views);
    const DatabaseId database = SomeOf(view.databases);
    CompareWalk(member, "view walk", number, database, reference_.At(database, view.lsn));
  }
  void CheckSome(MemberState& member) {
    if (member.views.empty()) return;
    const auto& [number, view] = *SomeEntry(member.views);
    CheckWhole(member, number, view);
  }
  void CheckWhole(MemberState& member, int number, const OpenView& view) {
    for (const DatabaseId database : view.databases) {
      const auto rows = reference_.At(database, view.lsn);
      Words expected;
      for (const auto& [row_key, value] : rows) {
        expected.insert(expected.end(), {row_key, value});
      }
      Words found = member.process->Ask({"view walk", std::to_string(number),
                                         ">=", KeyOf(database, ""), std::string(rows.size(), 'n')});
      found.resize(std::min(found.size(), expected.size()));
      CHECK(found == expected);
    }
  }
  template <typename Map>
  typename Map::iterator SomeEntry(Map& map) {
    auto at = map.begin();
    std::advance(at, static_cast<ptrdiff_t>(choices_.Below(map.size())));
    return at;
  }

  // A seek and some steps, compared as long as they stay in the database.
  void CompareWalk(MemberState& member, const char* what, int number, DatabaseId database,
                   const Reference::Rows& rows) {
    const bool below = choices_.OneIn(2);
    const std::string from = SomeKey(database);
    std::string steps;
    while (!choices_.OneIn(12)) steps += choices_.OneIn(2) == below ? 'n' : 'p';
    auto place = rows.lower_bound(from);
    if (below) place = place == rows.begin() ? rows.end() : std::prev(place);
    const Words found =
        member.process->Ask({what, std::to_string(number), below ? "<" : ">=", from, steps});
    for (size_t i = 0; i <= steps.size(); ++i) {
      const bool inside =
          found.at(2 * i) != "end" && LoadRowPrefix(test::AsBytes(found.at(2 * i))) == database;
      CHECK_EQ(inside, place != rows.end());
      if (!inside) return;
      CHECK_EQ(found.at(2 * i), place->first);
      CHECK_EQ(found.at(2 * i + 1), place->second);
      if (i == steps.size()) return;
      if (steps[i] == 'n') ++place;
      if (steps[i] == 'p') place = place == rows.begin() ? rows.end() : std::prev(place);
    }
  }

  // --- transactions ------------------------------------------------------------------------------

  void BeginOne(MemberState& member) {
    const int number = static_cast<int>(choices_.Below(kNumbers));
    OpenTransaction transaction;
    transaction.serializable = !choices_.OneIn(3);
    transaction.databases = Live();
    transaction.snapshot = member.process->AskNumber(
        {"begin", std::to_string(number), transaction.serializable ? "serializable" : "snapshot"});
    CHECK(transaction.snapshot >= now_);
    member.transactions[number] = std::move(transaction);
  }
  void WriteInOne(MemberState& member) {
    if (member.transactions.empty()) return BeginOne(member);
    auto& [number, transaction] = *SomeEntry(member.transactions);
    const std::string row_key = SomeKey(SomeOf(transaction.databases));
    const auto value = SomeValue();
    if (value) {
      member.process->Ask({"put", std::to_string(number), row_key, *value});
    } else {
      member.process->Ask({"remove", std::to_string(number), row_key});
    }
    transaction.writes[row_key] = value;
  }
  Reference::Rows Seen(const OpenTransaction& transaction, DatabaseId database) const {
    Reference::Rows rows = reference_.At(database, transaction.snapshot);
    for (const auto& [row_key, value] : transaction.writes) {
      if (LoadRowPrefix(test::AsBytes(row_key)) != database) continue;
      if (value) rows[row_key] = *value;
      if (!value) rows.erase(row_key);
    }
    return rows;
  }
  void ReadInOne(MemberState& member) {
    if (member.transactions.empty()) return BeginOne(member);
    auto& [number, transaction] = *SomeEntry(member.transactions);
    const DatabaseId database = SomeOf(transaction.databases);
    const Reference::Rows rows = Seen(transaction, database);
    if (choices_.OneIn(3)) return CompareWalk(member, "walk", number, database, rows);
    std::string low = SomeKey(database);
    if (choices_.OneIn(4)) {
      std::string high = SomeKey(database);
      if (high < low) std::swap(low, high);
      member.process->Ask({"range", std::to_string(number), low, high});
      if (low < high) transaction.reads.emplace_back(low, high);
      return;
    }
    const Words found = member.process->Ask({"get", std::to_string(number), low});
    const auto row = rows.find(low);
    CHECK_EQ(found.empty(), row == rows.end());
    if (row != rows.end()) CHECK_EQ(found[0], row->second);
    if (!transaction.writes.contains(low)) {
      transaction.reads.emplace_back(low, low + std::string(1, '\0'));
    }
  }
  void FinishOne(MemberState& member) {
    if (member.transactions.empty()) return BeginOne(member);
    const auto at = SomeEntry(member.transactions);
    const int number = at->first;
    if (at->second.writes.empty()) return;
    const OpenTransaction transaction = std::move(at->second);
    member.transactions.erase(at);
    const Words outcome = member.process->Ask({"commit", std::to_string(number)});
    CheckOutcome(transaction, outcome.at(0));
    ++outcomes_[outcome[0]];
    if (outcome[0] == "committed") Apply(transaction.writes, std::stoull(outcome.at(1)));
  }
  void CheckOutcome(const OpenTransaction& transaction, const std::string& outcome) {
    const std::set<DatabaseId> live = Live();
    bool dropped = false;
    bool conflict = false;
    for (const auto& [row_key, value] : transaction.writes) {
      dropped |= !live.contains(LoadRowPrefix(test::AsBytes(row_key)));
      conflict |= !transaction.serializable &&
                  reference_.Changed(row_key, row_key + std::string(1, '\0'), transaction.snapshot);
    }
    if (dropped) {
      CHECK_EQ(outcome, "dropped");
      return;
    }
    if (transaction.serializable) {
      for (const auto& [low, high] : transaction.reads) {
        conflict |= reference_.Changed(low, high, transaction.snapshot);
      }
    }
    // What could be compared with has left the overlay.
    const bool validated = !transaction.serializable || !transaction.reads.empty();
    const uint64_t maybe = quiet_ ? maybe_folded_ : ~uint64_t{0};
    if (conflict || (validated && transaction.snapshot < surely_folded_)) {
      CHECK_EQ(outcome, "conflict");
    } else if (!validated || transaction.snapshot >= maybe) {
      CHECK_EQ(outcome, "committed");
    } else {
      CHECK(outcome == "committed" || outcome == "conflict");
    }
  }

  Choices choices_;
  const std::string directory_ = test::TempDir();
  const StoreOptions options_;
  const bool quiet_;
  std::vector<MemberState> members_;
  Reference reference_;
  std::map<std::string, DatabaseId> names_;
  DatabaseId dropped_ = 0;  // an id that is no longer
  uint64_t now_ = 0;        // where the last commit ends
  uint64_t values_ = 0;
  // Of transactions.
  std::map<std::string, uint64_t> outcomes_{{"committed", 0}, {"conflict", 0}, {"dropped", 0}};
  uint64_t unfolded_ = 0;                          // about how many bytes of the overlay are in use
  uint64_t surely_folded_ = 0, maybe_folded_ = 0;  // LSNs: the overlay has nothing below
};

void RunCampaigns(uint64_t count, bool quiet) {
  uint64_t committed = 0;
  uint64_t refused = 0;
  for (uint64_t round = 0; round < count; ++round) {
    Campaign campaign(test::Seed() * 1'000'003 + 2 * round + (quiet ? 0 : 1), quiet);
    campaign.Run(500);
    committed += campaign.committed();
    refused += campaign.refused();
  }
  CHECK(committed > 0);
  CHECK(refused > 0);
}

TEST(store_model, every_outcome_is_the_one_expected) { RunCampaigns(test::Scale(6), true); }
TEST(store_model, with_threads_in_the_background) { RunCampaigns(test::Scale(6), false); }

}  // namespace
}  // namespace ringleader
