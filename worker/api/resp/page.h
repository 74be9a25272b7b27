// worker/api/resp/page.h - the options of commands that answer a page of a list:
// [CURSOR c] [COUNT n] [PREFIX p], in any order, each at most once.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/api/http/page_query.h"
#include "worker/api/resp/call.h"

namespace holdfast::api {

// "0" in place of a cursor: from the beginning, and after the last page. As in Redis's SCAN.
inline constexpr std::string_view kNoCursor = "0";

// `name`: the channel or user whose members are asked for; "" if the list is of the prefix. The error
// says what is allowed.
std::variant<PageQuery, std::string> parse_page_options(const PageRules& rules,
                                                        resp::Arguments options,
                                                        std::string_view name);

}  // namespace holdfast::api
