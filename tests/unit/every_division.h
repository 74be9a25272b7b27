// tests/unit/every_division.h - a codec must tell the same whichever way its bytes are cut.
#pragma once

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
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

// Copies of good bytes with a few of them changed, doubled or taken away. The same ones in every
// run.
class DamagedBytes {
 public:
  // `favourites`: bytes that the codec gives a meaning to.
  DamagedBytes(std::string good, std::string_view favourites)
      : good_(std::move(good)), favourites_(favourites) {}

  std::string next() {
    std::string bytes = good_;
    for (size_t i = below(4); i > 0; --i) {
      size_t at = below(bytes.size());
      switch (below(4)) {
        case 0:
          bytes[at] = favourites_[below(favourites_.size())];
          break;
        case 1:
          bytes[at] = char(bytes[at] ^ 1 << below(8));
          break;
        case 2:
          bytes.insert(at, bytes.substr(at, 1 + below(8)));
          break;
        default:
          bytes.erase(at, 1 + below(3));
          break;
      }
      if (bytes.empty()) return good_;
    }
    return bytes;
  }

  Pieces cut(const std::string& bytes) {
    Pieces pieces;
    size_t most = 1 + below(30);
    for (size_t at = 0; at < bytes.size(); at += pieces.back().size())
      pieces.push_back(bytes.substr(at, 1 + below(most)));
    return pieces;
  }

 private:
  size_t below(size_t n) { return random_() % n; }

  std::string good_;
  std::string favourites_;
  std::minstd_rand random_{1};
};

}  // namespace holdfast::test
