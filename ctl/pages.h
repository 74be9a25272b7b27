// ctl/pages.h - a list of the API, page by page, with one page in memory.
//
// A page may be short or empty without being the last; only a missing cursor is the end. Reading
// stops at `limit` items: the last page is asked for with the rest of that.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ctl/http_client.h"

namespace holdfast::ctl {

struct ListQuery {
  std::string path;         // "/v1/channels"
  std::string_view items;   // key of the list in a page: "channels"
  uint64_t page_items = 1;  // at most, as the API has it
  std::string prefix;
  uint64_t limit = 0;  // 0: all
};

class Pages {
 public:
  struct Page {
    simdjson::dom::object whole;
    std::vector<simdjson::dom::object> items;
  };

  Pages(Fetch fetch, ListQuery query) : fetch_(std::move(fetch)), query_(std::move(query)) {}

  // The next page, good until the next call; empty after the last. The message of an error page is
  // the Error's text.
  Result<std::optional<Page>> next();
  // After the last page: the limit cut the list off.
  bool more() const { return more_; }
  // Some worker had no part in a page so far.
  bool incomplete() const { return incomplete_; }

 private:
  std::string path_of_next() const;
  Result<void> note_end(simdjson::dom::object page);

  Fetch fetch_;
  ListQuery query_;
  simdjson::dom::parser parser_;
  std::string cursor_;
  uint64_t seen_ = 0;  // items
  bool ended_ = false, more_ = false, incomplete_ = false;
};

}  // namespace holdfast::ctl
