// conf/load.h - TOML text to a checked Config, or all its errors at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"

namespace holdfast::conf {

// One thing wrong. Printed as
//   conf/holdfast.toml:14:11: limits.max_message_size = "64 KB": unknown unit "KB"; allowed: a
//   number of bytes or "N KiB", "N MiB", "N GiB"
struct Problem {
  std::string file;
  unsigned line = 0;  // 1-based; 0 if the file as a whole is meant (missing, unreadable)
  unsigned column = 0;
  std::string key;      // "listen[0].path", "" for a syntax error
  std::string what;     // what was found and what was wrong with it: `= "64 KB": unknown unit "KB"`
  std::string allowed;  // what would be right; may be empty
  std::string text() const;
};

struct Loaded {
  Config config;                  // meaningful only without problems
  std::vector<Problem> problems;  // in file order
  explicit operator bool() const { return problems.empty(); }
};

// The machine that the configuration must fit.
enum class Machine : uint8_t {
  any,   // for a reader that only wants its contents
  ours,  // also: the user server.user exists, and log.target can be opened or made
};

// Reads, parses and checks a file and the files it names (page, token_file). Relative paths in it
// are relative to its folder. Never throws, changes nothing.
Loaded load_file(const std::string& path, Machine machine = Machine::any);
// The same for text that is already in memory; `path` only names it and anchors relative paths.
Loaded load_text(std::string_view toml, const std::string& path, Machine machine = Machine::any);

// The effective configuration, defaults included, as TOML that load_text() accepts and reads back
// equal. Tokens are not printed, only their file.
std::string print_config(const Config& config);

// Keys whose change takes effect only at a restart (sizes of the segment, its names, our user and
// node), of those that differ: {"limits.max_sessions: 1000 -> 2000", ...}. Empty: a reload may go
// on.
std::vector<std::string> needs_restart(const Config& running, const Config& wanted);

}  // namespace holdfast::conf
