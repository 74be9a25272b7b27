// tests/fuzz/fuzz.h - what the fuzz targets share: a codec must tell the same however its bytes are
// divided, and must not touch a byte outside the piece it was given.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::fuzz {

// Ends the run: libFuzzer keeps the input.
inline void expect(bool condition, std::string_view what) {
  if (condition) return;
  std::fprintf(stderr, "not so: %.*s\n", int(what.size()), what.data());
  std::abort();
}

// What a codec told, call by call.
using Told = std::vector<std::string>;

// A copy on the heap of exactly the size, so that ASan sees whoever reads past it.
class Piece {
 public:
  explicit Piece(std::string_view bytes) : bytes_(new char[bytes.size()]), size_(bytes.size()) {
    if (size_ > 0) std::memcpy(bytes_.get(), bytes.data(), size_);
  }
  char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }
  std::string_view view() const { return {bytes_.get(), size_}; }

 private:
  std::unique_ptr<char[]> bytes_;
  size_t size_;
};

using Pieces = std::vector<std::string_view>;

inline Pieces one_by_one(std::string_view bytes) {
  Pieces pieces;
  for (size_t at = 0; at < bytes.size(); ++at) pieces.push_back(bytes.substr(at, 1));
  return pieces;
}

// Pieces of random length; the same ones for the same bytes.
inline Pieces cut(std::string_view bytes) {
  std::minstd_rand random(unsigned(std::hash<std::string_view>()(bytes)));
  size_t most = 1 + random() % 64;
  Pieces pieces;
  for (size_t at = 0; at < bytes.size(); at += pieces.back().size())
    pieces.push_back(bytes.substr(at, 1 + random() % most));
  return pieces;
}

inline std::string text_of(const Told& told) {
  std::string text;
  for (const std::string& line : told) text += "  " + line.substr(0, 200) + "\n";
  return text;
}

// `run` feeds the pieces to a fresh codec and returns what it told.
template <class Run>
void expect_same_in_every_division(std::string_view bytes, Run&& run) {
  Told whole = run(Pieces{bytes});
  for (const Pieces& pieces : {one_by_one(bytes), cut(bytes)}) {
    Told divided = run(pieces);
    if (divided == whole) continue;
    expect(false, "the same in every division; whole:\n" + text_of(whole) + "divided:\n" +
                      text_of(divided));
  }
}

inline std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace holdfast::fuzz
