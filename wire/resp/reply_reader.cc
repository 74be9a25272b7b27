#include "wire/resp/reply_reader.h"

#include <algorithm>
#include <charconv>

namespace holdfast::resp {
namespace {

using Status = ReplyReader::Status;

constexpr size_t kMaxDigits = 19;  // of an integer
constexpr size_t kLineEnd = 2;     // CR LF
constexpr std::string_view kTooLong = "too long a reply", kTooMany = "too many elements",
                           kBadNumber = "malformed number", kBadLength = "malformed length";

bool is_real(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error != std::errc::invalid_argument && end == text.data() + text.size();
}

bool is_big_number(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool is_good(ReplyKind kind, std::string_view text) {
  if (kind == ReplyKind::real) return is_real(text);
  return kind != ReplyKind::big_number || is_big_number(text);
}

ReplyKind aggregate_of(char kind) {
  switch (kind) {
    case '%':
      return ReplyKind::map;
    case '~':
      return ReplyKind::set;
    case '>':
      return ReplyKind::push;
    case '|':
      return ReplyKind::attribute;
    default:
      return ReplyKind::array;
  }
}

}  // namespace

Status ReplyReader::read(std::string_view bytes) {
  while (status_ == Status::need_more && at_ < bytes.size()) {
    if (Status read = read_element(bytes); read != Status::complete) return read;
    while (depth_ > 0 && missing_[depth_ - 1] == 0) --depth_;
    if (depth_ == 0) status_ = Status::complete;
  }
  if (status_ == Status::complete)
    for (ReplyElement& element : elements_)
      element.text = bytes.substr(element.at, element.text.size());
  return status_;
}

void ReplyReader::next() {
  constexpr size_t kKept = 64;           // what a usual reply needs is not given back
  if (status_ == Status::error) return;  // I4
  if (elements_.capacity() > kKept) elements_ = {};
  elements_.clear();
  status_ = Status::need_more;
  at_ = searched_ = 0;
  blob_ = kUnknown;
  promised_ = depth_ = 1;
  missing_[0] = 1;
}

Status ReplyReader::fail(std::string_view why) {
  error_ = why;
  return status_ = Status::error;
}

Status ReplyReader::read_element(std::string_view bytes) {
  char kind = bytes[at_];
  switch (kind) {
    case '+':
      return read_line(bytes, ReplyKind::status);
    case '-':
      return read_line(bytes, ReplyKind::error);
    case ',':
      return read_line(bytes, ReplyKind::real);
    case '(':
      return read_line(bytes, ReplyKind::big_number);
    case ':':
      return read_integer(bytes);
    case '_':
    case '#':
      return read_short(bytes, kind);
    case '$':
    case '!':
    case '=':
      return read_blob(bytes, kind);
    case '*':
    case '%':
    case '~':
    case '>':
    case '|':
      return read_aggregate(bytes, kind);
    default:
      return fail("unknown kind of reply");
  }
}

// An element is whole; the next one begins at `behind`.
Status ReplyReader::add(const ReplyElement& element, size_t behind) {
  if (behind > bounds_.bytes) return fail(kTooLong);
  elements_.push_back(element);
  at_ = searched_ = behind;
  blob_ = kUnknown;
  if (element.kind != ReplyKind::attribute) --missing_[depth_ - 1];
  return Status::complete;
}

// ---- lines

Status ReplyReader::read_line(std::string_view bytes, ReplyKind kind) {
  size_t begin = at_ + 1;
  size_t end = bytes.find_first_of("\r\n", std::max(begin, searched_));
  size_t come = std::min(end, bytes.size());
  if (come - begin > kMaxReplyLineBytes || come + kLineEnd > bounds_.bytes) return fail(kTooLong);
  searched_ = come;
  if (end == bytes.npos) return Status::need_more;
  if (bytes[end] == '\n') return fail("LF without CR");
  if (end + 1 == bytes.size()) return Status::need_more;
  if (bytes[end + 1] != '\n') return fail("CR without LF");
  std::string_view text = bytes.substr(begin, end - begin);
  if (!is_good(kind, text)) return fail(kBadNumber);
  return add({.kind = kind, .text = text, .at = begin}, end + kLineEnd);
}

Status ReplyReader::read_integer(std::string_view bytes) {
  size_t at = at_ + 1;
  int64_t value = 0;
  switch (read_number(bytes, &at, &value, kMaxDigits)) {
    case NumberRead::need_more:
      return Status::need_more;
    case NumberRead::wrong:
      return fail(kBadNumber);
    case NumberRead::whole:
      break;
  }
  return add({.kind = ReplyKind::integer, .number = value}, at);
}

// "_" and "#t" or "#f", each with CR LF.
Status ReplyReader::read_short(std::string_view bytes, char kind) {
  constexpr std::string_view kNull = "_\r\n", kTrue = "#t\r\n", kFalse = "#f\r\n";
  std::string_view come = bytes.substr(at_, kind == '_' ? kNull.size() : kTrue.size());
  bool yes = kTrue.starts_with(come);
  if (!yes && !kFalse.starts_with(come) && !kNull.starts_with(come))
    return fail("malformed null or boolean");
  if (kind == '_') {
    if (come.size() < kNull.size()) return Status::need_more;
    return add({}, at_ + kNull.size());
  }
  if (come.size() < kTrue.size()) return Status::need_more;
  return add({.kind = ReplyKind::boolean, .number = yes}, at_ + kTrue.size());
}

// ---- blobs

// The length is judged once; then the reader waits for the last byte.
Status ReplyReader::read_blob(std::string_view bytes, char kind) {
  if (blob_ == kUnknown) {
    Status read = read_blob_length(bytes, kind == '$');
    if (read != Status::complete || blob_ == kUnknown) return read;
  }
  auto size = size_t(blob_);
  std::string_view end = bytes.substr(std::min(blob_at_ + size, bytes.size()), kLineEnd);
  if (end != std::string_view("\r\n").substr(0, end.size())) return fail("no CR LF behind a text");
  if (end.size() < kLineEnd) return Status::need_more;
  ReplyElement element{.kind = kind == '$'   ? ReplyKind::bulk
                               : kind == '!' ? ReplyKind::error
                                             : ReplyKind::verbatim,
                       .text = bytes.substr(blob_at_, size),
                       .at = blob_at_};
  if (kind == '=' && (size < 4 || element.text[3] != ':'))
    return fail("verbatim text without kind");
  return add(element, blob_at_ + size + kLineEnd);
}

// complete: blob_ is known, or it was a null and is done with.
Status ReplyReader::read_blob_length(std::string_view bytes, bool may_be_null) {
  size_t at = at_ + 1;
  int64_t length = 0;
  NumberRead read = read_number(bytes, &at, &length);
  if (read == NumberRead::need_more) return Status::need_more;
  if (read == NumberRead::wrong || length < (may_be_null ? -1 : 0)) return fail(kBadLength);
  if (length < 0) return add({}, at);
  // With its CR LF it must end within the bound.  // I2
  if (at + kLineEnd > bounds_.bytes || uint64_t(length) > bounds_.bytes - at - kLineEnd)
    return fail(kTooLong);
  blob_ = length;
  blob_at_ = at;
  return Status::complete;
}

// ---- aggregates

Status ReplyReader::read_aggregate(std::string_view bytes, char kind) {
  size_t at = at_ + 1;
  int64_t size = 0;
  NumberRead read = read_number(bytes, &at, &size);
  if (read == NumberRead::need_more) return Status::need_more;
  if (read == NumberRead::wrong || size < (kind == '*' ? -1 : 0)) return fail(kBadLength);
  if (size < 0) return add({}, at);
  ReplyKind aggregate = aggregate_of(kind);
  bool pairs = aggregate == ReplyKind::map || aggregate == ReplyKind::attribute;
  if (uint64_t(size) > bounds_.elements) return fail(kTooMany);
  return open(aggregate, uint64_t(size) * (pairs ? 2 : 1), at);
}

// Its elements must fit, beside those that have come and those that other aggregates still need.  // I2, I3
Status ReplyReader::open(ReplyKind kind, uint64_t size, size_t behind) {
  promised_ += size + (kind == ReplyKind::attribute ? 1 : 0);
  if (promised_ > bounds_.elements) return fail(kTooMany);
  if (depth_ > std::min(bounds_.depth, kMaxReplyDepth)) return fail("too deep a reply");
  Status added = add({.kind = kind, .number = int64_t(size)}, behind);
  if (added == Status::complete) missing_[depth_++] = size;
  return added;
}

}  // namespace holdfast::resp
