// Results of calls that can fail. Nothing below native/binding throws.
//
// A Status says what went wrong (code), what became of the caller's request (fate) and what the
// operating system said (sys_errno), in words that make sense without the source at hand.
// docs/ERRORS.md has a heading per code.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace ringleader {

enum class Code : uint8_t {
  kOk = 0,
  kInvalidArgument,   // RL_INVALID_ARGUMENT: the caller's value is of the wrong kind or range
  kTooLarge,          // RL_TOO_LARGE: over a documented limit
  kNotFound,          // RL_NOT_FOUND: no such file, name or position
  kExists,            // RL_EXISTS: it is already there
  kPermission,        // RL_PERMISSION: the operating system refused access
  kNotADirectory,     // RL_NOT_A_DIRECTORY: the path names something else
  kCorruption,        // RL_CORRUPTION: stored bytes fail their checks
  kNewerFormat,       // RL_NEWER_FORMAT: written by a later version of this library
  kNoSpace,           // RL_NO_SPACE: the disk or a quota is full; writes resume when space returns
  kIo,                // RL_IO: a device error
  kFailed,            // RL_FAILED: a flush failed earlier; final until the environment is reopened
  kClosed,            // RL_CLOSED: used after close
  kBusy,              // RL_BUSY: held by somebody else; try again
  kTimeout,           // RL_TIMEOUT: not reached within the time allowed
  kForeignHost,       // RL_FOREIGN_HOST: in use by processes that share no memory with this one
  kUnsupported,       // RL_UNSUPPORTED: not possible on this system
  kTrimmed,           // RL_TRIMMED: the log no longer holds this position
  kConflict,          // RL_CONFLICT: what a transaction had read has been changed by another one
  kTransactionEnded,  // RL_TRANSACTION_ENDED: a transaction used after it has ended
  kDropped,           // RL_DROPPED: the database has been dropped
  kRolledBack,        // RL_ROLLED_BACK: the log was rolled back to a position below
  kNotPrimary,        // RL_NOT_PRIMARY: only the primary of the group writes
};

// What became of the request that failed.
enum class Fate : uint8_t {
  kNone,     // it did not happen and never will
  kUnknown,  // it may or may not survive
  kDone,     // it happened; something after it failed
};

// "RL_NO_SPACE" for Code::kNoSpace.
std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message, int sys_errno = 0, Fate fate = Fate::kNone)
      : code_(code), fate_(fate), sys_errno_(sys_errno), message_(std::move(message)) {
    RL_CHECK(code != Code::kOk);
  }

  static Status Ok() { return Status(); }

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  Fate fate() const { return fate_; }
  int sys_errno() const { return sys_errno_; }
  const std::string& message() const { return message_; }

  // The same failure seen by a caller whose request had already gone further.
  Status WithFate(Fate fate) const {
    Status copy = *this;
    copy.fate_ = fate;
    return copy;
  }

  // "RL_NO_SPACE: cannot allocate log/0000.seg: No space left on device (errno 28)"
  std::string ToString() const;

 private:
  Code code_ = Code::kOk;
  Fate fate_ = Fate::kNone;
  int sys_errno_ = 0;
  std::string message_;
};

// Maps an errno of a failed system call to a Status; `what` names the call and its object, and the
// system's own words are added to it.
Status ErrnoStatus(int sys_errno, std::string_view what);

// A value or the Status that explains its absence.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit on purpose
    RL_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & {
    RL_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    RL_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    RL_CHECK(ok());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  T& operator*() & { return value(); }

 private:
  Status status_;
  std::optional<T> value_;
};

}  // namespace ringleader

// Leaves the function with the Status of an expression that failed.
#define RL_RETURN_IF_ERROR(expression)              \
  do {                                              \
    ::ringleader::Status rl_status_ = (expression); \
    if (!rl_status_.ok()) [[unlikely]]              \
      return rl_status_;                            \
  } while (false)

#define RL_CONCAT_INNER(a, b) a##b
#define RL_CONCAT(a, b) RL_CONCAT_INNER(a, b)

// RL_ASSIGN_OR_RETURN(auto file, files.Open(path)): the value, or out with the Status.
#define RL_ASSIGN_OR_RETURN(target, expression) \
  RL_ASSIGN_OR_RETURN_INNER(RL_CONCAT(rl_result_, __LINE__), target, expression)
#define RL_ASSIGN_OR_RETURN_INNER(result, target, expression) \
  auto result = (expression);                                 \
  if (!result.ok()) [[unlikely]]                              \
    return result.status();                                   \
  target = std::move(result).value()
