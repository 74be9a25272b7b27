// tests/unit/conf/wrong.h - one row of a table of configurations with exactly one thing wrong.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "conf/load.h"

namespace holdfast::conf {

struct Wrong {
  const char* name;  // the test's
  std::string toml;
  unsigned line;
  unsigned column;
  const char* key;
  const char* what;     // a part of Problem::what
  const char* allowed;  // a part of Problem::allowed
};

inline void PrintTo(const Wrong& row, std::ostream* out) {
  *out << row.toml;
}

inline std::string row_name(const testing::TestParamInfo<Wrong>& info) {
  return info.param.name;
}

inline std::string all_of(const Loaded& loaded) {
  std::string out;
  for (const Problem& problem : loaded.problems) out += problem.text() + "\n";
  return out;
}

// Adds a right [[listen]] where the row has none, and wants the row's problem and no other.
inline void expect_exactly_this(const Wrong& row, const std::string& path) {
  std::string toml = row.toml;
  if (toml.find("listen") == toml.npos) {
    toml += "\n[[listen]]\naddress = \"127.0.0.1:0\"\nbackend = \"echo\"\n";
  }
  Loaded loaded = load_text(toml, path);
  ASSERT_EQ(loaded.problems.size(), 1u) << all_of(loaded);
  const Problem& problem = loaded.problems[0];
  EXPECT_EQ(problem.file, path);
  EXPECT_EQ(problem.line, row.line) << problem.text();
  EXPECT_EQ(problem.column, row.column) << problem.text();
  EXPECT_EQ(problem.key, row.key) << problem.text();
  EXPECT_NE(problem.what.find(row.what), std::string::npos) << problem.text();
  EXPECT_NE(problem.allowed.find(row.allowed), std::string::npos) << problem.text();
  EXPECT_EQ(problem.text().find('\n'), std::string::npos);
}

}  // namespace holdfast::conf
