#include "worker/api/http_api.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>

#include "worker/api/auth.h"
#include "worker/api/batch.h"
#include "worker/api/exchange.h"
#include "worker/api/json_command.h"
#include "worker/api/metrics.h"
#include "worker/api/settle.h"

namespace holdfast::api {
namespace {

constexpr uint64_t kDefaultChannels = 1'000;
constexpr uint64_t kMaxChannels = 10'000;

// ---- POST

void post_command(Exchange exchange, Op op, const http::Request& request) {
  ParsedCommand parsed =
      parse_command(op, request.body, exchange.context().config->limits.max_message_size);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  Command& command = std::get<Command>(parsed);
  if (auto error = settle(exchange.context(), command)) return exchange.refuse(*error);
  // The answer needs the addresses, not the payload.
  Command asked{.op = op, .sessions = command.sessions};
  Router* router = exchange.context().router;
  router->execute(
      command, [exchange = std::move(exchange), asked = std::move(asked)](CommandResult&& result) {
        JsonWriter json;
        json.begin_object();
        int status = write_outcome(json, asked, result);
        json.end_object();
        exchange.answer(status, json.take());
      });
}

void post_batch(Exchange exchange, const http::Request& request) {
  ParsedBatch parsed =
      parse_batch(request.body, exchange.context().config->limits.max_message_size);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  run_batch(std::move(exchange), std::move(std::get<std::vector<ParsedCommand>>(parsed)));
}

// ---- GET

struct ChannelQuery {
  std::string prefix;
  uint64_t limit = kDefaultChannels;
};

bool read_limit(std::string_view text, uint64_t* limit) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *limit);
  return error == std::errc{} && end == text.data() + text.size() && *limit >= 1 &&
         *limit <= kMaxChannels;
}

bool read_parameter(std::string_view name, std::string value, ChannelQuery* query) {
  if (name == "limit") return read_limit(value, &query->limit);
  query->prefix = std::move(value);
  return query->prefix.size() <= kMaxChannelBytes && simdjson::validate_utf8(query->prefix);
}

// Empty where a parameter is unknown, repeated, malformed or out of range.
std::optional<ChannelQuery> parse_channel_query(std::string_view text) {
  ChannelQuery query;
  unsigned seen = 0;
  while (!text.empty()) {
    std::string_view pair = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), pair.size() + 1));
    size_t equals = pair.find('=');
    std::string_view name = pair.substr(0, equals);
    unsigned bit = name == "prefix" ? 1 : name == "limit" ? 2 : 0;
    if (bit == 0 || (seen & bit) != 0 || equals == std::string_view::npos) return {};
    seen |= bit;
    std::optional<std::string> value = http::percent_decode(pair.substr(equals + 1));
    if (!value || !read_parameter(name, std::move(*value), &query)) return {};
  }
  return query;
}

std::string channels_json(const CommandResult& result, const ChannelQuery& query) {
  JsonWriter json;
  json.begin_object().key("channels").begin_array();
  uint64_t shown = 0;
  bool more = false;
  for (const ChannelCount& channel : result.channels) {
    if (!channel.name.starts_with(query.prefix)) continue;
    if (shown++ == query.limit) {
      more = true;
      break;
    }
    json.begin_object().key("name").string(channel.name);
    json.key("members").number(channel.members).end_object();
  }
  json.end_array().key("more").boolean(more);
  if (result.workers_failed > 0) json.key("workers_failed").number(result.workers_failed);
  if (result.partial) json.key("partial").boolean(true);
  json.end_object();
  return json.take();
}

void get_channels(const Exchange& exchange, const http::Request& request) {
  std::optional<ChannelQuery> query = parse_channel_query(request.query());
  if (!query)
    return exchange.refuse({400, "bad_request",
                            fmt::format("allowed in the query, once each: prefix=TEXT (at most {} "
                                        "bytes of UTF-8), limit=N (1 to {})",
                                        kMaxChannelBytes, kMaxChannels)});
  Router* router = exchange.context().router;
  router->execute(Command{.op = Op::list_channels},
                  [exchange, query = std::move(*query)](CommandResult&& result) {
                    exchange.answer(200, channels_json(result, query));
                  });
}

