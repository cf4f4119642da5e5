#include "transport/link.h"

#include "base/check.h"

namespace ringleader {

std::string_view NameOf(LinkKind kind) {
  switch (kind) {
    case LinkKind::kInProcess:
      return "in-process";
    case LinkKind::kRing:
      return "ring";
    case LinkKind::kTcp:
      return "tcp";
    case LinkKind::kCustom:
      return "custom";
  }
  RL_CHECK(false);
}

}  // namespace ringleader
