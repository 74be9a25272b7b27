#include "wire/json/writer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>

namespace holdfast::json {
namespace {

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\b':
      out += "\\b";
      break;
    case '\f':
      out += "\\f";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

bool needs_escape(char c) {
  return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

}  // namespace

void append_string(std::string& out, std::string_view text) {
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  out += '"';
  for (char c : text) {
    if (needs_escape(c))
      append_escaped(out, c);
    else if (!utf8 && static_cast<unsigned char>(c) >= 0x80)
      out += "\\ufffd";
    else
      out += c;
  }
  out += '"';
}

void Writer::separate() {
  if (after_value_) out_ += ',';
  after_value_ = true;
}

Writer& Writer::open(char bracket) {
  separate();
  out_ += bracket;
  after_value_ = false;
  return *this;
}

Writer& Writer::close(char bracket) {
  out_ += bracket;
  after_value_ = true;
  return *this;
}

Writer& Writer::key(std::string_view name) {
  separate();
  append_string(out_, name);
  out_ += ':';
  after_value_ = false;
  return *this;
}

Writer& Writer::string(std::string_view text) {
  separate();
  append_string(out_, text);
  return *this;
}

Writer& Writer::number(uint64_t value) {
  separate();
  fmt::format_to(std::back_inserter(out_), "{}", value);
  return *this;
}

Writer& Writer::boolean(bool value) {
  separate();
  out_ += value ? "true" : "false";
  return *this;
}

Writer& Writer::raw(std::string_view text) {
  separate();
  out_ += text;
  return *this;
}

Writer& Writer::members_of(std::string_view object) {
  if (object.size() <= 2) return *this;  // "{}"
  separate();
  out_ += object.substr(1, object.size() - 2);
  return *this;
}

}  // namespace holdfast::json
