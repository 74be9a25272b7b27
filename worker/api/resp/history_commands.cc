// RESP commands for channels whose messages are kept: HF.PUBLISH, HF.SUBSCRIBE, HF.HISTORY, HF.DELHISTORY.
#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>
#include <optional>

#include "worker/api/resp/handlers.h"
#include "worker/api/resp/subscriber.h"
#include "worker/api/settle.h"
#include "worker/routing/command.h"

namespace holdfast::api::run {
namespace {

using resp::ReplyWriter;

constexpr uint32_t kDefaultLimit = 100, kMaxLimit = 1'000;
constexpr std::string_view kTimedOut = "ERR the channel's worker did not answer in time; try again";

std::string no_position(std::string_view text) {
  return fmt::format("ERR {} is no position: they are EPOCH:OFFSET, as answers have them",
                     shown(text));
}

std::string no_history(std::string_view channel) {
  return fmt::format(
      "ERR messages of channel {} are not kept: no [[channel]] with history_size is for it",
      shown(channel));
}

void put_position(ReplyWriter& out, const Position& position) {
  if (position.known())
    out.bulk(text_of(position));
  else
    out.null();
}

template <class T>
bool read_number(std::string_view text, T& value, T least, T most) {
  const char* end = text.data() + text.size();
  auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end && value >= least && value <= most;
}

// ---- HF.PUBLISH channel message [VERSION n] [NOHISTORY]

std::string read_options(resp::Arguments rest, Command& command) {
  for (size_t i = 0; i < rest.size(); ++i) {
    if (same_word(rest[i], "NOHISTORY")) {
      command.unkept = true;
    } else if (same_word(rest[i], "VERSION") && i + 1 < rest.size()) {
      if (!read_number<uint64_t>(rest[++i], command.version, 1, uint64_t(INT64_MAX)))
        return "ERR VERSION must be a whole number from 1 to 9223372036854775807";
    } else {
      return "ERR syntax error: after the message come VERSION n and NOHISTORY";
    }
  }
  if (command.unkept && command.version != 0) return "ERR VERSION needs history";
  return {};
}

void answer_publish(const RespAnswer& answer, const CommandResult& result) {
  if (result.delivered == 0 && result.positions.empty() && result.workers_failed > 0)
    return answer.refuse(
        "ERR nothing was delivered: the mailboxes of the workers concerned are full; try again "
        "later");
  ReplyWriter out = answer.writer();
  out.map(3).bulk("delivered").integer(int64_t(result.delivered));
  out.bulk("position");
  put_position(out, result.positions.empty() ? Position{} : result.positions.front().at);
  bool superseded = !result.positions.empty() && result.positions.front().superseded;
  out.bulk("superseded").integer(superseded ? 1 : 0);
  answer.send(out);
}

// ---- HF.HISTORY channel [SINCE position] [LIMIT n] [REV]

std::string read_range(resp::Arguments rest, Command& command) {
  command.page.limit = kDefaultLimit;
  for (size_t i = 0; i < rest.size(); ++i) {
    bool more = i + 1 < rest.size();
    if (same_word(rest[i], "REV")) {
      command.reverse = true;
    } else if (same_word(rest[i], "SINCE") && more) {
      std::optional<Position> since = read_position(rest[++i]);
      if (!since) return no_position(rest[i]);
      command.at = *since;
    } else if (same_word(rest[i], "LIMIT") && more) {
      if (!read_number<uint32_t>(rest[++i], command.page.limit, 0, kMaxLimit))
        return fmt::format("ERR LIMIT must be a whole number from 0 to {}", kMaxLimit);
    } else {
      return "ERR syntax error: after the channel come SINCE position, LIMIT n and REV";
    }
  }
  return {};
}

void write_stream(ReplyWriter& out, const StreamState& stream) {
  out.bulk("position");
  put_position(out, stream.top);
  out.bulk("first").integer(int64_t(stream.first));
  out.bulk("kept").integer(int64_t(stream.messages));
  out.bulk("bytes").integer(int64_t(stream.bytes));
  out.bulk("early").integer(int64_t(stream.early));
}

void answer_history(const RespAnswer& answer, const std::string& channel,
                    const CommandResult& result, bool with_messages) {
  if (!result.stream)
    return answer.refuse(result.partial || result.workers_failed > 0 ? std::string(kTimedOut)
                                                                     : no_history(channel));
  ReplyWriter out = answer.writer();
  out.map(with_messages ? 6 : 5);
  write_stream(out, *result.stream);
  if (with_messages) {
    out.bulk("messages").array(result.kept.size());
    for (const KeptMessage& message : result.kept) {
      out.array(3);
      put_position(out, {result.stream->top.epoch, message.offset});
      out.integer(int64_t(message.age_ms)).bulk(message.data);
    }
  }
  answer.send(out);
}

void ask(const RespCall& call, const Command& command, bool with_messages) {
  call.context.router->execute(command, [answer = call.answer, channel = command.channels.front(),
                                         with_messages](CommandResult&& result) {
    answer_history(answer, channel, result, with_messages);
  });
}

}  // namespace

void publish_kept(const RespCall& call) {
  std::string_view channel = call.arguments[1], message = call.arguments[2];
  if (!valid_channel(channel)) return call.answer.refuse(no_channel(channel));
  size_t max = call.context.config->limits.max_message_size;
  if (message.size() > max)
    return call.answer.refuse(
        fmt::format("ERR message of {} bytes; limits.max_message_size is {}", message.size(), max));
  Command command{.op = Op::publish};
  command.channels.emplace_back(channel);
  command.data = message;
  command.binary = !simdjson::validate_utf8(message.data(), message.size());
  if (std::string error = read_options(call.arguments.subspan(3), command); !error.empty())
    return call.answer.refuse(error);
  if (auto error = settle(call.context, command))
    return call.answer.refuse("ERR " + error->message);
  command.source = call.answer.source();
  call.context.router->execute(
      command, [answer = call.answer](CommandResult&& result) { answer_publish(answer, result); });
}

void history(const RespCall& call) {
  Command command{.op = Op::history};
  if (!valid_channel(call.arguments[1])) return call.answer.refuse(no_channel(call.arguments[1]));
  command.channels.emplace_back(call.arguments[1]);
  if (std::string error = read_range(call.arguments.subspan(2), command); !error.empty())
    return call.answer.refuse(error);
  ask(call, command, true);
}

void delete_history(const RespCall& call) {
  Command command{.op = Op::empty};
  if (!valid_channel(call.arguments[1])) return call.answer.refuse(no_channel(call.arguments[1]));
  command.channels.emplace_back(call.arguments[1]);
  ask(call, command, false);
}

// HF.SUBSCRIBE channel [SINCE position]
void follow(const RespCall& call) {
  std::string_view channel = call.arguments[1];
  if (!valid_channel(channel)) return call.answer.refuse(no_channel(channel));
  Position since;
  if (call.arguments.size() != 2) {
    if (call.arguments.size() != 4 || !same_word(call.arguments[2], "SINCE"))
      return call.answer.refuse("ERR syntax error: after the channel comes SINCE position");
    std::optional<Position> position = read_position(call.arguments[3]);
    if (!position) return call.answer.refuse(no_position(call.arguments[3]));
    since = *position;
  }
  if (call.subscriber.has(channel))
    return call.answer.refuse("ERR this connection has subscribed to the channel already");
  if (std::string error =
          call.subscriber.no_room_for(NameKind::channel, call.arguments.subspan(1, 1));
      !error.empty())
    return call.answer.refuse(error);
  call.subscriber.follow(channel, since, [answer = call.answer](const CaughtUp& told) {
    ReplyWriter out = answer.writer();
    out.push(4).bulk("hf.subscribe").bulk(told.channel);
    put_position(out, told.at);
    out.integer(told.asked && told.recovered ? 1 : 0);
    answer.send(out);
  });
}

}  // namespace holdfast::api::run
