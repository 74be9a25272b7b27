// wire/resp/reply_writer.h - answers and push messages as RESP2 or RESP3 bytes. Pure bytes.
//
// RESP2 has no maps, sets, pushes or texts: each of RESP3 becomes an array of as many elements,
// or a bulk string, as a Redis server does it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::resp {

class ReplyWriter {
 public:
  explicit ReplyWriter(int version) : version_(version) {}

  int version() const { return version_; }
  ReplyWriter& status(std::string_view text) { return line('+', text); }
  // `text` begins with its code ("ERR ..."). Line ends in it become spaces.
  ReplyWriter& error(std::string_view text) { return line('-', text); }
  ReplyWriter& integer(int64_t value) { return number(':', value); }
  ReplyWriter& bulk(std::string_view bytes);
  ReplyWriter& null();
  // Text for people.
  ReplyWriter& text(std::string_view text);

  // As many replies follow; of a map twice as many: key, value, key, value.
  ReplyWriter& array(size_t size) { return number('*', int64_t(size)); }
  ReplyWriter& map(size_t size);
  ReplyWriter& set(size_t size) { return number(version_ == 3 ? '~' : '*', int64_t(size)); }
  ReplyWriter& push(size_t size) { return number(version_ == 3 ? '>' : '*', int64_t(size)); }
  // Replies that have been written elsewhere, by a writer of the same version.
  ReplyWriter& raw(std::string_view replies) {
    out_ += replies;
    return *this;
  }

  std::string_view bytes() const { return out_; }

 private:
  ReplyWriter& line(char kind, std::string_view text);
  ReplyWriter& number(char kind, int64_t value);

  int version_;
  std::string out_;
};

// The origin of a message, as its subscriber sees it.
struct Place {
  std::string_view channel;
  std::string_view pattern = {};   // not "": it came because the channel's name fits
  bool shard = false;              // a channel of SSUBSCRIBE
  std::string_view position = {};  // not "": of HF.SUBSCRIBE, which is told the position
};
// The bytes that a subscriber gets before a message of so many bytes; after it comes CR LF.
std::string message_head(const Place& place, size_t message_bytes, int version);

}  // namespace holdfast::resp
