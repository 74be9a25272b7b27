#include "worker/backends/app_request.h"

#include <strings.h>

namespace holdfast {

std::string_view AppAnswer::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key.size() == name.size() && strncasecmp(key.data(), name.data(), name.size()) == 0)
      return value;
  }
  return {};
}

}  // namespace holdfast
