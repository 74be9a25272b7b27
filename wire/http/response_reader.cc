#include "wire/http/response_reader.h"

#include <algorithm>
#include <utility>

#include "base/bounded_append.h"

namespace holdfast::http {
namespace {

constexpr std::string_view kStart = "HTTP/1.";

}  // namespace

ResponseReader::Status ResponseReader::feed(std::string_view bytes, size_t* consumed) {
  *consumed = 0;
  while (status() == Status::need_more && !bytes.empty()) {
    size_t taken = take(bytes);
    bytes.remove_prefix(taken);
    *consumed += taken;
  }
  return status();
}

ResponseReader::Status ResponseReader::end() {
  if (phase_ == Phase::to_the_end)
    phase_ = Phase::complete;
  else if (status() == Status::need_more)
    fail("it ended early");
  return status();
}

void ResponseReader::reset() {
  *this = ResponseReader(ResponseLimits(limits_));
}

std::string ResponseReader::take_body() {
  return std::exchange(response_.body, {});
}

ResponseReader::Status ResponseReader::status() const {
  if (phase_ == Phase::complete) return Status::complete;
  return phase_ == Phase::failed ? Status::failed : Status::need_more;
}

void ResponseReader::fail(std::string_view why) {
  error_ = why;
  phase_ = Phase::failed;
}

// At least one byte, or it fails.
size_t ResponseReader::take(std::string_view bytes) {
  switch (phase_) {
    case Phase::head:
      return take_head(bytes);
    case Phase::fixed:
      return take_fixed(bytes);
    case Phase::chunked:
      return take_chunked(bytes);
    case Phase::to_the_end:
      return take_to_the_end(bytes);
    case Phase::complete:
    case Phase::failed:
      break;
  }
  return 0;
}

// ---- head

// The first bytes of an answer, which are always the same.  // I4
size_t ResponseReader::take_start(std::string_view bytes) {
  size_t have = response_.lines.size(), n = std::min(bytes.size(), kStart.size() - have);
  if (bytes.substr(0, n) != kStart.substr(have, n)) {
    fail("no HTTP/1");
    return 0;
  }
  HeaderScan::Found found;
  for (char c : bytes.substr(0, n)) scan_.take(c, &found);  // none of them is refused
  response_.lines += bytes.substr(0, n);
  return n;
}

size_t ResponseReader::take_head(std::string_view bytes) {
  std::string& lines = response_.lines;
  if (lines.size() < kStart.size()) return take_start(bytes);
  size_t room =
      limits_.max_head_bytes - std::min(limits_.max_head_bytes, passed_over_ + lines.size());
  bool end = false;
  size_t i = 0;
  while (i < bytes.size() && !end) {
    i += scan_.plain(bytes.substr(i, room - i));
    if (i == bytes.size()) break;
    if (i == room) {
      fail("too long a head");
      return i;
    }
    HeaderScan::Found found;
    if (Failure wrong = scan_.take(bytes[i++], &found)) {
      fail(wrong.text);
      return i;
    }
    end = found == HeaderScan::Found::end;
  }
  bounded_append(lines, bytes.substr(0, i), limits_.max_head_bytes);
  if (end) head_done();
  return i;
}

void ResponseReader::head_done() {
  ResponseHead& head = response_.head;
  if (std::string_view wrong = read_response_head(response_.lines, &head); !wrong.empty())
    return fail(wrong);
  if (head.status >= 200 || head.status == 101) return begin_body();
  passed_over_ += response_.lines.size();
  response_.lines.clear();
  scan_ = {};
}

void ResponseReader::begin_body() {
  has_head_ = true;
  switch (response_.head.body) {
    case ResponseHead::Body::none:
      phase_ = Phase::complete;
      return;
    case ResponseHead::Body::length:
      left_ = response_.head.length;
      phase_ = left_ == 0 ? Phase::complete : Phase::fixed;
      if (left_ > limits_.max_body) fail("too long a body");
      return;
    case ResponseHead::Body::chunks:
      phase_ = Phase::chunked;
      return;
    case ResponseHead::Body::to_the_end:
      phase_ = Phase::to_the_end;
      return;
  }
}

// ---- body

size_t ResponseReader::take_fixed(std::string_view bytes) {
  auto n = size_t(std::min<uint64_t>(left_, bytes.size()));
  bounded_append(response_.body, bytes.substr(0, n), limits_.max_body);
  left_ -= n;
  if (left_ == 0) phase_ = Phase::complete;
  return n;
}

size_t ResponseReader::take_chunked(std::string_view bytes) {
  size_t consumed = 0;
  switch (chunks_.feed(bytes, response_.body, &consumed)) {
    case ChunkedReader::Status::need_more:
      break;
    case ChunkedReader::Status::complete:
      phase_ = Phase::complete;
      break;
    case ChunkedReader::Status::malformed:
      fail("malformed chunks");
      break;
    case ChunkedReader::Status::body_too_large:
      fail("too long a body");
      break;
    case ChunkedReader::Status::line_too_long:
      fail("too long a line between chunks");
      break;
  }
  return consumed;
}

size_t ResponseReader::take_to_the_end(std::string_view bytes) {
  size_t n = std::min(bytes.size(), limits_.max_body - response_.body.size());
  bounded_append(response_.body, bytes.substr(0, n), limits_.max_body);
  if (n < bytes.size()) fail("too long a body");
  return n;
}

}  // namespace holdfast::http
