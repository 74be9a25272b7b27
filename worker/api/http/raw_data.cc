#include "worker/api/http/raw_data.h"

namespace holdfast::api {
namespace {

namespace ondemand = simdjson::ondemand;
using ondemand::json_type;

bool walk(ondemand::value value, int depth);

bool walk_object(ondemand::value value, int depth) {
  ondemand::object object;
  if (value.get_object().get(object) != simdjson::SUCCESS) return false;
  for (auto member : object) {
    ondemand::field field;
    std::string_view key;
    if (std::move(member).get(field) != simdjson::SUCCESS) return false;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS) return false;
    if (!walk(field.value(), depth + 1)) return false;
  }
  return true;
}

bool walk_array(ondemand::value value, int depth) {
  ondemand::array array;
  if (value.get_array().get(array) != simdjson::SUCCESS) return false;
  for (auto element : array) {
    ondemand::value item;
    if (element.get(item) != simdjson::SUCCESS || !walk(item, depth + 1)) return false;
  }
  return true;
}

// True: all of it is JSON.
bool walk(ondemand::value value, int depth) {
  json_type type{};
  if (depth > kMaxDepth || value.type().get(type) != simdjson::SUCCESS) return false;
  switch (type) {
    case json_type::object:
      return walk_object(value, depth);
    case json_type::array:
      return walk_array(value, depth);
    case json_type::string:
      return value.get_string().error() == simdjson::SUCCESS;
    case json_type::number:
      // The first knows every number that JSON has, but stays where it is.
      return value.get_number().error() == simdjson::SUCCESS &&
             value.get_double().error() == simdjson::SUCCESS;
    case json_type::boolean:
      return value.get_bool().error() == simdjson::SUCCESS;
    case json_type::null: {
      bool null = false;
      return value.is_null().get(null) == simdjson::SUCCESS && null;
    }
  }
  return false;
}

}  // namespace

std::optional<std::string_view> raw_text(ondemand::document& document, ondemand::value value) {
  const char* begin = value.raw_json_token().data();
  const char* next = nullptr;  // the token behind the value: there is one, an object's end at least
  if (!walk(value, 1)) return {};
  if (document.current_location().get(next) != simdjson::SUCCESS) return {};
  std::string_view text(begin, size_t(next - begin));
  return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
}

}  // namespace holdfast::api
