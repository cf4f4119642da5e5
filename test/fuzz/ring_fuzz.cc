// A ring whose other side does as it likes.
//
// The input is a script of what the other side of the ring does to the memory that it may write,
// and when this side looks. It plays the producer to a consumer of ours and the consumer to a
// producer of ours: true frames and cut ones, words of the pages, bits and bytes of the data, heads
// with good checksums over bad contents, segments' headers. Whatever it does: nothing is read
// outside of the ring, a call ends, and what is delivered has been written whole by somebody who
// knew the cookie; what breaks the rules is refused, and stays refused.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "input.h"
#include "ring_script.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ringleader;
  FuzzInput input({data, size});
  if (const char* const wrong = test::PlayRingScript(
          [&](size_t bytes) { return input.Take(bytes); }, [&] { return input.empty(); })) {
    std::fprintf(stderr, "ring_fuzz: %s\n", wrong);
    std::abort();
  }
  return 0;
}
