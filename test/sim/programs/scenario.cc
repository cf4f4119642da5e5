// Runs scenarios from files.
//
//   scenario [--update] FILE..
//
// --update writes what came out into the files, in place of what was expected. A scenario that
// breaks a rule, or one of its own assertions, is never written.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>

#include "scenario.h"

int main(int argc, char** argv) {
  bool update = false;
  int failed = 0;
  int passed = 0;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--update") == 0) {
      update = true;
      continue;
    }
    std::ifstream in(argv[i]);
    std::ostringstream text;
    text << in.rdbuf();
    const auto run = ringleader::sim::RunScenario(text.str());
    const bool writes = update && !run.broken && run.updated != text.str();
    if (writes) std::ofstream(argv[i]) << run.updated;
    if (run.problem.empty() || (update && !run.broken)) {
      ++passed;
      if (writes) std::printf("updated %s\n", argv[i]);
    } else {
      ++failed;
      std::printf("FAILED %s\n    %s\n", argv[i], run.problem.c_str());
    }
  }
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed > 0 ? 1 : 0;
}
