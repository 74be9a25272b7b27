#include "ctl/json_read.h"

#include <fmt/format.h>

#include "ctl/units.h"

namespace holdfast::ctl {

namespace dom = simdjson::dom;

std::string_view text_of(dom::object object, std::string_view key) {
  std::string_view text;
  return object.at_key(key).get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

uint64_t number_of(dom::object object, std::string_view key) {
  uint64_t number = 0;
  return object.at_key(key).get(number) == simdjson::SUCCESS ? number : 0;
}

bool flag_of(dom::object object, std::string_view key) {
  bool flag = false;
  return object.at_key(key).get(flag) == simdjson::SUCCESS && flag;
}

bool has(dom::object object, std::string_view key) {
  return object.at_key(key).error() == simdjson::SUCCESS;
}

std::vector<dom::object> objects_of(dom::object object, std::string_view key) {
  std::vector<dom::object> objects;
  dom::array array;
  if (object.at_key(key).get(array) != simdjson::SUCCESS) return objects;
  for (dom::element item : array) {
    dom::object one;
    if (item.get(one) == simdjson::SUCCESS) objects.push_back(one);
  }
  return objects;
}

std::vector<std::string> strings_of(dom::object object, std::string_view key) {
  std::vector<std::string> strings;
  dom::array array;
  if (object.at_key(key).get(array) != simdjson::SUCCESS) return strings;
  for (dom::element item : array) {
    std::string_view text;
    if (item.get(text) == simdjson::SUCCESS) strings.emplace_back(text);
  }
  return strings;
}

std::string error_of(dom::object object) {
  dom::object error;
  if (object.at_key("error").get(error) != simdjson::SUCCESS) return "";
  return fmt::format("{}: {}", printable(text_of(error, "code")),
                     printable(text_of(error, "message")));
}

}  // namespace holdfast::ctl
