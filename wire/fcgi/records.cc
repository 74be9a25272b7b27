#include "wire/fcgi/records.h"

#include <algorithm>

#include "base/bytes.h"

namespace holdfast::fcgi {
namespace {

enum RecordType : uint8_t {
  kBeginRequest = 1,
  kEndRequest = 3,
  kParams = 4,
  kStdin = 5,
  kStdout = 6,
  kStderr = 7,
};
constexpr uint8_t kVersion = 1;
constexpr uint16_t kRequestId = 1;
constexpr uint16_t kManagementId = 0;
constexpr uint16_t kResponder = 1;
constexpr uint8_t kKeepConnection = 1;
constexpr size_t kHeaderBytes = 8;
constexpr size_t kFlagsAt = kHeaderBytes + 2;
constexpr size_t kMaxContent = 65'528;  // a multiple of 8, so a full record needs no padding
static_assert(kTerminatorBytes == kHeaderBytes);

void append_record(std::string& out, RecordType type, std::string_view content) {
  size_t padding = (8 - content.size() % 8) % 8;
  char header[kHeaderBytes] = {};
  header[0] = char(kVersion);
  header[1] = char(type);
  store_be16(header + 2, kRequestId);
  store_be16(header + 4, uint16_t(content.size()));
  header[6] = char(padding);
  out.append(header, sizeof header).append(content).append(padding, '\0');
}

void append_begin(std::string& out, bool keep_connection) {
  char body[8] = {};
  store_be16(body, kResponder);
  body[2] = char(keep_connection ? kKeepConnection : 0);
  append_record(out, kBeginRequest, std::string_view(body, sizeof body));
}

void append_length(std::string& out, size_t length) {
  if (length < 128) {
    out.push_back(char(length));
    return;
  }
  char wide[4];
  store_be32(wide, uint32_t(length) | 0x8000'0000u);
  out.append(wide, sizeof wide);
}

// Reads one length of section 3.4 at `at` and moves past it; npos where the bytes end before it
// does.
size_t read_length(std::string_view in, size_t& at) {
  if (at >= in.size()) return std::string_view::npos;
  if ((uint8_t(in[at]) & 0x80) == 0) return uint8_t(in[at++]);
  if (in.size() - at < 4) return std::string_view::npos;
  size_t length = load_be32(in.data() + at) & 0x7fff'ffffu;
  at += 4;
  return length;
}

// How many bytes the first pair of `params` has; all of them where they are no pairs.
size_t pair_bytes(std::string_view params) {
  size_t at = 0;
  size_t name = read_length(params, at);
  size_t value = name == std::string_view::npos ? name : read_length(params, at);
  if (value == std::string_view::npos || name + value > params.size() - at) return params.size();
  return at + name + value;
}

// As many whole pairs as fit into one record; a pair that fits into none is cut.
size_t params_for_record(std::string_view params) {
  size_t end = 0;
  while (end < params.size()) {
    size_t next = pair_bytes(params.substr(end));
    if (end + next > kMaxContent) break;
    end += next;
  }
  return end > 0 ? end : std::min(params.size(), kMaxContent);
}

}  // namespace

void append_param(std::string& out, std::string_view name, std::string_view value) {
  append_length(out, name.size());
  append_length(out, value.size());
  out.append(name).append(value);
}

std::string encode_request(std::string_view params, std::string_view body, bool keep_connection) {
  std::string out;
  size_t records = params.size() / (kMaxContent / 2) + body.size() / kMaxContent + 5;
  out.reserve(params.size() + body.size() + records * (kHeaderBytes + 8));
  append_begin(out, keep_connection);
  while (!params.empty()) {
    size_t bytes = params_for_record(params);
    append_record(out, kParams, params.substr(0, bytes));
    params.remove_prefix(bytes);
  }
  append_record(out, kParams, {});
  while (!body.empty()) {
    size_t bytes = std::min(body.size(), kMaxContent);
    append_record(out, kStdin, body.substr(0, bytes));
    body.remove_prefix(bytes);
  }
  append_record(out, kStdin, {});
  return out;
}

void set_keep_connection(std::string& request, bool keep_connection) {
  request[kFlagsAt] = char(keep_connection ? kKeepConnection : 0);
}

// Whoever adds a member carries it.
static_assert(sizeof(RecordReader) == 14);

ReaderRecord RecordReader::save() const {
  ReaderRecord r{uint8_t(part_), type_, padding_left_, held_, content_left_, {}};
  std::memcpy(r.hold, hold_.data(), sizeof r.hold);
  return r;
}

bool RecordReader::restore(const ReaderRecord& r) {
  Part part = Part(r.part);
  if (r.part > uint8_t(Part::broken) || r.held > hold_.size()) return false;
  // What take() leaves behind: it stops where there is more to take.
  if (part == Part::header && r.held == hold_.size()) return false;
  if (part == Part::content && r.content_left == 0) return false;
  if (part == Part::content && r.type == kEndRequest && r.held + r.content_left != hold_.size())
    return false;
  if (part == Part::padding && (r.content_left != 0 || r.padding_left == 0)) return false;
  part_ = Part(r.part);
  type_ = r.type;
  padding_left_ = r.padding_left;
  held_ = r.held;
  content_left_ = r.content_left;
  std::memcpy(hold_.data(), r.hold, sizeof r.hold);
  return true;
}

void RecordReader::reset() {
  *this = RecordReader();
}

bool RecordReader::feed(std::string_view bytes, RecordSink& sink) {
  while (!bytes.empty()) {
    if (!take(bytes, sink)) {
      part_ = Part::broken;
      return false;
    }
  }
  return part_ != Part::broken;
}

// Takes at least one byte.
bool RecordReader::take(std::string_view& bytes, RecordSink& sink) {
  if (part_ == Part::ended || part_ == Part::broken) return false;
  size_t want = part_ == Part::header    ? kHeaderBytes - held_
                : part_ == Part::content ? content_left_
                                         : padding_left_;
  std::string_view piece = bytes.substr(0, want);
  bytes.remove_prefix(piece.size());
  if (part_ == Part::header) {
    std::copy(piece.begin(), piece.end(), hold_.begin() + held_);
    held_ = uint8_t(held_ + piece.size());
    if (held_ < kHeaderBytes) return true;
    if (!open_record()) return false;
  } else if (part_ == Part::content) {
    content_left_ = uint16_t(content_left_ - piece.size());
    if (!take_content(piece, sink)) return false;
  } else {
    padding_left_ = uint8_t(padding_left_ - piece.size());
  }
  if (content_left_ > 0) return true;
  part_ = Part::padding;
  return padding_left_ > 0 || finish_record(sink);
}

// A header is complete. False where no record of an answer to request 1 begins so.
bool RecordReader::open_record() {
  uint16_t id = load_be16(hold_.data() + 2);
  type_ = uint8_t(hold_[1]);
  content_left_ = load_be16(hold_.data() + 4);
  padding_left_ = uint8_t(hold_[6]);
  held_ = 0;
  part_ = Part::content;
  if (uint8_t(hold_[0]) != kVersion) return false;
  bool about_request = type_ == kStdout || type_ == kStderr || type_ == kEndRequest;
  if (type_ == kEndRequest && content_left_ != hold_.size()) return false;
  return id == (about_request ? kRequestId : kManagementId);
}

bool RecordReader::take_content(std::string_view bytes, RecordSink& sink) {
  if (type_ == kStdout) return sink.on_stdout(bytes);
  if (type_ == kStderr) return sink.on_stderr(bytes);
  if (type_ == kEndRequest) {
    std::copy(bytes.begin(), bytes.end(), hold_.begin() + held_);
    held_ = uint8_t(held_ + bytes.size());
  }
  return true;
}

bool RecordReader::finish_record(RecordSink& sink) {
  part_ = Part::header;
  held_ = 0;
  if (type_ != kEndRequest) return true;
  part_ = Part::ended;
  auto status = uint8_t(hold_[4]);
  if (status > uint8_t(ProtocolStatus::unknown_role)) return false;
  sink.on_end(load_be32(hold_.data()), ProtocolStatus(status));
  return true;
}

}  // namespace holdfast::fcgi
