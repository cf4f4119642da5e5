#include "slow_sync.h"

#include <sys/syscall.h>

extern "C" int fdatasync(int fd) {
  ringleader::test::BeforeDataSync(fd);
  const auto fails = ringleader::test::g_data_sync_fails;
  if (fails != nullptr && fails(fd)) return -1;
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}
