#include "binding/convert.h"

#include <algorithm>
#include <string>

namespace ringleader::binding {
namespace {

constexpr double kNsPerMs = 1e6;
constexpr double kNsPerUs = 1e3;
constexpr double kUsPerMs = 1e3;

double Number(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().DoubleValue();
}

std::string Text(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::String>().Utf8Value();
}

// Sets properties one after the other.
class Builder {
 public:
  explicit Builder(Napi::Env env) : object_(Napi::Object::New(env)) {}

  Builder& Position(const char* name, Lsn value) {
    object_.Set(name, ToJs(object_.Env(), value));
    return *this;
  }
  Builder& Count(const char* name, uint64_t value) {
    object_.Set(name, static_cast<double>(value));
    return *this;
  }
  // `value` in nanoseconds or microseconds, `unit` of them to the one that is told.
  Builder& Duration(const char* name, uint64_t value, double unit) {
    object_.Set(name, static_cast<double>(value) / unit);
    return *this;
  }
  Builder& Flag(const char* name, bool value) {
    object_.Set(name, value);
    return *this;
  }
  Builder& String(const char* name, const std::string& value) {
    object_.Set(name, value);
    return *this;
  }
  Napi::Object object() const { return object_; }

 private:
  Napi::Object object_;
};

}  // namespace

LogOptions ReadLogOptions(const Napi::Object& options) {
  LogOptions read;
  read.create = options.Get("create").As<Napi::Boolean>().Value();
  read.segment_bytes = static_cast<uint64_t>(Number(options, "segmentBytes"));
  read.ring_bytes = static_cast<uint64_t>(Number(options, "ringBytes"));
  read.segments_ahead = static_cast<uint32_t>(Number(options, "segmentsAhead"));
  read.archive = Text(options, "archive");
  read.flush_interval_ns = static_cast<uint64_t>(Number(options, "flushIntervalMs") * kNsPerMs);
  read.adopt_copy = options.Get("adoptCopy").ToBoolean().Value();
  const Napi::Value group_id = options.Get("groupId");
  if (group_id.IsTypedArray()) {
    const auto bytes = group_id.As<Napi::Uint8Array>();
    Id128 id{};
    std::copy_n(bytes.Data(), std::min(id.size(), bytes.ByteLength()), id.begin());
    read.group_id = id;
  }
  return read;
}

StoreOptions ReadStoreOptions(const Napi::Object& options) {
  StoreOptions read;
  read.log = ReadLogOptions(options);
  read.generation_bytes = static_cast<uint64_t>(Number(options, "generationBytes"));
  read.max_frozen = static_cast<uint32_t>(Number(options, "maxFrozen"));
  read.fold_interval_ns = static_cast<uint64_t>(Number(options, "foldIntervalMs") * kNsPerMs);
  read.max_readers = static_cast<uint32_t>(Number(options, "maxReaders"));
  read.hash_index_bytes = static_cast<uint64_t>(Number(options, "hashIndexBytes"));
  return read;
}

Consumer ReadConsumer(const Napi::Object& consumer) {
  Consumer read;
  read.name = Text(consumer, "name");
  read.position = ToLsn(consumer.Get("position"));
  read.max_bytes = static_cast<uint64_t>(Number(consumer, "maxBytes"));
  read.max_age_us = static_cast<uint64_t>(Number(consumer, "maxAgeMs") * kUsPerMs);
  return read;
}

Napi::Object ToJs(Napi::Env env, const LogStat& stat) {
  return Builder(env)
      .Position("start", stat.start)
      .Position("appended", stat.tail)
      .Position("visible", stat.visible)
      .Position("written", stat.written)
      .Position("durable", stat.durable)
      .Position("preparedEnd", stat.prepared_end)
      .Count("term", stat.term.value)
      .Count("records", stat.records)
      .Count("transactions", stat.transactions)
      .Count("payloadBytes", stat.payload_bytes)
      .Count("writes", stat.writes)
      .Count("flushes", stat.flushes)
      .Count("flushedBytes", stat.flushed_bytes)
      .Duration("lastFlushMs", stat.last_flush_ns, kNsPerMs)
      .Duration("longestFlushMs", stat.longest_flush_ns, kNsPerMs)
      .Duration("flushAgeMs", stat.flush_age_ns, kNsPerMs)
      .Count("writerRepairs", stat.writer_repairs)
      .Count("flusherTakeovers", stat.flusher_takeovers)
      .Count("holdSamples", stat.hold_samples)
      .Duration("holdUs", stat.hold_ns, kNsPerUs)
      .Count("segmentsPrepared", stat.segments_prepared)
      .Count("segmentsRecycled", stat.segments_recycled)
      .Flag("diskFull", stat.disk_full)
      .Count("failedErrno", static_cast<uint64_t>(stat.failed_errno))
      .Count("segmentBytes", stat.segment_bytes)
      .Count("ringBytes", stat.ring_bytes)
      .Flag("ringInFile", stat.ring_in_file)
      .Count("recoveredRecords", stat.recovered_records)
      .Count("salvagedBytes", stat.salvaged_bytes)
      .Flag("recoveredTornTail", stat.recovered_torn_tail)
      .Duration("recoveryMs", stat.recovery_ns, kNsPerMs)
      .Count("housekeepingFailures", stat.housekeeping_failures)
      .String("lastHousekeepingFailure", stat.last_housekeeping_failure)
      .object();
}

Napi::Value ToJs(Napi::Env env, const std::vector<Consumer>& consumers) {
  Napi::Array list = Napi::Array::New(env, consumers.size());
  for (uint32_t i = 0; i < consumers.size(); ++i) {
    const Consumer& consumer = consumers[i];
    list[i] = Builder(env)
                  .String("name", consumer.name)
                  .Position("position", consumer.position)
                  .Count("maxBytes", consumer.max_bytes)
                  .Duration("maxAgeMs", consumer.max_age_us, kUsPerMs)
                  .Flag("broken", consumer.broken)
                  .object();
  }
  return list;
}

Napi::Object ToJs(Napi::Env env, const StoreStat& stat) {
  Napi::Object object = Builder(env)
                            .Position("applied", stat.base.applied)
                            .Count("baseRows", stat.base.rows)
                            .Count("baseFileBytes", stat.base.file_bytes)
                            .Count("baseUsedBytes", stat.base.used_bytes)
                            .Count("baseDepth", stat.base.depth)
                            .Count("readers", stat.base.readers)
                            .Count("maxReaders", stat.base.max_readers)
                            .Count("generations", stat.generations)
                            .Count("overlayBytes", stat.overlay_bytes)
                            .Count("overlayUsedBytes", stat.overlay_used_bytes)
                            .Count("overlayVersions", stat.overlay_versions)
                            .Flag("overlayInFile", stat.overlay_in_file)
                            .Count("folds", stat.folds)
                            .Count("foldedRows", stat.folded_rows)
                            .Duration("foldMs", stat.fold_ns, kNsPerMs)
                            .Count("foldFailures", stat.fold_failures)
                            .String("lastFoldFailure", stat.last_fold_failure)
                            .Count("commits", stat.commits)
                            .Count("conflicts", stat.conflicts)
                            .Count("reservations", stat.reservations)
                            .Count("heldUp", stat.held_up)
                            .Count("rollBacks", stat.rollbacks)
                            .Count("replayedRecords", stat.replayed_records)
                            .Duration("replayMs", stat.replay_ns, kNsPerMs)
                            .object();
  object.Set("log", ToJs(env, stat.log));
  return object;
}

Napi::Object ToJs(Napi::Env env, const Store::Verified& verified) {
  return Builder(env)
      .Count("rows", verified.rows)
      .Count("records", verified.records)
      .Count("databases", verified.databases)
      .object();
}

Napi::Value ToJs(Napi::Env env, const std::vector<Database>& databases) {
  Napi::Array list = Napi::Array::New(env, databases.size());
  for (uint32_t i = 0; i < databases.size(); ++i) {
    const Database& database = databases[i];
    Napi::Object object =
        Builder(env).String("name", database.name).Count("id", database.id).object();
    void* metadata = ShareMemory(env, object, "metadata", database.metadata.size());
    if (metadata == nullptr && !database.metadata.empty()) return env.Undefined();
    std::copy(database.metadata.begin(), database.metadata.end(), static_cast<uint8_t*>(metadata));
    list[i] = object;
  }
  return list;
}

Napi::String ToJs(Napi::Env env, const Id128& id) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * id.size());
  for (const uint8_t byte : id) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return Napi::String::New(env, text);
}

}  // namespace ringleader::binding
