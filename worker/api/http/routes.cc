#include "worker/api/http/routes.h"

#include <fmt/format.h>

#include <algorithm>

#include "worker/api/http/batch.h"
#include "worker/api/http/exchange.h"
#include "worker/api/http/history.h"
#include "worker/api/http/json_command.h"
#include "worker/api/http/openapi.h"
#include "worker/api/http/queries.h"
#include "worker/api/idempotency.h"
#include "worker/api/settle.h"
#include "worker/observe/metrics.h"

namespace holdfast::api {
namespace {

// ---- POST

// What the answer to a command needs of it: not the payload.
struct Answering {
  Exchange exchange;
  Receipt receipt;
  Op op;
  bool names_sessions;

  void operator()(const CommandResult& result) const {
    Command asked{.op = op};
    if (names_sessions) asked.sessions.resize(1);
    json::Writer json;
    json.begin_object();
    int status = write_outcome(json, asked, result);
    json.end_object();
    std::string body = json.take();
    receipt.close(exchange.context(), op, result, status, body);
    exchange.answer(status, body);
  }
};

void carry_out(const Exchange& exchange, Receipt receipt, Command& command) {
  const ApiContext& context = exchange.context();
  if (auto error = settle(context, command)) {
    receipt.give_back(context);
    return exchange.refuse(*error);
  }
  command.source = exchange.source();
  context.router->execute(command,
                          Answering{exchange, receipt, command.op, !command.sessions.empty()});
}

void post_command(const Exchange& exchange, Op op, const http::Request& request) {
  const ApiContext& context = exchange.context();
  ParsedCommand parsed = parse_command(op, request.body, context.config->limits.max_message_size);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  Asked& asked = std::get<Asked>(parsed);
  auto key = key_of(request, std::move(asked.id));
  if (ApiError* error = std::get_if<ApiError>(&key)) return exchange.refuse(*error);
  auto opened = open_receipt(context, std::get<std::string>(key), asked.command);
  if (Refusal* refusal = std::get_if<Refusal>(&opened))
    return exchange.refuse(refusal->error, refusal->headers);
  if (Repeat* repeat = std::get_if<Repeat>(&opened))
    return exchange.answer(repeat->status, repeat->body, kRepeatedHeader);
  carry_out(exchange, std::get<Receipt>(opened), asked.command);
}

void post_batch(const Exchange& exchange, const http::Request& request) {
  if (auto error = refuse_key(request)) return exchange.refuse(*error);
  ParsedBatch parsed =
      parse_batch(request.body, exchange.context().config->limits.max_message_size);
  if (ApiError* error = std::get_if<ApiError>(&parsed)) return exchange.refuse(*error);
  run_batch(exchange, std::move(std::get<std::vector<ParsedCommand>>(parsed)));
}

// ---- GET

void get_stats(const Exchange& exchange, const http::Request&) {
  exchange.answer(200, stats_json(*exchange.context().segment));
}

void get_metrics(const Exchange& exchange, const http::Request&) {
  exchange.answer_text(kPrometheusType, prometheus_text(*exchange.context().segment));
}

void get_openapi(const Exchange& exchange, const http::Request&) {
  exchange.answer(200, openapi_json());
}

void get_health(const Exchange& exchange, const http::Request&) {
  exchange.answer(200, R"({"status":"ok"})");
}

void get_ready(const Exchange& exchange, const http::Request&) {
  if (*exchange.context().draining)
    return exchange.refuse({503, "draining", "this worker takes no new connections any more"});
  exchange.answer(200, R"({"status":"ready"})");
}

// The one answer that does not end: the connection is handed to a TraceStream.
void get_trace(Caller& caller, const Exchange& exchange, const http::Request& request,
               const Reply& reply) {
  if (!request.keep_alive)
    return exchange.refuse({400, "bad_request",
                            "a trace needs a connection that is kept alive, and a worker that does "
                            "not drain"});
  auto opened = TraceStream::open(caller.context, request, caller.wire);
  if (ApiError* error = std::get_if<ApiError>(&opened)) return exchange.refuse(*error);
  reply(TraceStream::head(caller.context));
  caller.trace = std::move(std::get<std::unique_ptr<TraceStream>>(opened));
}

// ---- Routes

constexpr unsigned kOpen = 0;
constexpr std::string_view kTrace = "/v1/trace";

// A path that ends in '/' stands for all that begin with it, and end in `suffix`. The first row that fits counts.
struct GetRoute {
  std::string_view path;
  unsigned scope;  // kOpen: without a token
  void (*handle)(const Exchange&, const http::Request&);
  // Whole lists come one at a time, so that a row of them cannot take much memory.
  Behind behind = Behind::anything;
  std::string_view suffix = {};
  void (*erase)(const Exchange&,
                const http::Request&) = nullptr;  // DELETE, with the scope of pushes
};
constexpr GetRoute kGetRoutes[] = {
    {"/v1/sessions/", conf::kScopeQuery, get_session},
    {"/v1/sessions", conf::kScopeQuery, get_sessions},
    {"/v1/users/", conf::kScopeQuery, get_user},
    {"/v1/users", conf::kScopeQuery, get_users, Behind::nothing},
    {"/v1/channels/", conf::kScopeQuery, get_history, Behind::anything, kHistorySuffix,
     delete_history},
    {"/v1/channels/", conf::kScopeQuery, get_channel},
    {"/v1/channels", conf::kScopeQuery, get_channels, Behind::nothing},
    {"/v1/stats", conf::kScopeQuery, get_stats},
    {"/v1/openapi.json", kOpen, get_openapi},
    {"/metrics", conf::kScopeQuery, get_metrics},
    {"/healthz", kOpen, get_health},
    {"/readyz", kOpen, get_ready},
    {kTrace, conf::kScopeAdmin, nullptr},  // get_trace()
};

const GetRoute* get_route(std::string_view path) {
  for (const GetRoute& route : kGetRoutes)
    if (route.path.ends_with('/')
            ? path.starts_with(route.path) && path.ends_with(route.suffix) &&
                  (route.suffix.empty() || path.size() > route.path.size() + route.suffix.size())
            : path == route.path)
      return &route;
  return nullptr;
}

// What a path stands for.
struct Target {
  const GetRoute* get = nullptr;
  std::optional<Op> op;
  bool batch = false;
  bool erases = false;  // DELETE of what `get` shows
  unsigned scope = 0;   // of a path that does not exist: any token
};

Target target_of(const http::Request& request) {
  std::string_view path = request.path();
  constexpr std::string_view kPrefix = "/v1/";
  if (path.starts_with(kPrefix)) {
    std::string_view name = path.substr(kPrefix.size());
    if (auto op = op_named(name)) return {.op = op, .scope = conf::kScopePush};
    if (name == "batch") return {.batch = true, .scope = conf::kScopePush};
  }
  const GetRoute* route = get_route(path);
  if (route == nullptr) return {};
  bool erases = route->erase != nullptr && request.method == "DELETE";
  return {.get = route, .erases = erases, .scope = erases ? conf::kScopePush : route->scope};
}

// False: refused, and answered.
bool by_own_host(const Caller& caller, const Exchange& exchange, const http::Request& request) {
  std::optional<std::string> host = foreign_host(*caller.context.api, request);
  if (!host) return true;
  caller.context.stats->api_bad_host.add();
  constexpr size_t kMaxShown = 128;
  exchange.refuse(
      {403, "bad_host",
       fmt::format("Host is \"{}\"; while the API has no token it must be localhost, a loopback "
                   "address in numbers, or one of this [[api]]'s hosts",
                   host->substr(0, kMaxShown))});
  return false;
}

// False: refused, and answered.
bool admitted(Caller& caller, const Exchange& exchange, const http::Request& request,
              unsigned scope) {
  switch (judge_access(caller.context.api->tokens, request, scope, &caller.token)) {
    case Access::granted:
      return by_own_host(caller, exchange, request);
    case Access::unauthorized:
      caller.context.stats->api_unauthorized.add();
      exchange.refuse({401, "unauthorized", "Authorization: Bearer with a valid token is needed"},
                      "WWW-Authenticate: Bearer\r\n");
      return false;
    case Access::browser_refused:
      exchange.refuse({403, "browser_refused",
                       "requests with an Origin header are refused while the API has no token"});
      return false;
    case Access::forbidden:
      caller.context.stats->api_forbidden.add();
      exchange.refuse({403, "forbidden",
                       fmt::format("the token lacks a scope this needs: {}", scope_names(scope))});
      return false;
  }
  return false;
}

void wrong_method(const Exchange& exchange, std::string_view allowed) {
  exchange.refuse({405, "method_not_allowed", fmt::format("allowed here: {}", allowed)},
                  fmt::format("Allow: {}\r\n", allowed));
}

bool is_trace(const GetRoute& route) {
  return route.handle == nullptr;
}

// False: refused, and answered.
bool fitting_method(const Exchange& exchange, const Target& target, const http::Request& request) {
  if (target.get != nullptr) {
    bool trace = is_trace(*target.get);
    if (target.erases || request.method == "GET" || (request.method == "HEAD" && !trace))
      return true;
    bool may_erase = target.get->erase != nullptr;
    wrong_method(exchange, trace ? "GET" : may_erase ? "GET, HEAD, DELETE" : "GET, HEAD");
    return false;
  }
  if (!target.op && !target.batch) {
    exchange.refuse({404, "not_found", "no such path; holdfast-api(7) lists them"});
    return false;
  }
  if (request.method == "POST") return true;
  wrong_method(exchange, "POST");
  return false;
}

// Everything that can be said without the body. False: refused, and answered.
bool passes(Caller& caller, const Exchange& exchange, const Target& target,
            const http::Request& request) {
  bool open = target.get != nullptr && target.scope == kOpen;
  // Whoever opens a WebSocket has mixed up the ports: which, is no secret.
  if (target.get == nullptr && request.header_has_token("Upgrade", "websocket")) {
    exchange.refuse({404, "not_found",
                     "this is the push API; WebSockets are opened at the address of a [[listen]]"});
    return false;
  }
  return (open || admitted(caller, exchange, request, target.scope)) &&
         fitting_method(exchange, target, request);
}

}  // namespace

bool refused_by_header(Caller& caller, const http::Request& request, const Reply& reply) {
  bool refused =
      !passes(caller, Exchange(caller.context, request, reply), target_of(request), request);
  if (refused) caller.context.stats->api_requests.add();
  return refused;
}

bool wants_body(const http::Request& request) {
  return target_of(request).get == nullptr;
}

void refuse_body(const ApiContext& context, const http::Request& request, const Reply& reply) {
  context.stats->api_requests.add();
  Exchange(context, request, reply)
      .refuse({413, "too_large", "this request has no use for a body"});
}

Behind handle(Caller& caller, const http::Request& request, const Reply& reply) {
  caller.context.stats->api_requests.add();
  Exchange exchange(caller.context, request, reply);
  Target target = target_of(request);
  if (!passes(caller, exchange, target, request)) return Behind::anything;
  if (target.get != nullptr) {
    if (is_trace(*target.get))
      get_trace(caller, exchange, request, reply);
    else
      (target.erases ? target.get->erase : target.get->handle)(exchange, request);
    return target.erases ? Behind::nothing : target.get->behind;
  }
  if (target.op)
    post_command(exchange, *target.op, request);
  else
    post_batch(exchange, request);
  return target.batch || changes_state(*target.op) ? Behind::nothing : Behind::anything;
}

BufferRef unreadable(const ApiContext& context, int status, std::string_view why) {
  context.stats->api_requests.add();
  context.stats->api_errors.add();
  std::string_view code = status == 413 ? "too_large" : "bad_http";
  return http_answer(
      context, {.status = status, .body = error_body({status, code, std::string(why)})}, false);
}

}  // namespace holdfast::api
