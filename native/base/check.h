// Assertions: for our own mistakes only, never for bytes that came from outside.
//
// RL_CHECK stays on in every build: a process that has broken an invariant of a store must stop
// before it writes. RL_DCHECK is for hot paths and exists in debug and sanitizer builds only.
#pragma once

namespace ringleader {

[[noreturn]] void CheckFailed(const char* file, int line, const char* expression);

}  // namespace ringleader

#define RL_CHECK(expression)                                      \
  do {                                                            \
    if (!(expression)) [[unlikely]] {                             \
      ::ringleader::CheckFailed(__FILE__, __LINE__, #expression); \
    }                                                             \
  } while (false)

#ifdef NDEBUG
#define RL_DCHECK(expression) \
  do {                        \
  } while (false && (expression))
#else
#define RL_DCHECK(expression) RL_CHECK(expression)
#endif
