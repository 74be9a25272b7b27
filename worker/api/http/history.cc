#include "worker/api/http/history.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <charconv>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "wire/http/request.h"
#include "worker/api/http/queries.h"

namespace holdfast::api {
namespace {

constexpr uint32_t kDefaultLimit = 100, kMaxLimit = 1'000;

ApiError bad_request(std::string message) {
  return {400, "bad_request", std::move(message)};
}

ApiError no_stream(const std::string& channel) {
  return {404, "no_history",
          fmt::format(
              "messages of channel \"{}\" are not kept: no [[channel]] with history_size is for it",
              channel)};
}

ApiError unanswered() {
  return {503, "overloaded", "the channel's worker did not answer in time; try again"};
}

struct Asked {
  Position since;
  uint32_t limit = kDefaultLimit;
  bool reverse = false;
};

// One parameter; what is wrong with it, or "".
std::string read_parameter(std::string_view key, const std::string& value, Asked& asked) {
  if (key == "since") {
    std::optional<Position> since = read_position(value);
    if (!since) return "since: must be a position, as answers have it (EPOCH:OFFSET)";
    asked.since = *since;
    return {};
  }
  if (key == "limit") {
    const char* end = value.data() + value.size();
    auto [at, error] = std::from_chars(value.data(), end, asked.limit);
    if (error == std::errc() && at == end && asked.limit <= kMaxLimit) return {};
    return fmt::format("limit: must be a whole number from 0 to {}", kMaxLimit);
  }
  if (key == "reverse") {
    asked.reverse = value == "true";
    return asked.reverse || value == "false" ? std::string() : "reverse: must be true or false";
  }
  return fmt::format("unknown parameter \"{}\"; allowed: since, limit, reverse", key.substr(0, 64));
}

std::variant<Asked, ApiError> read_query(std::string_view query) {
  Asked asked;
  std::vector<std::string> seen;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    size_t equals = std::min(pair.find('='), pair.size());
    std::optional<std::string> key = http::percent_decode(pair.substr(0, equals));
    std::optional<std::string> value =
        http::percent_decode(pair.substr(std::min(equals + 1, pair.size())));
    if (!key || !value) return bad_request("the query has a malformed escape");
    if (std::find(seen.begin(), seen.end(), *key) != seen.end())
      return bad_request(fmt::format("{} is given twice", key->substr(0, 64)));
    seen.push_back(*key);
    if (std::string wrong = read_parameter(*key, *value, asked); !wrong.empty())
      return bad_request(std::move(wrong));
  }
  return asked;
}

// RFC 4648 section 4, padded.
std::string base64_of(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and a NUL
  int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  text.resize(size_t(size));
  return text;
}

void write_message(json::Writer& json, uint64_t epoch, const KeptMessage& message) {
  json.begin_object().key("position").string(text_of({epoch, message.offset}));
  json.key("time_ms").number(wall_ms() - message.age_ms);
  if (message.binary)
    json.key("data_base64").string(base64_of(message.data));
  else
    json.key("data").string(message.data);
  json.end_object();
}

// Is everything after `since` here that was ever published after it?
bool is_complete(const Asked& asked, const StreamState& stream) {
  if (!asked.since.known()) return stream.first == 1 || stream.top.offset == 0;
  if (asked.since.epoch != stream.top.epoch || asked.since.offset > stream.top.offset) return false;
  return asked.since.offset == stream.top.offset ||
         (stream.first != 0 && stream.first <= asked.since.offset + 1);
}

void answer_history(const Exchange& exchange, const std::string& channel, const Asked& asked,
                    const CommandResult& result) {
  if (!result.stream)
    return exchange.refuse(result.partial || result.workers_failed > 0 ? unanswered()
                                                                       : no_stream(channel));
  const StreamState& stream = *result.stream;
  json::Writer json;
  json.begin_object().key("channel").string(channel);
  write_stream(json, stream);
  if (!asked.reverse) json.key("complete").boolean(is_complete(asked, stream));
  json.key("messages").begin_array();
  for (const KeptMessage& message : result.kept) write_message(json, stream.top.epoch, message);
  json.end_array();
  bool more =
      !result.kept.empty() && (asked.reverse ? result.kept.back().offset > stream.first
                                             : result.kept.back().offset < stream.top.offset);
  json.key("more").boolean(more).end_object();
  exchange.answer(200, json.take());
}

}  // namespace

void write_stream(json::Writer& json, const std::optional<StreamState>& stream) {
  if (!stream) return;
  json.key("history").begin_object().key("position");
  if (stream->top.known())
    json.string(text_of(stream->top));
  else
    json.raw("null");
  json.key("first").number(stream->first).key("messages").number(stream->messages);
  json.key("bytes").number(stream->bytes).key("early").number(stream->early).end_object();
}

void get_history(const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> channel = channel_in_path(request, kHistorySuffix);
  if (!channel) return exchange.refuse(no_channel_in_path());
  auto query = read_query(request.query());
  if (ApiError* error = std::get_if<ApiError>(&query)) return exchange.refuse(*error);
  const Asked& asked = std::get<Asked>(query);
  Command command{.op = Op::history, .reverse = asked.reverse};
  command.at = asked.since;
  command.channels = {*channel};
  command.page.limit = asked.limit;
  exchange.context().router->execute(command,
                                     [exchange, asked, channel = *channel](CommandResult&& result) {
                                       answer_history(exchange, channel, asked, result);
                                     });
}

void delete_history(const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> channel = channel_in_path(request, kHistorySuffix);
  if (!channel) return exchange.refuse(no_channel_in_path());
  Command command{.op = Op::empty};
  command.channels = {*channel};
  exchange.context().router->execute(
      command, [exchange, channel = *channel](CommandResult&& result) {
        if (!result.stream)
          return exchange.refuse(result.partial || result.workers_failed > 0 ? unanswered()
                                                                             : no_stream(channel));
        json::Writer json;
        json.begin_object().key("channel").string(channel);
        write_stream(json, result.stream);
        json.end_object();
        exchange.answer(200, json.take());
      });
}

}  // namespace holdfast::api
