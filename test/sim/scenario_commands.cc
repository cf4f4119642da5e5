// The commands of scenarios. M is the id of a member; A->B may have a * on either side.
//
//   group M[:learner|:view|:outside|:priority=N].. [option]..    the options stand in Group()
//   found M                          the first configuration, of all that are not outside
//   begin M                          the same, and half a second, without a trace
//   write M|primary V|V..V ..  flush M  save M  apply M LSN  trim M LSN
//   begin-flush M  end-flush M       of what the log holds at the first, told at the second
//   slow M..  fast M..               slow disks flush and save by command only
//   settle [TYPE..]                  until nothing moves; shows messages of these types
//   run TIME [TYPE..]                the same in steps of 10 ms
//   time TIME                        time goes by, and nobody notices before the next step
//   tick                             everybody looks at the clock
//   deliver A->B|all [TYPE]          what is under way now; `repeat` leaves it there, `drop` loses
//   it hold A->B|all [TYPE]  release    held messages stay where they are cut A->B..  isolate M..
//   heal    what is cut is lost crash M  kill M  restart M       power fails; the process ends
//   new-disk M INCARNATION           of a member that is down
//   tear M SECTORS                   power fails while the hard state is being written
//   lose M LSN                       a disk lies: the log of a member that is down ends there
//   disk-fails M  drift M PPM  died M seen-by M
//   elect M [voters=] [votes=] [priority=] [timeout=]  lead M  follow M
//   hand-over M [to M]  change M add|promote|demote|remove|set-priority|replace M [kind]
//   [priority=] read M ID  sync M  limit M BYTES  levels M BITS witness slow|fast|show|restore
//   VERSION|answer M|lose M|fail M network  members  log M..        into the trace expect ..
//   (scenario_expect.cc)
#include <map>

#include "core/text.h"
#include "scenario_expect.h"
#include "scenario_words.h"

