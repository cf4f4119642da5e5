#include "base/status.h"

#include <cerrno>
#include <cstring>

namespace ringleader {
namespace {

Code CodeOfErrno(int sys_errno) {
  switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    // A tmpfs or memory cgroup that is full answers ENOMEM as readily as ENOSPC, and so does a
    // kernel short of page-cache pages: like a full disk it leaves the file as it was and passes.
    // As kIo it would be taken for a broken device and close the environment for good.
    case ENOMEM:
      return Code::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
      return Code::kPermission;
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
    case ENOTEMPTY:
      return Code::kExists;
    case ENOTDIR:
      return Code::kNotADirectory;
    case EINVAL:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG:
      return Code::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP:
      return Code::kUnsupported;
    default:
      return Code::kIo;
  }
}

// strerror_r has two shapes: POSIX returns a number and fills the buffer, GNU returns the text.
[[maybe_unused]] const char* ErrnoText(int failed, const char* buffer) {
  return failed == 0 ? buffer : "unknown error";
}
[[maybe_unused]] const char* ErrnoText(const char* text, const char*) { return text; }

}  // namespace

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kOk:
      return "RL_OK";
    case Code::kInvalidArgument:
      return "RL_INVALID_ARGUMENT";
    case Code::kTooLarge:
      return "RL_TOO_LARGE";
    case Code::kNotFound:
      return "RL_NOT_FOUND";
    case Code::kExists:
      return "RL_EXISTS";
    case Code::kPermission:
      return "RL_PERMISSION";
    case Code::kNotADirectory:
      return "RL_NOT_A_DIRECTORY";
    case Code::kCorruption:
      return "RL_CORRUPTION";
    case Code::kNewerFormat:
      return "RL_NEWER_FORMAT";
    case Code::kNoSpace:
      return "RL_NO_SPACE";
    case Code::kIo:
      return "RL_IO";
    case Code::kFailed:
      return "RL_FAILED";
    case Code::kClosed:
      return "RL_CLOSED";
    case Code::kBusy:
      return "RL_BUSY";
    case Code::kTimeout:
      return "RL_TIMEOUT";
    case Code::kForeignHost:
      return "RL_FOREIGN_HOST";
    case Code::kUnsupported:
      return "RL_UNSUPPORTED";
    case Code::kTrimmed:
      return "RL_TRIMMED";
    case Code::kConflict:
      return "RL_CONFLICT";
    case Code::kTransactionEnded:
      return "RL_TRANSACTION_ENDED";
    case Code::kDropped:
      return "RL_DROPPED";
    case Code::kRolledBack:
      return "RL_ROLLED_BACK";
    case Code::kNotPrimary:
      return "RL_NOT_PRIMARY";
  }
  return "RL_UNKNOWN";
}

std::string Status::ToString() const {
  std::string text(CodeName(code_));
  if (ok()) return text;
  text += ": ";
  text += message_;
  if (sys_errno_ != 0) text += " (errno " + std::to_string(sys_errno_) + ")";
  return text;
}

Status ErrnoStatus(int sys_errno, std::string_view what) {
  char buffer[128];
  std::string message(what);
  message += ": ";
  message += ErrnoText(strerror_r(sys_errno, buffer, sizeof buffer), buffer);
  return Status(CodeOfErrno(sys_errno), std::move(message), sys_errno);
}

}  // namespace ringleader
