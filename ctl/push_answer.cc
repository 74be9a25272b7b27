#include "ctl/push_answer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "ctl/instance.h"
#include "ctl/table.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;

std::string_view text_of(dom::object object, std::string_view key) {
  std::string_view text;
  return object.at_key(key).get(text) == simdjson::SUCCESS ? text : std::string_view{};
}

uint64_t number_of(dom::object object, std::string_view key) {
  uint64_t number = 0;
  return object.at_key(key).get(number) == simdjson::SUCCESS ? number : 0;
}

std::vector<std::string> strings_of(dom::object object, std::string_view key) {
  std::vector<std::string> strings;
  dom::array array;
  if (object.at_key(key).get(array) != simdjson::SUCCESS) return strings;
  for (dom::element item : array) {
    std::string_view text;
    if (item.get(text) == simdjson::SUCCESS) strings.push_back(printable(text));
  }
  return strings;
}

bool flag_of(dom::object object, std::string_view key) {
  bool flag = false;
  return object.at_key(key).get(flag) == simdjson::SUCCESS && flag;
}

void add(std::string& list, const std::string& item) {
  if (!list.empty()) list += "; ";
  list += item;
}

// What of the order was not carried out, "" if nothing.
std::string shortfall(dom::object answer) {
  std::string trouble;
  for (const std::string& id : strings_of(answer, "unknown")) add(trouble, "no session " + id);
  for (const std::string& id : strings_of(answer, "failed"))
    add(trouble, "not delivered to session " + id + ": its worker's mailbox is full");
  if (uint64_t n = number_of(answer, "workers_failed"); n > 0)
    add(trouble, fmt::format("{} workers could not be told: their mailboxes are full", n));
  if (flag_of(answer, "partial")) add(trouble, "not every worker has answered in time");
  return trouble;
}

std::string_view done(Verb verb) {
  switch (verb) {
    case Verb::kick:
      return "closed";
    case Verb::join:
      return "joined";
    case Verb::leave:
      return "left";
    default:
      return "delivered to";
  }
}

std::string count_text(Verb verb, dom::object answer) {
  uint64_t n = number_of(answer, "delivered");
  return fmt::format("{} {} session{}\n", done(verb), human_count(n), n == 1 ? "" : "s");
}

std::string channels_text(dom::object answer, bool colour) {
  Table table({{"MEMBERS", Align::right}, {"CHANNEL"}});
  dom::array channels;
  if (answer.at_key("channels").get(channels) == simdjson::SUCCESS)
    for (dom::element item : channels) {
      dom::object channel;
      if (item.get(channel) != simdjson::SUCCESS) continue;
      table.row({human_count(number_of(channel, "members")), printable(text_of(channel, "name"))});
    }
  std::string out = table.text(colour);
  if (flag_of(answer, "more")) out += "there are more; --limit N (up to 10000) shows N of them\n";
  return out;
}

std::string refusal(int status, dom::object answer) {
  dom::object error;
  if (answer.at_key("error").get(error) != simdjson::SUCCESS)
    return fmt::format("refused with status {}", status);
  return fmt::format("refused with status {} ({}): {}", status, printable(text_of(error, "code")),
                     printable(text_of(error, "message")));
}

Error unreadable(int status) {
  return {Errc::bad_input, 0, fmt::format("status {} without the JSON it should have", status)};
}

}  // namespace

Result<Outcome> judge_answer(Verb verb, int status, const std::string& body) {
  dom::parser parser;
  dom::object answer;
  if (parser.parse(body).get(answer) != simdjson::SUCCESS) return unreadable(status);
  Outcome outcome;
  outcome.json = simdjson::minify(answer) + "\n";
  if (status != 200) {
    outcome.trouble = refusal(status, answer);
  } else {
    outcome.text =
        verb == Verb::channels ? channels_text(answer, colour_wanted()) : count_text(verb, answer);
    outcome.trouble = shortfall(answer);
  }
  outcome.code = outcome.trouble.empty() ? kOk : kFailure;
  return outcome;
}

}  // namespace holdfast::ctl
