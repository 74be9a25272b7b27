#include "wire/http/chunked.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bounded_append.h"
#include "wire/http/chars.h"

namespace holdfast::http {
namespace {
constexpr size_t kMaxSizeLine = 1024;  // digits and extensions

}  // namespace

ChunkedReader::Status ChunkedReader::feed(std::string_view bytes, std::string& body,
                                          size_t* consumed) {
  size_t at = 0;
  Status status = Status::need_more;
  while (at < bytes.size() && status == Status::need_more) {
    any_ = true;
    if (phase_ != Phase::data) {
      status = step(bytes[at++], body.size());
      continue;
    }
    auto n = size_t(std::min<uint64_t>(left_, bytes.size() - at));
    bounded_append(body, bytes.substr(at, n), max_body_);
    at += n;
    left_ -= n;
    if (left_ == 0) phase_ = Phase::data_cr;
  }
  *consumed = at;
  return status;
}

// All that has come as one chunk, then what has come of the next line.
std::string ChunkedReader::replay(std::string_view body) const {
  bool inside = phase_ == Phase::data || phase_ == Phase::data_cr || phase_ == Phase::data_lf;
  uint64_t size = body.size() + (inside ? left_ : 0);
  std::string text;
  if (size > 0) text = fmt::format("{:x}\r\n{}", size, body);
  if (inside) return text + (phase_ == Phase::data_lf ? "\r" : "");
  if (size > 0) text += "\r\n";
  switch (phase_) {
    case Phase::more_size:
      return text + fmt::format("{:x}", left_);
    case Phase::extension:
      return text + fmt::format("{:x};", left_);
    case Phase::size_lf:
      return text + fmt::format("{:x}\r", left_);
    case Phase::trailer:
      return text + "0\r\n";
    case Phase::trailer_line:
      return text + "0\r\nx";
    case Phase::trailer_lf:
      return text + "0\r\nx\r";
    case Phase::end_lf:
      return text + "0\r\n\r";
    default:
      return text;
  }
}

ChunkedReader::Status ChunkedReader::step(char c, size_t body_bytes) {
  switch (phase_) {
    case Phase::size:
      left_ = 0;
      line_bytes_ = 0;
      if (hex_digit(c) < 0) return Status::malformed;
      phase_ = Phase::more_size;
      return take_size_digit(c, body_bytes);
    case Phase::more_size:
      return take_size_digit(c, body_bytes);
    case Phase::extension:
      if (++line_bytes_ > kMaxSizeLine) return Status::line_too_long;
      return take_line_byte(c, Phase::size_lf);
    case Phase::size_lf:
      line_bytes_ = 0;
      return expect(c, '\n', left_ == 0 ? Phase::trailer : Phase::data);
    case Phase::data_cr:
      return expect(c, '\r', Phase::data_lf);
    case Phase::data_lf:
      return expect(c, '\n', Phase::size);
    case Phase::trailer:
      if (c == '\r') return go(Phase::end_lf);
      if (c == ' ' || c == '\t') return Status::malformed;  // a folded line
      phase_ = Phase::trailer_line;
      [[fallthrough]];
    case Phase::trailer_line:
      if (++line_bytes_ > max_trailer_) return Status::line_too_long;
      return take_line_byte(c, Phase::trailer_lf);
    case Phase::trailer_lf:
      return expect(c, '\n', Phase::trailer);
    case Phase::end_lf:
      return c == '\n' ? Status::complete : Status::malformed;
    case Phase::data:
      break;  // feed() takes those
  }
  return Status::malformed;
}

// A size is judged digit by digit, so it cannot overflow and no byte of a chunk too large is taken.
ChunkedReader::Status ChunkedReader::take_size_digit(char c, size_t body_bytes) {
  if (++line_bytes_ > kMaxSizeLine) return Status::line_too_long;
  if (c == '\r') return go(Phase::size_lf);
  if (c == ';') return go(Phase::extension);
  int digit = hex_digit(c);
  if (digit < 0) return Status::malformed;
  if (left_ > UINT64_MAX >> 4) return Status::body_too_large;
  left_ = left_ << 4 | uint64_t(digit);
  return left_ > max_body_ - body_bytes ? Status::body_too_large : Status::need_more;
}

ChunkedReader::Status ChunkedReader::take_line_byte(char c, Phase after_cr) {
  if (c == '\r') return go(after_cr);
  return is_control_char(c) ? Status::malformed : Status::need_more;
}

ChunkedReader::Status ChunkedReader::expect(char c, char wanted, Phase next) {
  return c == wanted ? go(next) : Status::malformed;
}

ChunkedReader::Status ChunkedReader::go(Phase next) {
  phase_ = next;
  return Status::need_more;
}

}  // namespace holdfast::http
