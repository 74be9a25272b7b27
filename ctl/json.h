// ctl/json.h - one line of JSON, written member by member.
//
// Puts commas; the caller balances begin and end and gives every member of an object its key.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wire/json/writer.h"

namespace holdfast::ctl {

class Json {
 public:
  Json& begin_object() { return out_.begin_object(), *this; }
  Json& end_object() { return out_.end_object(), *this; }
  Json& begin_array() { return out_.begin_array(), *this; }
  Json& end_array() { return out_.end_array(), *this; }
  Json& key(std::string_view name) { return out_.key(name), *this; }
  Json& value(std::string_view text) { return out_.string(text), *this; }
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(uint64_t number) { return out_.number(number), *this; }
  Json& value(double number);  // three decimals
  Json& value(bool yes) { return out_.boolean(yes), *this; }
  Json& null() { return raw("null"); }
  // Text that is a JSON value already.
  Json& raw(std::string_view text) { return out_.raw(text), *this; }
  template <class T>
  Json& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }
  Json& member(std::string_view name, uint32_t v) { return key(name).value(uint64_t{v}); }
  Json& member(std::string_view name, int v) = delete;
  // `{...}` of one line, newline included.
  std::string line() const { return out_.text() + "\n"; }
  std::string text() const { return out_.text(); }

 private:
  json::Writer out_;
};

}  // namespace holdfast::ctl
