#include "wire/resp/line_words.h"

namespace holdfast::resp {
namespace {

bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
// Of all white space, only these end a word that has begun.
bool ends_word(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char escaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

}  // namespace

void LineWords::skip_space() {
  while (!rest_.empty() && is_space(rest_[0])) rest_.remove_prefix(1);
}

bool LineWords::take(std::string* out) {
  while (!rest_.empty() && !ends_word(rest_[0])) {
    char c = rest_[0];
    rest_.remove_prefix(1);
    if (c != '"' && c != '\'') {
      *out += c;
      continue;
    }
    if (!take_quoted(c, out) || (!rest_.empty() && !is_space(rest_[0]))) return false;
    break;
  }
  skip_space();
  return true;
}

bool LineWords::take_quoted(char quote, std::string* out) {
  while (!rest_.empty()) {
    char c = rest_[0];
    rest_.remove_prefix(1);
    if (c == quote) return true;
    bool escape = c == '\\' && !rest_.empty() && (quote == '"' || rest_[0] == '\'');
    if (escape)
      take_escape(out);
    else
      *out += c;
  }
  return false;
}

// What stands behind a backslash.
void LineWords::take_escape(std::string* out) {
  if (rest_.size() >= 3 && rest_[0] == 'x') {
    int high = hex_value(rest_[1]), low = hex_value(rest_[2]);
    if (high >= 0 && low >= 0) {
      *out += char(high * 16 + low);
      rest_.remove_prefix(3);
      return;
    }
  }
  *out += escaped(rest_[0]);
  rest_.remove_prefix(1);
}

}  // namespace holdfast::resp
