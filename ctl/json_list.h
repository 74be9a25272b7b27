// ctl/json_list.h - one object with one long list in it, written piece by piece on one line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::ctl {

// How a list ended.
struct ListEnd {
  bool more = false;        // the limit cut it off
  bool incomplete = false;  // a worker had no part in it
  std::optional<Error> error;
};

// open(), any number of item(), close(): the pieces, one after the other, are one line of JSON.
class JsonList {
 public:
  explicit JsonList(std::string_view key) : key_(key) {}
  // `head`: members that stand before the list, `"a":1,"b":2`, or "".
  std::string open(std::string_view head = {});
  std::string item(std::string_view json);
  std::string close(const ListEnd& end);

 private:
  std::string key_;
  bool opened_ = false;
  bool after_item_ = false;
};

}  // namespace holdfast::ctl
