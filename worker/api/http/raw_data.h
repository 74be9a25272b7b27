// worker/api/http/raw_data.h - the text of a JSON value as it stands in a request's body.
//
// simdjson's on-demand parser passes over what nobody asks for, without looking whether it is JSON.
// So the value is walked through once, every string and number of it, and its text is where the walk
// began and ended. A depth of kMaxDepth is the parser's own limit elsewhere.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

namespace holdfast::api {

inline constexpr int kMaxDepth = 1'000;

// `value` has not been read yet, and is used up; the text points into the body. Empty where it is no
// JSON, or nested too deeply.
std::optional<std::string_view> raw_text(simdjson::ondemand::document& document,
                                         simdjson::ondemand::value value);

}  // namespace holdfast::api
