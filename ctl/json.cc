#include "ctl/json.h"

#include <fmt/format.h>

namespace holdfast::ctl {

Json& Json::value(double number) {
  return raw(fmt::format("{:.3f}", number));
}

}  // namespace holdfast::ctl
