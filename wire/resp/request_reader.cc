#include "wire/resp/request_reader.h"

#include <algorithm>

#include "wire/resp/line_words.h"
#include "wire/resp/number.h"

namespace holdfast::resp {
namespace {

using Status = RequestReader::Status;

// As a status: whole is complete, wrong is error.
Status take_number(std::string_view bytes, size_t* at, int64_t* value) {
  switch (read_number(bytes, at, value)) {
    case NumberRead::need_more:
      return Status::need_more;
    case NumberRead::whole:
      return Status::complete;
    case NumberRead::wrong:
      break;
  }
  return Status::error;
}

}  // namespace

Status RequestReader::read(std::string_view bytes, const Bounds& bounds) {
  started_ = !bytes.empty();
  if (status_ == Status::need_more && skipping()) {
    started_ = true;
    at_ = 0;
    status_ = skip_on(bytes);
  } else if (status_ == Status::need_more && started_)
    status_ = bytes[0] == '*' ? read_array(bytes, bounds) : read_line(bytes, bounds);
  if (status_ == Status::complete) show(in_words_ ? std::string_view(words_) : bytes);
  return status_;
}

void RequestReader::next() {
  constexpr size_t kKept = 64;  // what a usual request needs is not given back
  if (places_.capacity() > kKept) {
    places_ = {};
    arguments_ = {};
  }
  if (words_.capacity() > 1024) words_ = {};
  places_.clear();
  arguments_.clear();
  words_.clear();
  in_words_ = false;
  status_ = Status::need_more;
  started_ = false;
  at_ = searched_ = 0;
  missing_ = bulk_ = kUnknown;
  skip_ = {};
  error_.clear();
}

void RequestReader::show(std::string_view bytes) {
  arguments_.clear();
  for (const Place& place : places_) arguments_.push_back(bytes.substr(place.at, place.size));
}

Status RequestReader::fail(std::string why) {
  error_ = std::move(why);
  return Status::error;
}

// ---- arrays

Status RequestReader::read_array(std::string_view bytes, const Bounds& bounds) {
  if (missing_ == kUnknown) {
    Status status = read_count(bytes, bounds);
    if (status != Status::complete) return status;
  }
  while (missing_ > 0) {
    Status status = bulk_ == kUnknown ? read_bulk_length(bytes, bounds) : read_bulk(bytes);
    if (status != Status::complete) return status;
  }
  return Status::complete;
}

Status RequestReader::read_count(std::string_view bytes, const Bounds& bounds) {
  size_t at = 1;
  int64_t count = 0;
  Status status = take_number(bytes, &at, &count);
  if (status == Status::error) return fail("invalid multibulk length");
  if (status == Status::need_more) return status;
  if (count > int64_t{kMaxSkippedArguments})
    return fail("invalid multibulk length: a request has " + std::to_string(kMaxArguments) +
                " arguments at most");
  if (bounds.stranger && count > int64_t{kMaxStrangerArguments})
    return fail("unauthenticated multibulk length");
  at_ = at;
  count_ = uint64_t(std::max(count, int64_t{0}));
  if (count > int64_t{kMaxArguments})  // I3
    return begin_skip({.arguments = count_, .missing = count_, .bytes = at}, bytes);
  missing_ = std::max(count, int64_t{0});
  return missing_ == 0 ? Status::empty : Status::complete;
}

Status RequestReader::read_bulk_length(std::string_view bytes, const Bounds& bounds) {
  if (at_ == bytes.size()) return Status::need_more;
  if (bytes[at_] != '$') return fail(std::string("expected '$', got '") + bytes[at_] + '\'');
  size_t at = at_ + 1;
  int64_t length = 0;
  Status status = take_number(bytes, &at, &length);
  if (status == Status::need_more) return status;
  if (status == Status::error || length < 0) return fail("invalid bulk length");
  if (bounds.stranger && length > int64_t{kMaxStrangerBulkBytes})
    return fail("unauthenticated bulk length");
  // With its CR LF it must end within the request's bound. // I2
  if (at + 2 > bounds.request_bytes || uint64_t(length) > bounds.request_bytes - at - 2) {
    if (bounds.stranger) return fail("invalid bulk length");
    return begin_skip({.arguments = count_,
                       .missing = uint64_t(missing_),
                       .bytes = at_,
                       .bound = bounds.request_bytes},
                      bytes);
  }
  at_ = at;
  bulk_ = length;
  return Status::complete;
}

// An end that is not CR LF means that the length was wrong: what follows could be anything.
Status RequestReader::read_bulk(std::string_view bytes) {
  auto size = size_t(bulk_);
  std::string_view end = bytes.substr(std::min(at_ + size, bytes.size()), 2);
  if (end != std::string_view("\r\n").substr(0, end.size()))
    return fail("bulk string without CRLF at its end");
  if (end.size() < 2) return Status::need_more;
  places_.push_back({uint32_t(at_), uint32_t(size)});
  at_ += size + 2;
  bulk_ = kUnknown;
  --missing_;
  return Status::complete;
}

// ---- passing over

void RequestReader::go_on_with(const Skip& skip) {
  skip_ = skip;
  started_ = true;
}

// From at_ on, where the length of an argument begins.  // I3
Status RequestReader::begin_skip(const Skip& skip, std::string_view bytes) {
  skip_ = skip;
  places_ = {};
  return skip_on(bytes);
}

Status RequestReader::skip_on(std::string_view bytes) {
  while (skip_.missing > 0) {
    Status status = skip_.left == 0 ? skip_length(bytes) : skip_bulk(bytes);
    if (status != Status::complete) return status;
  }
  error_ = skip_.bound == 0 ? "a request of " + std::to_string(skip_.arguments) + " arguments; " +
                                  std::to_string(kMaxArguments) + " are taken"
                            : "a request of " + std::to_string(skip_.bytes) + " bytes; " +
                                  std::to_string(skip_.bound) + " are taken (max_body)";
  return Status::too_long;
}

Status RequestReader::skip_length(std::string_view bytes) {
  if (at_ == bytes.size()) return Status::need_more;
  if (bytes[at_] != '$') return fail(std::string("expected '$', got '") + bytes[at_] + '\'');
  size_t at = at_ + 1;
  int64_t length = 0;
  Status status = take_number(bytes, &at, &length);
  if (status == Status::need_more) return status;
  if (status == Status::error || length < 0) return fail("invalid bulk length");
  skip_.bytes += at - at_;
  if (uint64_t(length) + 2 > kMaxSkippedBytes - std::min(skip_.bytes, kMaxSkippedBytes))
    return fail(skip_.bound == 0 ? "invalid multibulk length: a request has " +
                                       std::to_string(kMaxArguments) + " arguments at most"
                                 : "invalid bulk length: a request has " +
                                       std::to_string(skip_.bound) + " bytes at most (max_body)");
  at_ = at;
  skip_.left = uint64_t(length) + 2;
  skip_.bytes += skip_.left;
  return Status::complete;
}

Status RequestReader::skip_bulk(std::string_view bytes) {
  if (skip_.left > 2) {
    size_t some = size_t(std::min<uint64_t>(bytes.size() - at_, skip_.left - 2));
    at_ += some;
    skip_.left -= some;
  }
  while (skip_.left > 0 && skip_.left <= 2 && at_ < bytes.size()) {
    if (bytes[at_] != (skip_.left == 2 ? '\r' : '\n'))
      return fail("bulk string without CRLF at its end");
    ++at_;
    --skip_.left;
  }
  if (skip_.left > 0) return Status::need_more;
  --skip_.missing;
  return Status::complete;
}

// ---- lines

Status RequestReader::read_line(std::string_view bytes, const Bounds& bounds) {
  size_t max = std::min(kMaxLineBytes, bounds.request_bytes);
  size_t end = bytes.find('\n', searched_);
  if (std::min(end, bytes.size()) > max) return fail("too big inline request");
  searched_ = bytes.size();
  if (end == std::string_view::npos) return Status::need_more;
  at_ = end + 1;
  std::string_view line = bytes.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return split(line);
}

Status RequestReader::split(std::string_view line) {
  in_words_ = true;
  LineWords words(line);
  while (!words.at_end()) {
    size_t begin = words_.size();
    if (!words.take(&words_)) return fail("unbalanced quotes in request");
    if (places_.size() == kMaxArguments) return fail("too big inline request");
    places_.push_back({uint32_t(begin), uint32_t(words_.size() - begin)});
  }
  return places_.empty() ? Status::empty : Status::complete;
}

}  // namespace holdfast::resp
