// tests/unit/every_division.h - a codec must tell the same whichever way its bytes are cut.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace holdfast::test {

using Pieces = std::vector<std::string>;
using Told = std::vector<std::string>;

inline Pieces one_byte_at_a_time(const std::string& bytes) {
  Pieces pieces;
  for (char c : bytes) pieces.emplace_back(1, c);
  return pieces;
}

// Where to cut in two: everywhere, or, in long inputs, all over both ends and here and there
// between.
inline std::vector<size_t> split_points(size_t bytes) {
  std::vector<size_t> points;
  for (size_t at = 1; at < bytes; ++at)
    if (bytes <= 4096 || at < 40 || at + 40 > bytes || at % 4099 == 0) points.push_back(at);
  return points;
}

// `run` feeds the pieces to a fresh codec and returns what it told.
template <class Run>
void expect_told(const std::string& bytes, const Told& expected, Run&& run) {
  EXPECT_EQ(run(Pieces{bytes}), expected) << "whole";
  EXPECT_EQ(run(one_byte_at_a_time(bytes)), expected) << "one byte at a time";
  for (size_t at : split_points(bytes.size())) {
    ASSERT_EQ(run(Pieces{bytes.substr(0, at), bytes.substr(at)}), expected) << "split at " << at;
  }
}

}  // namespace holdfast::test
