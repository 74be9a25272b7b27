// ctl/json_read.h - members of a JSON object that another process wrote: a member that is missing
// or of another type reads as nothing, so that answers of newer and older servers are no error.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::ctl {

std::string_view text_of(simdjson::dom::object object, std::string_view key);
uint64_t number_of(simdjson::dom::object object, std::string_view key);
bool flag_of(simdjson::dom::object object, std::string_view key);
bool has(simdjson::dom::object object, std::string_view key);
// The objects of a list; anything else in it is left out.
std::vector<simdjson::dom::object> objects_of(simdjson::dom::object object, std::string_view key);
// The strings of a list, likewise.
std::vector<std::string> strings_of(simdjson::dom::object object, std::string_view key);
// An "error" with its code and message, for people: "too_large: data has ..."; "" without one.
std::string error_of(simdjson::dom::object object);

}  // namespace holdfast::ctl
