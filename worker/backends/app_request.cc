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

std::string_view outcome_text(AppOutcome outcome) {
  switch (outcome) {
    case AppOutcome::answered:
      return "answered";
    case AppOutcome::overloaded:
      return "overloaded";
    case AppOutcome::no_server:
      return "no server";
    case AppOutcome::timed_out:
      return "timed out";
    case AppOutcome::lost:
      return "connection lost";
    case AppOutcome::too_large:
      return "answer too large";
    case AppOutcome::error_page:
      return "not the application's answer";
    case AppOutcome::encoded:
      return "answer encoded";
  }
  return "unknown";
}

}  // namespace holdfast
