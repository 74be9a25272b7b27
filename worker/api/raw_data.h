// worker/api/raw_data.h - the text of "data" values as it stands in a request's body.
//
// simdjson's DOM has no positions, its on-demand parser has. The body is walked a second time, and
// only for requests whose data is not a string.
#pragma once

#include <simdjson.h>

#include <string_view>
#include <vector>

namespace holdfast::api {

class RawData {
 public:
  // `body` has been parsed without error and outlives this.
  explicit RawData(const simdjson::padded_string& body) : body_(body) {}

  // The value of "data" at the top level; "" if there is none.
  std::string_view of_call();
  // The value of "data" in commands[index]; "" if there is none.
  std::string_view of_item(size_t index);

 private:
  void walk_batch();

  const simdjson::padded_string& body_;
  bool walked_ = false;
  std::vector<std::string_view> items_;
};

}  // namespace holdfast::api
