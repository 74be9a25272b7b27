#include "bench/load/http_head.h"

#include <strings.h>

namespace holdfast::bench {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

int status_of_head(std::string_view head) {
  if (head.size() < 12 || !head.starts_with("HTTP/1.1 ")) return 0;
  int status = 0;
  for (char c : head.substr(9, 3)) {
    if (c < '0' || c > '9') return 0;
    status = status * 10 + (c - '0');
  }
  return status;
}

std::string_view field_of_head(std::string_view head, std::string_view name) {
  size_t at = head.find("\r\n");
  while (at != std::string_view::npos) {
    size_t next = head.find("\r\n", at + 2);
    std::string_view line =
        next == std::string_view::npos ? head.substr(at + 2) : head.substr(at + 2, next - at - 2);
    at = next;
    size_t colon = line.find(':');
    if (colon != std::string_view::npos && same_name(line.substr(0, colon), name))
      return trimmed(line.substr(colon + 1));
  }
  return {};
}

}  // namespace holdfast::bench
