// worker/api/http/page_query.h - the parameters of a request for a list: limit, cursor, prefix.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/api/cursor.h"
#include "worker/api/http/outcome.h"

namespace holdfast::api {

// The parameters that one route allows.
struct PageRules {
  Listing::Kind kind;
  uint32_t min_limit;
  uint32_t max_limit;
  uint32_t default_limit;
  size_t max_prefix_bytes;  // 0: the route has no prefix
};

struct PageQuery {
  std::string prefix;
  uint32_t limit = 0;
  std::optional<Cursor> after;
};

// `query`: the part after the '?'. `name`: the channel or user whose members are asked for; "" if
// the list is of the prefix. Each parameter at most once, nothing else; the error says what is allowed.
std::variant<PageQuery, ApiError> parse_page_query(const PageRules& rules, std::string_view query,
                                                   std::string_view name);

}  // namespace holdfast::api