void get_stats(const Exchange& exchange, const http::Request&) {
  exchange.answer(200, stats_json(*exchange.context().segment));
}

void get_metrics(const Exchange& exchange, const http::Request&) {
  exchange.answer_text(kPrometheusType, prometheus_text(*exchange.context().segment));
}

void get_health(const Exchange& exchange, const http::Request&) {
  exchange.answer(200, R"({"status":"ok"})");
}

void get_ready(const Exchange& exchange, const http::Request&) {
  if (*exchange.context().draining)
    return exchange.refuse({503, "draining", "this worker takes no new connections any more"});
  exchange.answer(200, R"({"status":"ready"})");
}

// ---- Routes

struct GetRoute {
  std::string_view path;
  void (*handle)(const Exchange&, const http::Request&);
  bool open;  // without a token
};
constexpr GetRoute kGetRoutes[] = {
    {"/v1/channels", get_channels, false}, {"/v1/stats", get_stats, false},
    {"/metrics", get_metrics, false},      {"/healthz", get_health, true},
    {"/readyz", get_ready, true},
};

const GetRoute* get_route(std::string_view path) {
  for (const GetRoute& route : kGetRoutes)
    if (route.path == path) return &route;
  return nullptr;
}

// False: refused, and answered.
bool admitted(const Exchange& exchange, const http::Request& request) {
  switch (judge_access(exchange.context().api->tokens, request)) {
    case Access::granted:
      return true;
    case Access::unauthorized:
      exchange.context().stats->api_unauthorized.add();
      exchange.refuse({401, "unauthorized", "Authorization: Bearer with a valid token is needed"},
                      "WWW-Authenticate: Bearer\r\n");
      return false;
    case Access::browser_refused:
      exchange.refuse({403, "browser_refused",
                       "requests with an Origin header are refused while the API has no token"});
      return false;
  }
  return false;
}

void wrong_method(const Exchange& exchange, std::string_view allowed) {
  exchange.refuse({405, "method_not_allowed", fmt::format("allowed here: {}", allowed)},
                  fmt::format("Allow: {}\r\n", allowed));
}

void get(const Exchange& exchange, const GetRoute& route, const http::Request& request) {
  if (request.method != "GET" && request.method != "HEAD")
    return wrong_method(exchange, "GET, HEAD");
  route.handle(exchange, request);
}

void post(Exchange exchange, std::string_view name, const http::Request& request) {
  std::optional<Op> op = op_named(name);
  if (!op && name != "batch")
    return exchange.refuse({404, "not_found", "no such path; holdfast-api(7) lists them"});
  if (request.method != "POST") return wrong_method(exchange, "POST");
  if (op)
    post_command(std::move(exchange), *op, request);
  else
    post_batch(std::move(exchange), request);
}

}  // namespace

void handle(const ApiContext& context, const http::Request& request, Reply reply) {
  context.stats->api_requests.add();
  Exchange exchange(context, request, std::move(reply));
  constexpr std::string_view kPrefix = "/v1/";
  std::string_view path = request.path();
  const GetRoute* route = get_route(path);
  if (!(route != nullptr && route->open) && !admitted(exchange, request)) return;
  if (route != nullptr) return get(exchange, *route, request);
  bool versioned = path.starts_with(kPrefix);
  post(std::move(exchange), versioned ? path.substr(kPrefix.size()) : std::string_view{}, request);
}

std::string unreadable(const ApiContext& context, int status, std::string_view why) {
  context.stats->api_requests.add();
  context.stats->api_errors.add();
  std::string_view code = status == 413 ? "too_large" : "bad_http";
  return http::make_response(status, "application/json",
                             error_body({status, code, std::string(why)}), false,
                             fmt::format("Holdfast-Worker: {}\r\n", context.slot));
}

}  // namespace holdfast::api
