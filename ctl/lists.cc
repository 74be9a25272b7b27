#include "ctl/lists.h"

#include <fmt/format.h>

#include <memory>

#include "ctl/instance.h"
#include "ctl/json_list.h"
#include "ctl/json_read.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "wire/http/request_writer.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t kNamesInAPage = 10'000, kMembersInAPage = 1'000;

bool lists_names(Verb verb) {
  return verb == Verb::users || verb == Verb::channels;
}

// What the pages become: a table or JSON.
class ListPrinter {
 public:
  virtual ~ListPrinter() = default;
  // The text of a page.
  virtual std::string page(const Pages::Page& page) = 0;
  // What comes behind the last, however it ended.
  virtual std::string end(const ListEnd& end) = 0;
};

class JsonPrinter : public ListPrinter {
 public:
  JsonPrinter(Verb verb, std::string_view key) : names_(lists_names(verb)), list_(key) {}

  std::string page(const Pages::Page& page) override {
    std::string out;
    if (first_) out = list_.open(names_ ? "" : head(page.whole));
    first_ = false;
    for (dom::object item : page.items) out += list_.item(simdjson::minify(item));
    return out;
  }
  std::string end(const ListEnd& end) override {
    if (first_ && end.error) return error_json(code_of(*end.error), end.error->text());
    return list_.close(end);
  }

 private:
  // What the first page says of the whole: all that is no part of the paging.
  static std::string head(dom::object page) {
    std::string out;
    for (auto [key, value] : page) {
      if (key == "sessions" || key == "cursor" || key == "partial" || key == "workers_failed")
        continue;
      out += fmt::format("{}\"{}\":{}", out.empty() ? "" : ",", key, simdjson::minify(value));
    }
    return out;
  }

  bool names_;
  JsonList list_;
  bool first_ = true;
};

class TextPrinter : public ListPrinter {
 public:
  explicit TextPrinter(Verb verb)
      : verb_(verb), style_{.colour = screen().style.colour}, table_(columns(verb)) {}

  std::string page(const Pages::Page& page) override {
    std::string out = first_ && !lists_names(verb_) ? head(page.whole) : "";
    first_ = false;
    for (dom::object item : page.items) add(item);
    // Nobody in it: the head says all there is.
    return table_.empty() && !lists_names(verb_) ? out : out + table_.page(style_);
  }
  std::string end(const ListEnd& end) override {
    return end.more ? "there are more, beyond the --limit\n" : "";
  }

 private:
  static std::vector<Column> columns(Verb verb) {
    if (verb == Verb::users) return {{"SESSIONS", Align::right}, {"USER"}};
    if (verb == Verb::channels)
      return {{"MEMBERS", Align::right},
              {"SUBSCRIBERS", Align::right},
              {"PUBLISHED", Align::right},
              {"CHANNEL"}};
    if (verb == Verb::user) return {{"SESSION"}};
    return {{"SESSION"}, {"USER"}};
  }

  void add(dom::object item) {
    std::string name = printable(text_of(item, "name"));
    std::string members = human_count(number_of(item, "members"));
    if (verb_ == Verb::users) return table_.row({members, name});
    if (verb_ == Verb::channels)
      return table_.row({members, human_count(number_of(item, "subscribers")),
                         human_count(number_of(item, "published")), name});
    std::string session = printable(text_of(item, "session"));
    if (verb_ == Verb::user) return table_.row({session});
    std::string user = printable(text_of(item, "user"));
    table_.row({session, user.empty() ? "-" : user});
  }

  std::string head(dom::object page) const {
    std::string members = human_count(number_of(page, "members"));
    if (verb_ == Verb::user)
      return name_value_lines({{"user", printable(text_of(page, "user"))},
                               {"online", flag_of(page, "online") ? "yes" : "no"},
                               {"sessions", members}}) +
             (number_of(page, "members") > 0 ? "\n" : "");
    return name_value_lines({{"channel", printable(text_of(page, "channel"))},
                             {"members", members},
                             {"subscribers", human_count(number_of(page, "subscribers"))}}) +
           (number_of(page, "members") > 0 ? "\n" : "");
  }

  Verb verb_;
  Style style_;
  Table table_;
  bool first_ = true;
};

std::unique_ptr<ListPrinter> printer_for(const Options& options, std::string_view key) {
  if (options.json) return std::make_unique<JsonPrinter>(options.verb, key);
  return std::make_unique<TextPrinter>(options.verb);
}

}  // namespace

ListQuery query_of(const Options& options) {
  switch (options.verb) {
    case Verb::users:
      return {"/v1/users", "users", kNamesInAPage, options.prefix, options.limit};
    case Verb::channels:
      return {"/v1/channels", "channels", kNamesInAPage, options.prefix, options.limit};
    case Verb::user:
      return {"/v1/users/" + http::percent_encode(options.users.front()), "sessions",
              kMembersInAPage, "", options.limit};
    default:
      return {"/v1/channels/" + http::percent_encode(options.channels.front()), "sessions",
              kMembersInAPage, "", options.limit};
  }
}

ExitCode print_list(const Options& options, const Fetch& fetch) {
  ListQuery query = query_of(options);
  std::unique_ptr<ListPrinter> printer = printer_for(options, query.items);
  Pages pages(fetch, std::move(query));
  ListEnd end;
  for (;;) {
    Result<std::optional<Pages::Page>> page = pages.next();
    if (!page) end.error = page.error();
    if (!page || !*page) break;
    if (print(printer->page(**page)) != kOk) return kFailure;
  }
  end.more = pages.more();
  end.incomplete = pages.incomplete();
  if (print(printer->end(end)) != kOk) return kFailure;
  if (!options.json && end.error) note(end.error->text());
  if (!options.json && end.incomplete) note("not every worker has answered in time");
  return end.error || end.incomplete ? kFailure : kOk;
}

ExitCode run_list(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  return print_list(options, fetch_from(api_socket(*segment)));
}

}  // namespace holdfast::ctl
