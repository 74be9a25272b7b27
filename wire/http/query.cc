// Request's accessors, and query strings.
#include "wire/http/chars.h"
#include "wire/http/request.h"

namespace holdfast::http {

std::string_view Request::path() const {
  std::string_view text = std::string_view(target).substr(0, target.find('?'));
  if (text.starts_with('/')) return text;
  size_t host = text.find("://");
  if (host == text.npos) return text;  // "*", or the host:port of CONNECT
  size_t slash = text.find('/', host + 3);
  return slash == text.npos ? std::string_view("/") : text.substr(slash);
}

std::string_view Request::query() const {
  size_t mark = target.find('?');
  return mark == target.npos ? std::string_view() : std::string_view(target).substr(mark + 1);
}

std::optional<std::string_view> Request::header(std::string_view name) const {
  for (const Header& header : headers)
    if (equal_ignoring_case(header.name, name)) return header.value;
  return std::nullopt;
}

bool Request::header_has_token(std::string_view name, std::string_view token) const {
  for (const Header& header : headers) {
    if (!equal_ignoring_case(header.name, name)) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      if (equal_ignoring_case(trimmed(rest.substr(0, comma)), token)) return true;
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return false;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      if (text.size() - i < 3) return std::nullopt;
      int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += char(high << 4 | low);
      i += 2;
    }
  }
  return out;
}

std::optional<std::vector<std::string>> query_values(std::string_view query,
                                                     std::string_view name) {
  std::vector<std::string> values;
  while (!query.empty()) {
    size_t end = query.find('&');
    std::string_view pair = query.substr(0, end);
    query = end == query.npos ? std::string_view() : query.substr(end + 1);
    size_t equals = pair.find('=');
    std::optional<std::string> key = percent_decode(pair.substr(0, equals));
    if (pair.empty() || !key || *key != name) continue;
    std::string_view raw = equals == pair.npos ? std::string_view() : pair.substr(equals + 1);
    std::optional<std::string> value = percent_decode(raw);
    if (!value) return std::nullopt;
    values.push_back(*std::move(value));
  }
  return values;
}

}  // namespace holdfast::http
