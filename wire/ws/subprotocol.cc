#include "wire/ws/subprotocol.h"

#include <algorithm>

#include "wire/http/chars.h"

namespace holdfast::ws {

std::vector<std::string> offered_subprotocols(const http::Request& request) {
  std::vector<std::string> offered;
  for (const http::Header& header : request.headers) {
    if (!http::equal_ignoring_case(header.name, "Sec-WebSocket-Protocol")) continue;
    for (std::string_view rest = header.value; !rest.empty();) {
      size_t comma = std::min(rest.find(','), rest.size());
      std::string_view name = http::trimmed(rest.substr(0, comma));
      if (http::is_token(name)) offered.emplace_back(name);
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
  }
  return offered;
}

std::string choose_subprotocol(const std::vector<std::string>& spoken,
                               const std::vector<std::string>& offered) {
  for (const std::string& name : spoken)
    if (std::find(offered.begin(), offered.end(), name) != offered.end()) return name;
  return {};
}

}  // namespace holdfast::ws
