#include "core/output.h"

namespace ringleader {

void Outputs::Clear() {
  log.clear();
  save.reset();
  send.clear();
  ship.clear();
  pieces.clear();
  keep.clear();
  witness.reset();
  commit = Lsn();
  events.clear();
  reads.clear();
}

}  // namespace ringleader
