// worker/api/http/raw_data.h - the text of a JSON value as it stands in a request's body.
//
// simdjson's on-demand parser passes over values that nobody asks for, without checking that they
// are JSON. So the value is walked through once, every string and number of it, and its text lies
// between the begin and the end of the walk. A depth of kMaxDepth is the parser's own limit elsewhere.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string_view>

namespace holdfast::api {

inline constexpr int kMaxDepth = 1'000;

// `value` has not been read yet, and is used up; the text points into the body. Empty if it is no
// JSON, or nested too deeply.
std::optional<std::string_view> raw_text(simdjson::ondemand::document& document,
                                         simdjson::ondemand::value value);

}  // namespace holdfast::api
