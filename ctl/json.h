// ctl/json.h - one line of JSON, written member by member.
//
// The writer puts commas; the caller balances begin and end and gives every member of an object its
// key. The output is always valid JSON: strings are escaped, and a string that is not UTF-8 has
// its stray bytes replaced.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::ctl {

class Json {
 public:
  Json& begin_object() { return open('{'); }
  Json& end_object() { return close('}'); }
  Json& begin_array() { return open('['); }
  Json& end_array() { return close(']'); }
  Json& key(std::string_view name);
  Json& value(std::string_view text);
  Json& value(const char* text) { return value(std::string_view(text)); }
  Json& value(uint64_t number);
  Json& value(double number);  // three decimals
  Json& value(bool yes);
  Json& null() { return raw("null"); }
  // Text that is a JSON value already.
  Json& raw(std::string_view text);
  template <class T>
  Json& member(std::string_view name, const T& v) {
    return key(name).value(v);
  }
  Json& member(std::string_view name, uint32_t v) { return key(name).value(uint64_t{v}); }
  Json& member(std::string_view name, int v) = delete;
  // `{...}` of one line, newline included.
  std::string line() const { return out_ + "\n"; }
  std::string text() const { return out_; }

 private:
  Json& open(char bracket);
  Json& close(char bracket);

  std::string out_;
  bool after_value_ = false;
};

}  // namespace holdfast::ctl
