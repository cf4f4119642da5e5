// What a store's handle says of the environment's group.
#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>
#include <string>
#include <utility>

#include "base/coding.h"
#include "binding/store_handle.h"
#include "env/env.h"

namespace ringleader::binding {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNotServed = -2;
constexpr double kRefused = -1;

// As lib/token.ts has it: end u64 | counter u32 | incarnation u64
constexpr size_t kTokenBytes = 20;

void StoreToken(const Token& token, uint8_t* to) {
  StoreLe<uint64_t>(to, token.end.value);
  StoreLe<uint32_t>(to + 8, token.term.counter.value);
  StoreLe<uint64_t>(to + 12, token.term.incarnation.value);
}

Token LoadToken(const uint8_t* from) {
  Token token;
  token.end = Lsn(LoadLe<uint64_t>(from));
  token.term.counter = Term(LoadLe<uint32_t>(from + 8));
  token.term.incarnation = Incarnation(LoadLe<uint64_t>(from + 12));
  return token;
}

std::string DiskName(uint64_t disk) {
  std::array<char, 20> text;
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(disk));
  return text.data();
}

// Received, written or flushed: the furthest that holds; empty where it has none of it.
const char* CopyLevelName(Lsn end, Lsn received, Lsn written, Lsn flushed) {
  if (flushed >= end) return "flushed";
  if (written >= end) return "written";
  return received >= end ? "received" : "";
}

void AddCopy(Napi::Env env, Napi::Array list, const BoardMember& member, Lsn end) {
  const std::string level = CopyLevelName(end, member.received, member.written, member.flushed);
  const bool applied = member.applied >= end;
  if (level.empty() && !applied) return;
  Napi::Object copy = Napi::Object::New(env);
  copy.Set("member", member.id.value);
  copy.Set("level", level.empty() ? "received" : level);
  copy.Set("applied", applied);
  if (member.disk != 0) copy.Set("disk", DiskName(member.disk));
  list.Set(list.Length(), copy);
}

}  // namespace

GroupLook* StoreHandle::Group(Napi::Env env) {
  if (!open()) {
    Throw(env, ClosedStatus());
    return nullptr;
  }
  if (!group_) {
    auto made = GroupLook::At(store());
    if (!made.ok()) {
      Throw(env, made.status());
      return nullptr;
    }
    group_.emplace(std::move(made).value());
  }
  group_->Refresh();
  return &*group_;
}

void StoreHandle::LookAtMore() {
  if (!group_) return;
  group_->Refresh();
  if (group_watched_) group_->Want();
}

void StoreHandle::FillMore(double* numbers, uint64_t history) {
  if (group_) group_->Fill(numbers, history);
}

// inGroup(): whether the environment belongs to a group, whatever is known of that.
Napi::Value StoreHandle::InGroup(const Napi::CallbackInfo& info) {
  if (!open()) return Throw(info.Env(), ClosedStatus());
  return Napi::Boolean::New(info.Env(), log().gate().state != GateState::kFree);
}

// defineLevel(kind, count, level, distinctDisks) => index of its position behind the six first ones
Napi::Value StoreHandle::DefineLevel(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  CopyRule rule;
  rule.kind = static_cast<CopyKind>(info[0].As<Napi::Number>().Uint32Value());
  rule.count = info[1].As<Napi::Number>().Uint32Value();
  rule.level = static_cast<CopyLevel>(info[2].As<Napi::Number>().Uint32Value());
  rule.distinct_disks = info[3].As<Napi::Boolean>().Value();
  const auto index = group->Define(rule);
  if (!index.ok()) return Throw(info.Env(), index.status());
  UpdatePositions();
  return Napi::Number::New(info.Env(), static_cast<double>(index.value()));
}

// watchGroup(watch): whether onProgress is called for news of the group as well.
Napi::Value StoreHandle::WatchGroup(const Napi::CallbackInfo& info) {
  const bool watch = info[0].As<Napi::Boolean>().Value();
  if (Group(info.Env()) == nullptr) return info.Env().Undefined();
  const Status watched = use().WatchGroup(watch);
  if (!watched.ok()) return Throw(info.Env(), watched);
  group_watched_ = watch;
  if (watch) group_->Want();
  return info.Env().Undefined();
}

