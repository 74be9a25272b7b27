#include "wire/tcp/framer.h"

#include <algorithm>
#include <utility>

#include "base/bounded_append.h"
#include "base/check.h"

namespace holdfast::tcp {
namespace {

uint64_t load(std::string_view field, bool big_endian) {
  uint64_t value = 0;
  for (size_t i = 0; i < field.size(); ++i) {
    size_t at = big_endian ? i : field.size() - 1 - i;
    value = value << 8 | static_cast<unsigned char>(field[at]);
  }
  return value;
}

std::string store(uint64_t value, size_t size, bool big_endian) {
  std::string field(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    field[big_endian ? size - 1 - i : i] = char(value & 0xFF);
    value >>= 8;
  }
  return field;
}

// Where the first delimiter begins in `before` + `bytes`, if it begins in `before`; else npos. No
// delimiter lies whole in `before`, so only its last bytes matter.
size_t find_straddling(std::string_view before, std::string_view bytes,
                       std::string_view delimiter) {
  if (before.empty()) return std::string_view::npos;
  size_t reach = delimiter.size() - 1;
  std::string_view tail = before.substr(before.size() - std::min(reach, before.size()));
  std::string seam(tail);
  seam += bytes.substr(0, reach);
  size_t at = seam.find(delimiter);
  return at < tail.size() ? before.size() - tail.size() + at : std::string_view::npos;
}

// Where the first delimiter begins in `before` + `bytes`, or npos.
size_t find_end(std::string_view before, std::string_view bytes, std::string_view delimiter) {
  size_t at = find_straddling(before, bytes, delimiter);
  if (at != std::string_view::npos) return at;
  at = bytes.find(delimiter);
  return at == std::string_view::npos ? at : before.size() + at;
}

}  // namespace

bool Framer::restore(FramerRecord&& record) {
  if (record.error > uint8_t(FrameError::bad_length)) return false;
  partial_ = std::move(record.partial);
  error_ = FrameError(record.error);
  done_ = record.done;
  return true;
}

size_t Framer::feed(std::span<const char> bytes, MessageSink& sink) {
  std::string_view rest(bytes.data(), bytes.size());
  if (!done_ && framing_->kind == conf::FramingKind::length) feed_length(rest, sink);
  if (!done_ && framing_->kind == conf::FramingKind::delimiter) feed_delimiter(rest, sink);
  return done_ ? bytes.size() : bytes.size() - rest.size();  // I3
}

// Behind a message.
bool Framer::goes_on(std::string_view bytes, MessageSink& sink) const {
  return !bytes.empty() && !done_ && sink.wants_more();
}

// All of `bytes`: they are the begin of a message, or go on with one.
void Framer::keep(std::string_view& bytes, size_t most) {
  bounded_append(partial_, bytes, most);
  bytes = {};
}

void Framer::tell(std::string_view message, MessageSink& sink) {
  if (!sink.on_message(message)) fail(FrameError::none);
}

void Framer::fail(FrameError error) {
  error_ = error;
  done_ = true;
  release(partial_);
}

// ---- length field

// Needs the whole header of `frame`. False: failed.
bool Framer::judge(std::string_view frame, uint64_t* total) {
  uint64_t head = header_size();
  uint64_t length = load(frame.substr(framing_->offset, framing_->size), framing_->big_endian);
  if (framing_->includes_header && length < head) {
    fail(FrameError::bad_length);
    return false;
  }
  // Compared without adding to `length`, which may be anything up to 2^64 - 1.
  uint64_t rest = framing_->includes_header ? length - head : length;
  uint64_t told_head = head - stripped();
  if (told_head > max_message_ || rest > max_message_ - told_head) {
    fail(FrameError::too_long);
    return false;
  }
  *total = head + rest;
  return true;
}

// Completes partial_ from `bytes`. True: it was told, and there is no partial_ any more.
bool Framer::finish_partial(std::string_view& bytes, MessageSink& sink) {
  auto take = [&](uint64_t until) {
    auto n = size_t(std::min<uint64_t>(until - partial_.size(), bytes.size()));
    bounded_append(partial_, bytes.substr(0, n), size_t(until));
    bytes.remove_prefix(n);
    return partial_.size() == until;
  };
  if (partial_.size() < header_size() && !take(header_size())) return false;
  uint64_t total = 0;
  if (!judge(partial_, &total) || !take(total)) return false;
  std::string frame;
  frame.swap(partial_);
  tell(std::string_view(frame).substr(stripped()), sink);
  return true;
}

void Framer::feed_length(std::string_view& bytes, MessageSink& sink) {
  bool more = !bytes.empty();
  if (!partial_.empty()) more = finish_partial(bytes, sink) && goes_on(bytes, sink);
  while (more) {
    uint64_t total = header_size();
    if (bytes.size() >= total && !judge(bytes, &total)) return;  // I2
    if (bytes.size() < total) return keep(bytes, size_t(total));
    std::string_view frame = bytes.substr(0, size_t(total));
    bytes.remove_prefix(size_t(total));
    tell(frame.substr(stripped()), sink);
    more = goes_on(bytes, sink);
  }
}

// ---- delimiter

// Takes the message that ends at `end` of partial_ + `bytes`, and its delimiter, off `bytes`.
void Framer::take_delimited(std::string_view& bytes, size_t end, MessageSink& sink) {
  std::string_view here = bytes;
  size_t before = partial_.size();
  bytes.remove_prefix(end + framing_->delimiter.size() - before);
  if (before == 0) return tell(here.substr(0, end), sink);
  std::string message;
  message.swap(partial_);
  if (end > before) bounded_append(message, here.substr(0, end - before), end);
  message.resize(end);  // shorter where partial_ held the beginning of the delimiter
  tell(message, sink);
}

void Framer::feed_delimiter(std::string_view& bytes, MessageSink& sink) {
  std::string_view delimiter = framing_->delimiter;
  HF_CHECK(!delimiter.empty());
  for (bool more = !bytes.empty(); more; more = goes_on(bytes, sink)) {
    size_t end = find_end(partial_, bytes, delimiter);
    if (end == bytes.npos) {
      size_t most = size_t(max_message_) + delimiter.size() - 1;
      if (partial_.size() + bytes.size() > most) return fail(FrameError::too_long);  // I2
      return keep(bytes, most);
    }
    if (end > max_message_) return fail(FrameError::too_long);
    take_delimited(bytes, end, sink);
  }
}

// ---- out

std::string encode(const conf::Framing& framing, std::string_view message) {
  if (framing.kind == conf::FramingKind::delimiter) return std::string(message) + framing.delimiter;
  if (!framing.strip) return std::string(message);
  uint64_t length = message.size();
  if (framing.includes_header) length += framing.offset + framing.size;
  if (framing.size < 8 && length >> (8 * framing.size) != 0) return {};
  std::string out(framing.offset, '\0');  // always 0 with strip; conf/ sees to it
  out += store(length, framing.size, framing.big_endian);
  out += message;
  return out;
}

}  // namespace holdfast::tcp
