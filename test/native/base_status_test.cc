#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <set>
#include <string>

#include "base/mutant.h"
#include "base/status.h"
#include "child_process.h"
#include "harness.h"

namespace ringleader {
namespace {

constexpr Code kLastCode = Code::kNotPrimary;

Status FailsOn(bool fail) { return fail ? Status(Code::kBusy, "held") : Status::Ok(); }

Result<int> Number(bool fail) {
  if (fail) return Status(Code::kTimeout, "too slow");
  return 7;
}

Status PassOn(bool first, bool second, int* reached) {
  RL_RETURN_IF_ERROR(FailsOn(first));
  *reached = 1;
  RL_ASSIGN_OR_RETURN(const int number, Number(second));
  RL_ASSIGN_OR_RETURN(*reached, Number(false));
  *reached += number;
  return Status::Ok();
}

// What `body` prints on its way to abort().
std::string AbortText(const std::function<void()>& body) {
  int ends[2];
  CHECK_EQ(pipe2(ends, O_CLOEXEC), 0);
  test::Child child([&] {
    dup2(ends[1], STDERR_FILENO);
    body();
  });
  close(ends[1]);
  std::string text;
  char buffer[256];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  CHECK_EQ(child.JoinKilled(), SIGABRT);
  return text;
}

}  // namespace

TEST(base_status, every_code_has_its_name) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(kLastCode); ++i) {
    const std::string_view name = CodeName(static_cast<Code>(i));
    CHECK(name.starts_with("RL_") && name != "RL_UNKNOWN");
    CHECK(names.insert(name).second);
  }
  CHECK_EQ(CodeName(Code::kOk), "RL_OK");
  CHECK_EQ(CodeName(Code::kNotADirectory), "RL_NOT_A_DIRECTORY");
  CHECK_EQ(CodeName(Code::kNoSpace), "RL_NO_SPACE");
  CHECK_EQ(CodeName(kLastCode), "RL_NOT_PRIMARY");
  CHECK_EQ(CodeName(static_cast<Code>(static_cast<int>(kLastCode) + 1)), "RL_UNKNOWN");
}

TEST(base_status, errno_becomes_a_code) {
  const struct {
    int sys_errno;
    Code code;
  } cases[] = {
      {ENOSPC, Code::kNoSpace},
      {EDQUOT, Code::kNoSpace},
      {ENOMEM, Code::kNoSpace},
      {EACCES, Code::kPermission},
      {EPERM, Code::kPermission},
      {EROFS, Code::kPermission},
      {ENOENT, Code::kNotFound},
      {EEXIST, Code::kExists},
      {ENOTEMPTY, Code::kExists},
      {ENOTDIR, Code::kNotADirectory},
      {EINVAL, Code::kInvalidArgument},
      {EISDIR, Code::kInvalidArgument},
      {ELOOP, Code::kInvalidArgument},
      {ENAMETOOLONG, Code::kInvalidArgument},
      {EOPNOTSUPP, Code::kUnsupported},
      {ENOSYS, Code::kUnsupported},
      {EIO, Code::kIo},
      {EMFILE, Code::kIo},
      {ESTALE, Code::kIo},
      {4711, Code::kIo},
  };
  for (const auto& [sys_errno, code] : cases) {
    const Status status = ErrnoStatus(sys_errno, "cannot do it");
    CHECK_CODE(status, code);
    CHECK_EQ(status.sys_errno(), sys_errno);
    CHECK(status.fate() == Fate::kNone);
    CHECK(status.message().starts_with("cannot do it: "));
    CHECK(status.message().size() > std::string("cannot do it: ").size());
  }
}

TEST(base_status, speaks_in_words) {
  CHECK_EQ(ErrnoStatus(ENOSPC, "cannot allocate log/0000.seg").ToString(),
           "RL_NO_SPACE: cannot allocate log/0000.seg: No space left on device (errno 28)");
  CHECK_EQ(Status(Code::kCorruption, "bad header").ToString(), "RL_CORRUPTION: bad header");
  CHECK_EQ(Status::Ok().ToString(), "RL_OK");
}

TEST(base_status, fate_changes_and_nothing_else) {
  const Status none = ErrnoStatus(EIO, "cannot write x");
  const Status unknown = none.WithFate(Fate::kUnknown);
  CHECK(none.fate() == Fate::kNone);
  CHECK(unknown.fate() == Fate::kUnknown);
  CHECK_CODE(unknown, Code::kIo);
  CHECK_EQ(unknown.sys_errno(), EIO);
  CHECK_EQ(unknown.message(), none.message());
}

TEST(base_status, failures_leave_the_function) {
  int reached = 0;
  CHECK_CODE(PassOn(true, false, &reached), Code::kBusy);
  CHECK_EQ(reached, 0);
  CHECK_CODE(PassOn(false, true, &reached), Code::kTimeout);
  CHECK_EQ(reached, 1);
  CHECK_OK(PassOn(false, false, &reached));
  CHECK_EQ(reached, 14);
}

TEST(base_status, result_holds_a_value_or_a_reason) {
  Result<std::unique_ptr<int>> owned(std::make_unique<int>(3));
  CHECK(owned.ok() && owned.status().ok());
  CHECK_EQ(**owned, 3);
  const std::unique_ptr<int> taken = std::move(owned).value();
  CHECK_EQ(*taken, 3);
  const Result<int> failed = Number(true);
  CHECK(!failed.ok());
  CHECK_CODE(failed.status(), Code::kTimeout);
}

TEST(base_status, broken_invariants_stop_the_process) {
  const std::string text = AbortText([] { RL_CHECK(2 + 2 == 5); });
  CHECK(text.find("base_status_test.cc") != std::string::npos);
  CHECK(text.find("check failed: 2 + 2 == 5") != std::string::npos);
  AbortText([] { (void)Status(Code::kOk, "a failure that is none"); });
  AbortText([] { (void)Result<int>(Status::Ok()); });
  AbortText([] { (void)Number(true).value(); });
}

TEST(base_mutant, every_mutant_has_its_name) {
  std::set<std::string> names;
  for (int i = 0; i < static_cast<int>(Mutant::kCount); ++i) {
    const std::string name = MutantName(static_cast<Mutant>(i));
    CHECK(name != "unknown");
    CHECK(names.insert(name).second);
  }
  CHECK_EQ(std::string(MutantName(Mutant::kNone)), "None");
  CHECK_EQ(std::string(MutantName(Mutant::kSkipDataSync)), "SkipDataSync");
  CHECK_EQ(std::string(MutantName(Mutant::kCount)), "unknown");
}

#ifdef RINGLEADER_MUTANTS
TEST(base_mutant, one_at_a_time_and_off_by_default) {
  const Mutant before = g_mutant;
  g_mutant = Mutant::kSkipDataSync;
  const bool this_one = RL_MUTANT(kSkipDataSync), another = RL_MUTANT(kSkipChainCheck);
  g_mutant = before;
  CHECK(this_one && !another);
}
#else
TEST(base_mutant, none_in_a_shipped_build) {
  static_assert(!RL_MUTANT(kSkipDataSync));
  CHECK(!RL_MUTANT(kRetryFailedSync));
}
#endif

}  // namespace ringleader
