#include "conf/hints.h"

#include <fmt/format.h>

#include "conf/config.h"
#include "conf/units.h"

namespace holdfast::conf {
namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.size() <= 5 &&
         text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_address(const std::string& text) {
  return parse_address(text).has_value();
}

std::string meant(std::string_view text) {
  return fmt::format(", did you mean \"{}\"?", text);
}

// A port without an address: of which one is for whoever writes the file to say.
std::string of_port(std::string_view port, bool connects) {
  if (connects) return meant(fmt::format("127.0.0.1:{}", port));
  return fmt::format(
      ", did you mean \"0.0.0.0:{0}\" (every IPv4 address), \"[::]:{0}\" (IPv6, and IPv4 with it) "
      "or "
      "\"127.0.0.1:{0}\" (this machine)?",
      port);
}

std::string_view without_scheme(std::string_view text) {
  size_t end = text.find("://");
  return end == std::string_view::npos ? text : text.substr(end + 3);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r";
  size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

std::string address_hint(std::string_view text, bool connects) {
  if (is_number(text)) return of_port(text, connects);
  if ((text.starts_with(':') || text.starts_with("*:")) &&
      is_number(text.substr(text.find(':') + 1)))
    return of_port(text.substr(text.find(':') + 1), connects);
  if (text.starts_with('/')) return meant(fmt::format("unix:{}", text));
  std::string bare(without_scheme(text));
  if (bare.size() < text.size()) {
    bare = bare.substr(0, bare.find('/', bare.starts_with('/') ? 1 : 0));
    return is_address(bare) ? meant(bare) : ", an address without a scheme and a path is wanted";
  }
  if (text.starts_with("unix:")) return ", the path must be absolute and have at most 107 bytes";
  size_t colon = text.rfind(':');
  std::string_view host = text.substr(0, colon),
                   port = colon == std::string_view::npos ? "" : text.substr(colon + 1);
  if (is_number(port) && parse_ip(host) && host.find(':') != std::string_view::npos)
    return meant(fmt::format("[{}]:{}", host, port));
  if (parse_ip(text)) {
    bool v6 = text.find(':') != std::string_view::npos;
    return fmt::format(", the port is missing: {}",
                       v6 ? fmt::format("\"[{}]:PORT\"", text) : fmt::format("\"{}:PORT\"", text));
  }
  if (colon == std::string_view::npos) return ", the port is missing";
  if (!is_number(port)) return {};
  if (host == "localhost")
    return fmt::format(", did you mean \"127.0.0.1:{0}\" or \"[::1]:{0}\"?", port);
  bool a_name = host.find_first_of("0123456789[]:/ ") != 0 && !connects;
  return a_name ? ", names are not looked up here: the machine's own address in numbers" : "";
}

std::string quotes_hint(std::string_view line) {
  size_t equals = line.find('=');
  if (equals == std::string_view::npos ||
      line.substr(0, equals).find_first_of("\"'#[{") != std::string_view::npos)
    return {};
  std::string_view value = line.substr(equals + 1);
  value = trimmed(value.substr(0, value.find('#')));
  if (value.empty() || value.find_first_of("\"'[]{},") != std::string_view::npos) return {};
  std::string size = quantity_hint(value);
  return meant(size.empty() ? value : std::string_view(size)) + " (text stands in quotes)";
}

}  // namespace holdfast::conf
