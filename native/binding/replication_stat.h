// The state of a member as an object of JavaScript: ReplicationStat of lib/replication-stat.ts says
// what each field is. Threads: the JavaScript thread.
#pragma once

#include "binding/js.h"
#include "engine/outbox.h"
#include "engine/replication.h"

namespace ringleader::binding {

Napi::Value ToJs(Napi::Env env, const GroupStatus& status, const Outbox::Counts& outbox);

}  // namespace ringleader::binding