// tokenOf(end, term) => ArrayBuffer, or undefined where nobody knows; term 0: whatever ends there
Napi::Value StoreHandle::TokenOf(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  const auto token = group->TokenOf(ToLsn(info[0]), Term(info[1].As<Napi::Number>().Uint32Value()));
  if (!token) return info.Env().Undefined();
  Napi::ArrayBuffer bytes = Napi::ArrayBuffer::New(info.Env(), kTokenBytes);
  if (!bytes.IsEmpty()) StoreToken(*token, static_cast<uint8_t*>(bytes.Data()));
  return bytes;
}

// judge(token) => TokenFate, and 8 where this environment's log has the transaction
Napi::Value StoreHandle::Judge(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  UpdatePositions();
  const TransactionFacts facts = group->FactsOf(LoadToken(info[0].As<Napi::Uint8Array>().Data()));
  return Napi::Number::New(info.Env(), static_cast<uint32_t>(facts.fate) + (facts.here ? 8U : 0U));
}

// factsOf(token) => { copies, survives, permanentFailed } as of now, as lib/receipt.ts has them
Napi::Value StoreHandle::FactsOf(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  const Token token = LoadToken(info[0].As<Napi::Uint8Array>().Data());
  const TransactionFacts facts = group->FactsOf(token);
  const BoardState& state = group->state();
  const bool there = facts.here || facts.fate == TokenFate::kCommitted;
  Napi::Array copies = Napi::Array::New(info.Env());
  Survival survival;
  if (facts.here) {
    BoardMember own;
    own.id = state.self;
    own.disk = state.disk;
    own.received = own.applied = log().End(Level::kMemory);
    own.written = log().End(Level::kWritten);
    own.flushed = log().End(Level::kFlushed);
    if (state.self != kNobody) AddCopy(info.Env(), copies, own, token.end);
    for (const BoardMember& member : state.members) AddCopy(info.Env(), copies, member, token.end);
  }
  if (there) survival = group->SurvivalOf(token.end);
  Napi::Object survives = Napi::Object::New(info.Env());
  survives.Set("process", survival.process);
  survives.Set("power", survival.power);
  survives.Set("anyOneDisk", survival.any_one_disk);
  survives.Set("election", survival.election);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("copies", copies);
  result.Set("survives", survives);
  result.Set("permanentFailed", token.end <= state.permanent_failed && state.commit < token.end);
  return result;
}

// lagMs(): how much older than the primary's what this member has may be; Infinity: nobody knows
Napi::Value StoreHandle::LagMs(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  const uint64_t lag = LagNs(group->state(), PosixEnv().clock.MonotonicNanos());
  const double ms = lag == std::numeric_limits<uint64_t>::max()
                        ? std::numeric_limits<double>::infinity()
                        : static_cast<double>(lag) / kNsPerMs;
  return Napi::Number::New(info.Env(), ms);
}

// askRead() => the ticket of a linearizable read
Napi::Value StoreHandle::AskRead(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  return Napi::Number::New(info.Env(), static_cast<double>(group->AskRead()));
}

// readAnswer(ticket): a position; -1 where it was refused, -2 where there is no answer yet
Napi::Value StoreHandle::ReadAnswer(const Napi::CallbackInfo& info) {
  GroupLook* group = Group(info.Env());
  if (group == nullptr) return info.Env().Undefined();
  const BoardReads& reads = group->state().reads;
  const auto ticket = static_cast<uint64_t>(info[0].As<Napi::Number>().Int64Value());
  if (reads.served < ticket) return Napi::Number::New(info.Env(), kNotServed);
  const double answer = reads.granted ? static_cast<double>(reads.position.value) : kRefused;
  return Napi::Number::New(info.Env(), answer);
}

}  // namespace ringleader::binding