namespace ringleader::sim {
namespace {

using Command = void (*)(Words& words, ScenarioWorld& world);

Member MemberOf(const std::string& word, std::set<MemberId>* outside) {
  Member member;
  size_t at = word.find(':');
  member.id = IdOf(word.substr(0, at));
  member.incarnation = Incarnation(uint64_t{member.id.value} + 9);
  while (at != std::string::npos) {
    const size_t next = word.find(':', at + 1);
    const std::string part = word.substr(at + 1, next - at - 1);
    if (part == "learner") {
      member.kind = MemberKind::kLearner;
    } else if (part == "view") {
      member.kind = MemberKind::kView;
    } else if (part == "outside") {
      outside->insert(member.id);
    } else if (part.starts_with("priority=")) {
      member.priority = static_cast<uint32_t>(NumberOf(part.substr(9)));
    } else {
      throw ScenarioProblem{"no member is " + part};
    }
    at = next;
  }
  return member;
}

void Group(Words& words, ScenarioWorld& world) {
  ScenarioOptions options;
  CoreOptions& core = options.core;
  if (const auto lease = words.TimeOption("lease")) core.lease = *lease;
  if (const auto wait = words.TimeOption("full-wait")) core.full_election_wait = *wait;
  if (const auto drift = words.NumberOption("drift")) {
    core.clock_drift_ppm = static_cast<uint32_t>(*drift);
  }
  if (const auto votes = words.NumberOption("votes")) options.votes = static_cast<uint32_t>(*votes);
  if (const auto copies = words.NumberOption("copies")) {
    options.copies = static_cast<uint32_t>(*copies);
  }
  if (const auto bytes = words.NumberOption("request-bytes")) core.request_bytes = *bytes;
  if (const auto bytes = words.NumberOption("append-bytes")) core.append_bytes = *bytes;
  if (const auto preferred = words.Option("preferred")) {
    core.two_members = TwoMembers::kPreferred;
    core.preferred = IdOf(*preferred);
  }
  std::vector<Member> members;
  std::set<MemberId> outside;
  while (!words.empty()) {
    if (words.Take("base")) {
      core.base_api = true;
    } else if (words.Take("in-sync")) {
      options.rule = QuorumRule::kInSync;
    } else if (words.Take("no-snapshots")) {
      core.automatic_snapshot = false;
    } else if (words.Take("delayed-sync")) {
      core.delayed_sync = true;
    } else if (words.Take("no-peers")) {
      core.peer_to_peer = false;
    } else {
      members.push_back(MemberOf(words.Take(), &outside));
    }
  }
  world.Start(options, members, outside);
}

void Found(Words& words, ScenarioWorld& world) {
  world.Do(words.Id(), FoundGroup{world.FirstConfiguration()});
}

void Begin(Words& words, ScenarioWorld& world) {
  Found(words, world);
  world.Pass(500'000'000, {});
  world.DropTrace();
}

// --- Log and disks

void Write(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Take("primary") ? world.Primary() : words.Id();
  for (const uint64_t value : words.Values()) world.Write(id, value);
  world.Work();
}

void BeginFlush(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  world.Act(index, [&] { world.group().StartFlush(index); });
}

void EndFlush(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  if (!world.group().member(index).flushing()) throw ScenarioProblem{"no flush is under way"};
  world.Act(index, [&] { world.group().FinishFlush(index); });
}

void Stop(Words& words, ScenarioWorld& world) { world.SetStopped(words.Id(), true); }
void Continue(Words& words, ScenarioWorld& world) { world.SetStopped(words.Id(), false); }

void Flush(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  if (!world.group().member(index).log_dirty()) throw ScenarioProblem{"all is flushed"};
  world.Act(index, [&] { world.group().Flush(index); });
}

void Save(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  if (!world.group().member(index).saving()) throw ScenarioProblem{"nothing is being saved"};
  world.Act(index, [&] { world.group().SaveHardState(index); });
}

void Apply(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.Do(id, LogApplied{Lsn(words.Number())});
}

void Trim(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  const Lsn start(words.Number());
  world.Act(index, [&] { world.group().Trim(index, start); });
}

void Slow(Words& words, ScenarioWorld& world) {
  while (!words.empty()) world.SetSlow(words.Id(), true);
}

void Fast(Words& words, ScenarioWorld& world) {
  while (!words.empty()) world.SetSlow(words.Id(), false);
  world.Work();
}

// --- Time and messages

std::set<std::string> Types(Words& words) {
  std::set<std::string> types;
  while (!words.empty()) types.insert(words.Take());
  return types;
}

void Settle(Words& words, ScenarioWorld& world) { world.Settle(Types(words)); }

void Run(Words& words, ScenarioWorld& world) {
  const Nanos time = words.Time();
  world.Pass(time, Types(words));
}

void Time(Words& words, ScenarioWorld& world) { world.group().Move(words.Time()); }

void TickNow(Words&, ScenarioWorld& world) {
  world.TickAll();
  world.Work();
}

void Deliver(Words& words, ScenarioWorld& world) {
  const size_t most = words.Take("first") ? 1 : SIZE_MAX;
  world.Deliver(words.Pattern(), false, most);
}

void Repeat(Words& words, ScenarioWorld& world) {
  const size_t most = words.Take("first") ? 1 : SIZE_MAX;
  world.Deliver(words.Pattern(), true, most);
}

void Drop(Words& words, ScenarioWorld& world) { world.Drop(words.Pattern()); }
void Hold(Words& words, ScenarioWorld& world) { world.Hold(words.Pattern()); }
void Release(Words&, ScenarioWorld& world) { world.Release(); }

void Cut(Words& words, ScenarioWorld& world) {
  do {
    const MessagePattern link = Words(words.Take()).Pattern();
    if (!link.from || !link.to) throw ScenarioProblem{"a link has two ends"};
    world.Cut(*link.from, *link.to);
  } while (!words.empty());
}

// From everybody that is not isolated as well.
void Isolate(Words& words, ScenarioWorld& world) {
  std::set<MemberId> inside;
  while (!words.empty()) inside.insert(words.Id());
  for (size_t i = 0; i < world.group().size(); ++i) {
    const MemberId other = world.group().member(i).id();
    if (inside.count(other) > 0) continue;
    for (const MemberId id : inside) {
      world.Cut(id, other);
      world.Cut(other, id);
    }
  }
}

void Heal(Words&, ScenarioWorld& world) { world.Heal(); }

// --- Deaths and disks

size_t Down(Words& words, ScenarioWorld& world, bool down) {
  const size_t index = world.IndexOf(words.Id());
  if (world.group().member(index).up() == down) {
    throw ScenarioProblem{down ? "the member is up" : "the member is down"};
  }
  return index;
}

void Crash(Words& words, ScenarioWorld& world) { world.group().Crash(Down(words, world, false)); }

void Kill(Words& words, ScenarioWorld& world) { world.group().Kill(Down(words, world, false)); }

void Restart(Words& words, ScenarioWorld& world) {
  const size_t index = Down(words, world, true);
  world.Act(index, [&] { world.group().Restart(index); });
  world.Work();
}

void NewDisk(Words& words, ScenarioWorld& world) {
  const size_t index = Down(words, world, true);
  world.group().NewDisk(index, IncarnationOf(words.Take()));
}

void Tear(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.Tear(id, words.Number());
}

void Lose(Words& words, ScenarioWorld& world) {
  const size_t index = Down(words, world, true);
  world.group().LoseFlushed(index, Lsn(words.Number()));
}

void DiskFails(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.SetSlow(id, true);
  world.Do(id, DiskFailed{});
}

void Drift(Words& words, ScenarioWorld& world) {
  const size_t index = world.IndexOf(words.Id());
  const std::string ppm = words.Take();
  const bool slower = ppm.starts_with("-");
  const auto size = static_cast<int64_t>(NumberOf(slower ? ppm.substr(1) : ppm));
  world.group().SetDrift(index, slower ? -size : size);
}

void Died(Words& words, ScenarioWorld& world) {
  const ModelMember& member = world.member(words.Id());
  if (!words.Take("seen-by")) throw ScenarioProblem{"seen by whom?"};
  world.Do(words.Id(), MemberDied{member.id(), member.options().incarnation});
}

// --- What the application asks for

void Elect(Words& words, ScenarioWorld& world) {
  CallElection call;
  call.voters = static_cast<uint32_t>(words.NumberOption("voters").value_or(0));
  call.votes = static_cast<uint32_t>(words.NumberOption("votes").value_or(0));
  call.priority = static_cast<uint32_t>(words.NumberOption("priority").value_or(UINT32_MAX));
  call.timeout = words.TimeOption("timeout").value_or(0);
  world.Do(words.Id(), call);
  world.Work();
}

// "won=2.b": the ballot as traces have it.
void Lead(Words& words, ScenarioWorld& world) {
  LeadNow event;
  if (const auto won = words.Option("won")) {
    const size_t dot = won->find('.');
    if (dot == std::string::npos) throw ScenarioProblem{"no ballot: " + *won};
    event.won = {Term(static_cast<uint32_t>(NumberOf(won->substr(0, dot)))),
                 IncarnationOf(won->substr(dot + 1))};
  }
  world.Do(words.Id(), event);
  world.Work();
}

void FollowCommand(Words& words, ScenarioWorld& world) { world.Do(words.Id(), FollowNow{}); }

void HandOver(Words& words, ScenarioWorld& world) {
  const MemberId from = words.Id();
  world.Do(from, HandOverTo{words.Take("to") ? words.Id() : kNobody});
}

void Change(Words& words, ScenarioWorld& world) {
  using Kind = MembershipChange::Kind;
  const MemberId primary = words.Id();
  const std::string name = words.Take();
  ChangeMembers event;
  MembershipChange& change = event.change;
  change.kind = Kind{};
  for (const Kind kind : {Kind::kAdd, Kind::kPromote, Kind::kDemote, Kind::kRemove,
                          Kind::kSetPriority, Kind::kReplace}) {
    if (NameOf(kind) == name) change.kind = kind;
  }
  if (NameOf(change.kind).empty()) throw ScenarioProblem{"no change is called " + name};
  change.member.id = words.Id();
  if (change.kind == Kind::kAdd || change.kind == Kind::kReplace) {
    change.member.incarnation = world.member(change.member.id).options().incarnation;
    change.member.kind = words.Take("view") ? MemberKind::kView : MemberKind::kLearner;
  }
  if (const auto priority = words.NumberOption("priority")) {
    change.member.priority = static_cast<uint32_t>(*priority);
  }
  world.Do(primary, event);
  world.Work();
}

void Read(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.Do(id, AskRead{words.Number()});
}

void Sync(Words& words, ScenarioWorld& world) { world.Do(words.Id(), SyncNow{}); }

void Limit(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.Do(id, SetLimit{words.Number()});
}

void Levels(Words& words, ScenarioWorld& world) {
  const MemberId id = words.Id();
  world.Do(id, SetLevels{static_cast<uint8_t>(words.Number())});
}

void Witness(Words& words, ScenarioWorld& world) {
  const std::string what = words.Take();
  if (what == "slow" || what == "fast") {
    world.SetWitnessSlow(what == "slow");
    world.Work();
  } else if (what == "show") {
    world.Say(ToText(world.group().witness()));
  } else if (what == "restore") {
    world.RestoreWitness(words.Number());
  } else if (what == "late") {
    world.group().SwapLate(0);
  } else {
    const size_t index = world.IndexOf(words.Id());
    if (!world.group().member(index).asking()) throw ScenarioProblem{"it does not ask the witness"};
    world.Act(index, [&] {
      if (what == "fail") return world.group().FailWitness(index);
      if (what != "answer" && what != "lose") throw ScenarioProblem{"no witness does " + what};
      world.group().AnswerWitness(index, what == "lose");
    });
    world.Work();
  }
}

// --- Into the trace

void Network(Words&, ScenarioWorld& world) {
  for (const Packet& packet : world.group().network()) world.Say(ToText(packet.message));
}

void Members(Words&, ScenarioWorld& world) {
  for (size_t i = 0; i < world.group().size(); ++i) {
    world.Say(MemberText(world.group().member(i)));
  }
}

void Log(Words& words, ScenarioWorld& world) {
  while (!words.empty()) world.Say(LogText(world.member(words.Id())));
}

const std::map<std::string, Command>& Commands() {
  static const std::map<std::string, Command> commands = {
      {"begin", Begin},
      {"begin-flush", BeginFlush},
      {"end-flush", EndFlush},
      {"stop", Stop},
      {"continue", Continue},
      {"group", Group},
      {"found", Found},
      {"write", Write},
      {"flush", Flush},
      {"save", Save},
      {"apply", Apply},
      {"trim", Trim},
      {"slow", Slow},
      {"fast", Fast},
      {"settle", Settle},
      {"run", Run},
      {"time", Time},
      {"tick", TickNow},
      {"deliver", Deliver},
      {"repeat", Repeat},
      {"drop", Drop},
      {"hold", Hold},
      {"release", Release},
      {"cut", Cut},
      {"isolate", Isolate},
      {"heal", Heal},
      {"crash", Crash},
      {"kill", Kill},
      {"restart", Restart},
      {"new-disk", NewDisk},
      {"tear", Tear},
      {"lose", Lose},
      {"disk-fails", DiskFails},
      {"drift", Drift},
      {"died", Died},
      {"elect", Elect},
      {"lead", Lead},
      {"follow", FollowCommand},
      {"hand-over", HandOver},
      {"change", Change},
      {"read", Read},
      {"sync", Sync},
      {"limit", Limit},
      {"levels", Levels},
      {"witness", Witness},
      {"network", Network},
      {"members", Members},
      {"log", Log},
      {"expect", Expect},
  };
  return commands;
}

}  // namespace

void RunCommand(const std::string& line, ScenarioWorld* world) {
  Words words(line);
  const std::string name = words.Take();
  const auto command = Commands().find(name);
  if (command == Commands().end()) throw ScenarioProblem{"no command is called " + name};
  command->second(words, *world);
  words.End();
}

}  // namespace ringleader::sim
