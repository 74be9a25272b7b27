#include "worker/api/raw_data.h"

namespace holdfast::api {
namespace {

namespace ondemand = simdjson::ondemand;

// simdjson's raw text may reach up to the next token; a JSON value never ends in white space.
std::string_view without_trailing_space(std::string_view text) {
  size_t last = text.find_last_not_of(" \t\r\n");
  return text.substr(0, last == std::string_view::npos ? 0 : last + 1);
}

std::string_view raw_text(ondemand::value value) {
  ondemand::json_type type{};
  if (value.type().get(type) != simdjson::SUCCESS) return {};
  std::string_view text;
  simdjson::error_code error = simdjson::SUCCESS;
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    error = value.get_object().get(object);
    if (error == simdjson::SUCCESS) error = object.raw_json().get(text);
  } else if (type == ondemand::json_type::array) {
    ondemand::array array;
    error = value.get_array().get(array);
    if (error == simdjson::SUCCESS) error = array.raw_json().get(text);
  } else {
    text = value.raw_json_token();
  }
  return error == simdjson::SUCCESS ? without_trailing_space(text) : std::string_view{};
}

// Calls f(value) for the member called `name`, however its key is escaped.
template <class F>
void with_member(ondemand::object object, std::string_view name, F&& f) {
  for (auto member : object) {
    ondemand::field field;
    std::string_view key;
    if (std::move(member).get(field) != simdjson::SUCCESS) return;
    if (field.unescaped_key().get(key) != simdjson::SUCCESS) return;
    if (key == name) f(field.value());
  }
}

std::string_view data_of(ondemand::object object) {
  std::string_view text;
  with_member(object, "data", [&](ondemand::value value) { text = raw_text(value); });
  return text;
}

std::vector<std::string_view> data_of_each(ondemand::value commands) {
  std::vector<std::string_view> found;
  ondemand::array array;
  if (commands.get_array().get(array) != simdjson::SUCCESS) return found;
  for (auto element : array) {
    ondemand::object object;
    bool is_object = element.get_object().get(object) == simdjson::SUCCESS;
    found.push_back(is_object ? data_of(object) : std::string_view{});
  }
  return found;
}

}  // namespace

std::string_view RawData::of_call() {
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(body_).get(document) != simdjson::SUCCESS) return {};
  if (document.get_object().get(object) != simdjson::SUCCESS) return {};
  return data_of(object);
}

std::string_view RawData::of_item(size_t index) {
  if (!walked_) walk_batch();
  return index < items_.size() ? items_[index] : std::string_view{};
}

void RawData::walk_batch() {
  walked_ = true;
  ondemand::parser parser;
  ondemand::document document;
  ondemand::object object;
  if (parser.iterate(body_).get(document) != simdjson::SUCCESS) return;
  if (document.get_object().get(object) != simdjson::SUCCESS) return;
  with_member(object, "commands",
              [&](ondemand::value commands) { items_ = data_of_each(commands); });
}

}  // namespace holdfast::api
