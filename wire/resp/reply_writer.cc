#include "wire/resp/reply_writer.h"

#include <charconv>

namespace holdfast::resp {

ReplyWriter& ReplyWriter::line(char kind, std::string_view text) {
  out_ += kind;
  for (char c : text) out_ += c == '\r' || c == '\n' ? ' ' : c;
  out_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::number(char kind, int64_t value) {
  char digits[24];
  char* end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out_ += kind;
  out_.append(digits, end);
  out_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::bulk(std::string_view bytes) {
  number('$', int64_t(bytes.size()));
  out_ += bytes;
  out_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::null() {
  out_ += version_ == 3 ? "_\r\n" : "$-1\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::text(std::string_view text) {
  if (version_ != 3) return bulk(text);
  constexpr std::string_view kFormat = "txt:";
  number('=', int64_t(kFormat.size() + text.size()));
  out_ += kFormat;
  out_ += text;
  out_ += "\r\n";
  return *this;
}

ReplyWriter& ReplyWriter::map(size_t size) {
  return version_ == 3 ? number('%', int64_t(size)) : array(2 * size);
}

std::string message_head(const Place& place, size_t message_bytes, int version) {
  ReplyWriter head(version);
  if (!place.position.empty())
    head.push(4).bulk("hf.message");
  else if (place.pattern.empty())
    head.push(3).bulk(place.shard ? "smessage" : "message");
  else
    head.push(4).bulk("pmessage").bulk(place.pattern);
  head.bulk(place.channel);
  if (!place.position.empty()) head.bulk(place.position);
  std::string bytes(head.bytes());
  bytes += '$';
  bytes += std::to_string(message_bytes);
  bytes += "\r\n";
  return bytes;
}

}  // namespace holdfast::resp
