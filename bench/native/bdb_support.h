// What the benches of Berkeley DB share: its errors and its DBT.
#pragma once

#include <db.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/bytes.h"

namespace ringleader {

inline void MustBdb(int code) {
  if (code == 0) return;
  std::fprintf(stderr, "Berkeley DB: %s\n", db_strerror(code));
  std::exit(1);
}

// Bytes that stay where they are while the library looks at them.
inline DBT Thing(Bytes bytes) {
  DBT thing;
  std::memset(&thing, 0, sizeof thing);
  thing.data = const_cast<uint8_t*>(bytes.data());
  thing.size = static_cast<uint32_t>(bytes.size());
  thing.ulen = thing.size;
  thing.flags = DB_DBT_USERMEM;
  return thing;
}

}  // namespace ringleader
