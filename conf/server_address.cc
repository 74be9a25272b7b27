#include "conf/server_address.h"

#include <charconv>
#include <string_view>

namespace holdfast::conf {
namespace {

bool is_host_name(std::string_view name) {
  constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
  if (name.empty() || name.size() > 253 || name.find_first_not_of(kLetters) != name.npos)
    return false;
  if (name.front() == '-' || name.front() == '.' || name.find("..") != name.npos) return false;
  // What ends in a number is an address that is none, or one of the forms that inet_aton(3) takes.
  std::string_view last = name.substr(name.rfind('.') + 1);
  return !last.empty() && last.find_first_not_of("0123456789") != last.npos;
}

bool is_port(std::string_view text) {
  unsigned port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && !text.starts_with('0') &&
         port >= 1 && port <= 65'535;
}

}  // namespace

std::optional<Address> parse_server_address(const std::string& text) {
  if (std::optional<Address> numeric = parse_address(text)) return numeric;
  size_t colon = text.rfind(':');
  if (colon == text.npos || text.starts_with("unix:")) return {};
  std::string_view view = text;
  if (!is_host_name(view.substr(0, colon)) || !is_port(view.substr(colon + 1))) return {};
  Address named;
  named.text = text;
  return named;
}

}  // namespace holdfast::conf
