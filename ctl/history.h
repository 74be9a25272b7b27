// ctl/history.h - `holdfastctl history CHANNEL`: the kept messages of a channel, page by page, and with --follow those that come.
//
// Messages that go while the list is read are missing in it, which it reports ("partial"); the exit code is 1 then.
//
// With --json it is one object with the whole list, or with --follow one object a line: a message as the API has it, or
// {"missed":true,"position":...} if messages before that position were not kept any more when they were asked for.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/http_client.h"
#include "ctl/options.h"

namespace holdfast::ctl {

// Reads on from the last message that it has had.
class HistoryPages {
 public:
  struct Page {
    simdjson::dom::object whole;
    std::vector<simdjson::dom::object> messages;
    bool missed = false;  // some after the last message before this page are gone
  };

  HistoryPages(Fetch fetch, std::string_view channel, std::string since, bool reverse);
  // At most `limit` messages; good until the next call. The message of an error answer is the Error's text.
  Result<Page> next(uint64_t limit);
  // There are others after those of the last page.
  bool more() const { return more_; }

 private:
  Fetch fetch_;
  std::string path_;
  std::string since_;
  bool reverse_;
  bool more_ = true;
  simdjson::dom::parser parser_;
};

// One message for people: position, time, data; of a binary one its size.
std::string message_line(simdjson::dom::object message);

// The list out of `fetch`, to stdout.
ExitCode print_history(const Options& options, const Fetch& fetch);
// The messages as they come; `again` waits before another look, false: the operator has had enough.
ExitCode follow_history(const Options& options, const Fetch& fetch,
                        const std::function<bool()>& again);

ExitCode run_history(const Options& options);

}  // namespace holdfast::ctl
