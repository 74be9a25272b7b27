// worker/api/resp/info.h - INFO, as Redis clients look at it, and HF.STATS.
#pragma once

#include <string_view>

namespace holdfast::api {

// The version that we report to clients that look at it: the commands we have behave as that version's.
inline constexpr std::string_view kRedisVersion = "7.0.0";

}  // namespace holdfast::api
