// Everything the engine asks of the world, in one bundle that is handed down at construction.
#pragma once

#include "env/clock.h"
#include "env/file.h"
#include "env/host.h"
#include "env/random.h"
#include "env/shared_memory.h"
#include "env/threads.h"

namespace ringleader {

struct Env {
  FileSystem& files;
  Clock& clock;
  Random& random;
  Host& host;
  SharedMemory& memory;
  Threads& threads;
};

// The real world. Lives as long as the process.
Env& PosixEnv();

}  // namespace ringleader
