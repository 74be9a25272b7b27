#include "ctl/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "ctl/ending.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/json_list.h"
#include "ctl/json_read.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "wire/http/request_writer.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t kMessagesInAPage = 1'000, kBetweenLooksMs = 1'000;

// Bytes of what base64 text with padding stands for.
size_t decoded_size(std::string_view base64) {
  if (base64.size() < 4) return 0;
  return base64.size() / 4 * 3 - size_t(std::count(base64.end() - 2, base64.end(), '='));
}

dom::object stream_of(dom::object page) {
  dom::object stream;
  if (page.at_key("history").get(stream) != simdjson::SUCCESS)
    return {};  // all of it reads as nothing
  return stream;
}

std::string head_json(dom::object page) {
  std::string out;
  for (auto [key, value] : page) {
    if (key == "messages" || key == "more") continue;
    out += fmt::format("{}\"{}\":{}", out.empty() ? "" : ",", key, simdjson::minify(value));
  }
  return out;
}

std::string head_text(dom::object page, std::string_view position) {
  dom::object stream = stream_of(page);
  std::string messages = fmt::format("{}, {}", human_count(number_of(stream, "messages")),
                                     human_bytes(number_of(stream, "bytes")));
  return name_value_lines({{"channel", printable(text_of(page, "channel"))},
                           {"last", position.empty() ? "-" : printable(position)},
                           {"kept", messages},
                           {"early", human_count(number_of(stream, "early"))}}) +
         (number_of(stream, "messages") > 0 ? "\n" : "");
}

std::string missed_json(std::string_view position) {
  Json json;
  json.begin_object().member("missed", true).key("position");
  if (position.empty())
    json.null();
  else
    json.value(position);
  return json.end_object().line();
}

constexpr std::string_view kMissed = "messages are missing here: they are not kept any more";

// What pages become: lines or one object.
class Printer {
 public:
  explicit Printer(bool json) : json_(json), list_("messages") {}

  ExitCode page(const HistoryPages::Page& page) {
    if (page.missed && !json_) note(kMissed);
    std::string out;
    if (std::exchange(first_, false))
      out = json_ ? list_.open(head_json(page.whole))
                  : head_text(page.whole, text_of(stream_of(page.whole), "position"));
    for (dom::object message : page.messages)
      out += json_ ? list_.item(simdjson::minify(message)) : message_line(message);
    return print(out);
  }
  bool begun() const { return !first_; }
  ExitCode end(const ListEnd& end) {
    if (json_ && first_ && end.error)
      return print(error_json(code_of(*end.error), end.error->text()));
    if (json_) return print(list_.close(end));
    if (end.error) note(end.error->text());
    return end.more ? print("there are more, beyond the --limit\n") : kOk;
  }

 private:
  bool json_;
  bool first_ = true;
  JsonList list_;
};

ExitCode print_come(const Options& options, const HistoryPages::Page& page) {
  std::string out;
  if (page.missed && options.json)
    out = missed_json(text_of(stream_of(page.whole), "position"));
  else if (page.missed)
    note(kMissed);
  for (dom::object message : page.messages)
    out += options.json ? std::string(simdjson::minify(message)) + "\n" : message_line(message);
  return out.empty() ? kOk : print(out);
}

}  // namespace

HistoryPages::HistoryPages(Fetch fetch, std::string_view channel, std::string since, bool reverse)
    : fetch_(std::move(fetch)),
      path_("/v1/channels/" + http::percent_encode(channel) + "/history"),
      since_(std::move(since)),
      reverse_(reverse) {}

Result<HistoryPages::Page> HistoryPages::next(uint64_t limit) {
  std::string path = fmt::format("{}?limit={}", path_, limit);
  if (reverse_) path += "&reverse=true";
  if (!since_.empty()) path += "&since=" + http::percent_encode(since_);
  Result<HttpAnswer> answer = fetch_(path);
  if (!answer) return answer.error();
  Page page;
  if (parser_.parse(answer->body).get(page.whole) != simdjson::SUCCESS)
    return Error{Errc::bad_input, 0,
                 fmt::format("status {} without the JSON it should have", answer->status)};
  if (answer->status != 200)
    return Error{Errc::bad_input, 0,
                 fmt::format("refused with status {}: {}", answer->status, error_of(page.whole))};
  page.messages = objects_of(page.whole, "messages");
  page.missed = !reverse_ && !since_.empty() && !flag_of(page.whole, "complete");
  more_ = flag_of(page.whole, "more");
  std::string_view last = page.messages.empty() ? text_of(stream_of(page.whole), "position")
                                                : text_of(page.messages.back(), "position");
  if (!last.empty()) since_ = last;
  return page;
}

std::string message_line(dom::object message) {
  std::string data =
      has(message, "data_base64")
          ? fmt::format("({}, binary)", human_bytes(decoded_size(text_of(message, "data_base64"))))
          : printable(text_of(message, "data"));
  return fmt::format("{}  {}  {}\n", printable(text_of(message, "position")),
                     human_wall_ms(number_of(message, "time_ms")), data);
}

ExitCode print_history(const Options& options, const Fetch& fetch) {
  HistoryPages pages(fetch, options.channels.front(), options.since, options.reverse);
  Printer printer(options.json);
  ListEnd end;
  uint64_t seen = 0;
  while (pages.more() && (options.limit == 0 || seen < options.limit)) {
    uint64_t limit =
        options.limit == 0 ? kMessagesInAPage : std::min(kMessagesInAPage, options.limit - seen);
    Result<HistoryPages::Page> page = pages.next(limit);
    if (!page) {
      end.error = page.error();
      break;
    }
    if (page->missed && printer.begun()) end.incomplete = true;
    seen += page->messages.size();
    if (printer.page(*page) != kOk) return kFailure;
  }
  end.more = !end.error && pages.more();
  if (printer.end(end) != kOk) return kFailure;
  return end.error || end.incomplete ? kFailure : kOk;
}

ExitCode follow_history(const Options& options, const Fetch& fetch,
                        const std::function<bool()>& again) {
  HistoryPages pages(fetch, options.channels.front(), options.since, false);
  do {
    do {
      Result<HistoryPages::Page> page = pages.next(kMessagesInAPage);
      if (!page) return fail(options, page.error());
      if (print_come(options, *page) != kOk) return kFailure;
    } while (pages.more());
  } while (again());
  return kOk;
}

ExitCode run_history(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  Fetch fetch = fetch_from(api_socket(*segment));
  if (!options.follow) return print_history(options, fetch);
  Ending ending;
  return follow_history(options, fetch,
                        [&] { return ending.wait(-1, kBetweenLooksMs) == Ending::Woke::timeout; });
}

}  // namespace holdfast::ctl
