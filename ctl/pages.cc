#include "ctl/pages.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/json_read.h"
#include "wire/http/request_writer.h"

namespace holdfast::ctl {

namespace dom = simdjson::dom;

std::string Pages::path_of_next() const {
  uint64_t items = query_.page_items;
  if (query_.limit != 0) items = std::min(items, query_.limit - seen_);
  std::string path = fmt::format("{}?limit={}", query_.path, items);
  if (!query_.prefix.empty()) path += "&prefix=" + http::percent_encode(query_.prefix);
  if (!cursor_.empty()) path += "&cursor=" + http::percent_encode(cursor_);
  return path;
}

Result<void> Pages::note_end(dom::object page) {
  if (flag_of(page, "partial") || number_of(page, "workers_failed") > 0) incomplete_ = true;
  std::string cursor(text_of(page, "cursor"));
  bool enough = query_.limit != 0 && seen_ >= query_.limit;
  ended_ = cursor.empty() || enough;
  more_ = enough && !cursor.empty();
  if (!ended_ && cursor == cursor_)
    return Error{Errc::bad_input, 0, "the list does not go on: the same cursor came twice"};
  cursor_ = std::move(cursor);
  return {};
}

Result<std::optional<Pages::Page>> Pages::next() {
  if (ended_) return std::optional<Page>{};
  Result<HttpAnswer> answer = fetch_(path_of_next());
  if (!answer) return answer.error();
  Page page;
  if (parser_.parse(answer->body).get(page.whole) != simdjson::SUCCESS)
    return Error{Errc::bad_input, 0,
                 fmt::format("status {} without the JSON it should have", answer->status)};
  if (answer->status != 200)
    return Error{Errc::bad_input, 0,
                 fmt::format("refused with status {}: {}", answer->status, error_of(page.whole))};
  page.items = objects_of(page.whole, query_.items);
  seen_ += page.items.size();
  if (Result<void> going_on = note_end(page.whole); !going_on) return going_on.error();
  return std::optional(std::move(page));
}

}  // namespace holdfast::ctl
