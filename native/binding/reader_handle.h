// A LogReader as an object of JavaScript: whole batches, read on libuv's pool.
//
//   next(batchBytes) => Promise<{ bytes: ArrayBuffer, entries: Float64Array }>
//
// `entries` has seven numbers per transaction: lsn, end, term, type, operations, commit time in
// microseconds, length of the payload; the payloads lie in `bytes` one behind the other. No
// entries: the visible end. What fails behind the first transaction of a batch is told by the next
// call. Threads: the environment's JavaScript thread; one next() at a time.
#pragma once

#include <memory>
#include <vector>

#include "binding/js.h"
#include "binding/owner.h"
#include "log/log_reader.h"

namespace ringleader::binding {

class ReaderHandle : public Napi::ObjectWrap<ReaderHandle>, public Dependent {
 public:
  static Napi::Function Define(Napi::Env env);
  static Napi::Value Make(Napi::Env env, Owner& owner, Lsn from);

  explicit ReaderHandle(const Napi::CallbackInfo& info);
  ~ReaderHandle() override;

  void Drop() override;

 private:
  struct Batch {
    std::vector<uint8_t> bytes;
    std::vector<double> entries;
  };

  Napi::Value Next(const Napi::CallbackInfo& info);
  Result<Batch> ReadBatch(size_t batch_bytes);
  static Napi::Value ToJs(Napi::Env env, const Batch& batch);

  Owner* owner_ = nullptr;
  Napi::ObjectReference owner_object_;  // keeps owner_
  std::unique_ptr<LogReader> reader_;
  Status failed_;
};

}  // namespace ringleader::binding
