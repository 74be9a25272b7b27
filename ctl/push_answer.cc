#include "ctl/push_answer.h"

#include <fmt/format.h>
#include <simdjson.h>

#include "conf/config.h"
#include "conf/units.h"
#include "ctl/json_read.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;

void add(std::string& list, const std::string& item) {
  if (!list.empty()) list += "; ";
  list += item;
}

std::string counted(uint64_t n, std::string_view thing) {
  return fmt::format("{} {}{}", human_count(n), thing, n == 1 ? "" : "s");
}

// What of the order was not carried out, "" if nothing.
std::string shortfall(dom::object answer) {
  std::string trouble;
  for (const std::string& id : strings_of(answer, "unknown"))
    add(trouble, "no session " + printable(id));
  for (const std::string& id : strings_of(answer, "failed"))
    add(trouble, "not delivered to session " + printable(id) + ": its worker's mailbox is full");
  if (uint64_t n = number_of(answer, "workers_failed"); n > 0)
    add(trouble, counted(n, "worker") + " could not be told: the mailbox is full");
  if (uint64_t n = number_of(answer, "refused"); n > 0)
    add(trouble,
        counted(n, "join") +
            " refused: the session is in limits.max_channels_per_session channels already");
  if (flag_of(answer, "partial")) add(trouble, "not every worker has answered in time");
  return trouble;
}

// "room" or "room and 2 more".
std::string channels_named(const Options& options) {
  if (options.channels.empty()) return "it";
  size_t more = options.channels.size() - 1;
  std::string name = printable(options.channels.front());
  return more == 0 ? name : fmt::format("{} and {} more", name, more);
}

std::string done_text(const Options& options, dom::object answer) {
  uint64_t n = number_of(answer, "delivered");
  std::string sessions = counted(n, "session");
  std::string_view are = n == 1 ? "is" : "are";
  switch (options.verb) {
    case Verb::kick:
      return "closed " + sessions;
    case Verb::join:
      return fmt::format("{} {} in {} now", sessions, are, channels_named(options));
    case Verb::leave:  // also where it was no member before
      return fmt::format("{} {} not in {} now", sessions, are, channels_named(options));
    case Verb::bind:
      return fmt::format("bound to {}", printable(options.users.front()));
    case Verb::unbind:
      return "bound to no user now";
    case Verb::data:
      return "data changed";
    default:
      return "delivered to " + sessions;
  }
}

// The reader of requests knows no keys of the body and so cannot say more than "too large".
std::string hint(const Order& order, int status) {
  size_t most = conf::Api{}.max_body;  // what the instance's own socket has
  if (status != 413 || order.body_bytes <= most) return "";
  return fmt::format(" (the request has {} bytes; the socket of the instance takes at most {})",
                     human_count(order.body_bytes), conf::format_size(most));
}

std::string refusal(const Order& order, int status, dom::object answer) {
  std::string error = error_of(answer);
  if (error.empty()) return fmt::format("refused with status {}", status);
  return fmt::format("refused with status {}: {}{}", status, error, hint(order, status));
}

// Of one command; `status` is what HTTP or the batch says of it.
std::string trouble_of(const Order& order, int status, dom::object answer) {
  return status == 200 ? shortfall(answer) : refusal(order, status, answer);
}

void judge_batch(const Order& order, dom::object answer, Outcome& outcome) {
  size_t number = 0, done = 0;
  for (dom::object result : objects_of(answer, "results")) {
    ++number;
    std::string trouble = trouble_of(order, int(number_of(result, "status")), result);
    done += trouble.empty();
    if (trouble.empty()) continue;
    outcome.trouble +=
        fmt::format("{}command {}: {}", outcome.trouble.empty() ? "" : "\n", number, trouble);
  }
  outcome.text = fmt::format("{} of {} carried out as asked\n", done, counted(number, "command"));
}

}  // namespace

Result<Outcome> judge_answer(const Order& order, int status, const std::string& body) {
  dom::parser parser;
  dom::object answer;
  if (parser.parse(body).get(answer) != simdjson::SUCCESS)
    return Error{Errc::bad_input, 0,
                 fmt::format("status {} without the JSON it should have", status)};
  Outcome outcome;
  outcome.json = simdjson::minify(answer) + "\n";
  if (status == 200 && order.options.verb == Verb::batch)
    judge_batch(order, answer, outcome);
  else
    outcome.trouble = trouble_of(order, status, answer);
  if (status == 200 && order.options.verb != Verb::batch)
    outcome.text = done_text(order.options, answer) + "\n";
  outcome.code = outcome.trouble.empty() ? kOk : kFailure;
  return outcome;
}

}  // namespace holdfast::ctl
