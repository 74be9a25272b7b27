// wire/json/writer.h - JSON text (RFC 8259), made piece by piece.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast::json {

// Appends `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, so that
// what we send is always JSON.
void append_string(std::string& out, std::string_view text);

// Writes one JSON value, commas included. The caller balances begin and end and puts a key before
// every member of an object.
class Writer {
 public:
  Writer& begin_object() { return open('{'); }
  Writer& end_object() { return close('}'); }
  Writer& begin_array() { return open('['); }
  Writer& end_array() { return close(']'); }
  Writer& key(std::string_view name);
  Writer& string(std::string_view text);
  Writer& number(uint64_t value);
  Writer& boolean(bool value);
  // Text that is a JSON value already.
  Writer& raw(std::string_view text);
  // The members of `object`, which is the text of a JSON object, into the open one.
  Writer& members_of(std::string_view object);
  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  Writer& open(char bracket);
  Writer& close(char bracket);
  void separate();

  std::string out_;
  bool after_value_ = false;
};

}  // namespace holdfast::json
