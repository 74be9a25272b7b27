#include "ctl/json.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>

namespace holdfast::ctl {
namespace {

void append_string(std::string& out, std::string_view text) {
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  out += '"';
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (byte < 0x20)
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    else if (byte >= 0x80 && !utf8)
      out += "\\ufffd";
    else
      out += c;
  }
  out += '"';
}

}  // namespace

Json& Json::raw(std::string_view text) {
  if (after_value_) out_ += ',';
  out_ += text;
  after_value_ = true;
  return *this;
}

Json& Json::open(char bracket) {
  raw({&bracket, 1});
  after_value_ = false;
  return *this;
}

Json& Json::close(char bracket) {
  out_ += bracket;
  after_value_ = true;
  return *this;
}

Json& Json::key(std::string_view name) {
  value(name);
  out_ += ':';
  after_value_ = false;
  return *this;
}

Json& Json::value(std::string_view text) {
  std::string quoted;
  append_string(quoted, text);
  return raw(quoted);
}

Json& Json::value(uint64_t number) {
  return raw(fmt::format("{}", number));
}
Json& Json::value(double number) {
  return raw(fmt::format("{:.3f}", number));
}
Json& Json::value(bool yes) {
  return raw(yes ? "true" : "false");
}

}  // namespace holdfast::ctl
