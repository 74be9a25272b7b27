// A configuration's text: problems with a place each, or a configuration that is printed and read back as itself.
#include <algorithm>

#include "conf/load.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdfast;

constexpr const char* kPath = "/nowhere/holdfast.toml";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Piece toml(fuzz::view(data, size));
  conf::Loaded loaded = conf::load_text(toml.view(), kPath);
  auto lines = 1 + std::ranges::count(toml.view(), '\n');
  for (const conf::Problem& problem : loaded.problems) {
    fuzz::expect(problem.line <= lines, "a problem stands on a line of the file");
    fuzz::expect(problem.text().find('\n') == std::string::npos, "a problem is one line");
    fuzz::expect(!problem.what.empty(), "a problem says what is wrong");
  }
  if (!loaded) return 0;
  std::string printed = conf::print_config(loaded.config);
  conf::Loaded again = conf::load_text(printed, kPath);
  for (const conf::Problem& problem : again.problems)
    fuzz::expect(false, problem.text() + "; printed:\n" + printed);
  fuzz::expect(conf::print_config(again.config) == printed, "what was printed is read as the same");
  fuzz::expect(conf::needs_restart(loaded.config, again.config).empty(), "nothing has changed");
  return 0;
}
