#include "ctl/chunked.h"

#include <algorithm>

namespace holdfast::ctl {
namespace {

constexpr unsigned kMaxDigits = 8;

Error not_chunked() {
  return {Errc::bad_input, 0, "the answer is not one of the API: bad chunk"};
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<void> ChunkedReader::digit(char c) {
  int value = hex_value(c);
  if (value < 0) {
    if (digits_ == 0 || (c != '\r' && c != ';')) return not_chunked();
    state_ = c == ';' ? State::extension : State::size_end;
    return {};
  }
  if (++digits_ > kMaxDigits) return not_chunked();
  left_ = left_ * 16 + uint64_t(value);
  return {};
}

Result<void> ChunkedReader::one(char c) {
  switch (state_) {
    case State::size:
      return digit(c);
    case State::extension:
      if (c == '\r') state_ = State::size_end;
      return {};
    case State::size_end:
      if (c != '\n') return not_chunked();
      state_ = left_ == 0 ? State::end : State::content;
      digits_ = 0;
      return {};
    case State::content_cr:
      if (c != '\r') return not_chunked();
      state_ = State::content_lf;
      return {};
    case State::content_lf:
      if (c != '\n') return not_chunked();
      state_ = State::size;
      return {};
    case State::content:  // feed() takes it in one piece
    case State::end:
      break;
  }
  return {};
}

Result<void> ChunkedReader::feed(std::string_view bytes, std::string& out) {
  while (!bytes.empty() && state_ != State::end) {
    if (state_ != State::content) {
      if (Result<void> read = one(bytes.front()); !read) return read;
      bytes.remove_prefix(1);
      continue;
    }
    size_t take = std::min<size_t>(bytes.size(), left_);
    out += bytes.substr(0, take);
    bytes.remove_prefix(take);
    left_ -= take;
    if (left_ == 0) state_ = State::content_cr;
  }
  return {};
}

}  // namespace holdfast::ctl
