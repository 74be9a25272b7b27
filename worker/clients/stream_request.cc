#include "worker/clients/stream_request.h"

#include <algorithm>

#include "wire/http/chars.h"
#include "wire/http/origin.h"
#include "wire/sse/positions.h"

namespace holdfast::stream {
namespace {

constexpr std::string_view kType = "text/event-stream";

// What stands before the parameters of a media type.
std::string_view bare_type(std::string_view type) {
  return http::trimmed(type.substr(0, type.find(';')));
}

bool accepts_events(const http::Request& request) {
  for (const http::Header& header : request.headers) {
    if (!http::equal_ignoring_case(header.name, "Accept")) continue;
    std::string_view rest = header.value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      if (http::equal_ignoring_case(bare_type(rest.substr(0, comma)), kType)) return true;
      rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    }
  }
  return false;
}

bool is_preflight(const http::Request& request) {
  return request.method == "OPTIONS" && request.header("Access-Control-Request-Method").has_value();
}

// Some writers end the only line of a text.
std::string_view parameters_of(const http::Request& request) {
  std::string_view body = request.body;
  while (body.ends_with('\n') || body.ends_with('\r')) body.remove_suffix(1);
  return body;
}

// A query is nothing but these characters, and the target is passed on as if it had come so.
bool may_stand_in_a_target(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > ' ' && c < '\x7f' && c != '#'; });
}

Verdict judge_body(const http::Request& request) {
  std::string_view type = bare_type(request.header("Content-Type").value_or(""));
  bool form = type.empty() ||
              http::equal_ignoring_case(type, "application/x-www-form-urlencoded") ||
              http::equal_ignoring_case(type, "text/plain");
  if (!form) return {415, "parameters come as application/x-www-form-urlencoded"};
  if (!may_stand_in_a_target(parameters_of(request)))
    return {400, "what is no letter, digit or sign of a URL is written %XX in parameters"};
  return {};
}

}  // namespace

bool is_asked_for(const http::Request& request, const conf::Listen& listen) {
  return listen.answers(conf::Stream::sse) && request.path() == listen.path &&
         !request.header_has_token("Upgrade", "websocket") &&
         (accepts_events(request) || is_preflight(request));
}

Verdict judge(const http::Request& request, const std::vector<std::string>& origins) {
  const std::string& method = request.method;
  if (method != "GET" && method != "POST" && method != "HEAD" && method != "OPTIONS")
    return {405, "a stream of events is asked for with GET or POST",
            "Allow: GET, HEAD, POST, OPTIONS\r\n"};
  size_t sent = size_t(std::count_if(
      request.headers.begin(), request.headers.end(),
      [](const http::Header& h) { return http::equal_ignoring_case(h.name, "Origin"); }));
  if (sent > 1) return {400, "more than one Origin"};
  if (sent == 1 && !http::origin_allowed(*request.header("Origin"),
                                         request.header("Host").value_or(""), origins))
    return {403, "this origin is not allowed"};
  // A page may ask for a stream with its user's cookies and no Origin, by fetch() in the mode no-cors.
  bool by_other_page = sent == 0 && request.header("Sec-Fetch-Site").value_or("") == "cross-site";
  if (by_other_page && std::find(origins.begin(), origins.end(), "*") == origins.end())
    return {403, "pages of other sites ask with their Origin"};
  return method == "POST" ? judge_body(request) : Verdict{};
}

void take_parameters(http::Request& request) {
  std::string_view parameters = parameters_of(request);
  if (parameters.empty()) return;
  request.target += request.target.find('?') == std::string::npos ? '?' : '&';
  request.target += parameters;
}

std::optional<Wishes> wishes_of(const http::Request& request, size_t most, std::string_view* why) {
  auto names = http::query_values(request.query(), "names");
  *why = "names: nothing, or channel";
  if (!names || names->size() > 1) return {};
  if (!names->empty() && names->front() != "channel") return {};
  auto since = http::query_values(request.query(), "since");
  *why =
      "since, and Last-Event-ID: one position EPOCH:OFFSET, or CHANNEL=EPOCH:OFFSET for each "
      "channel";
  if (!since || since->size() > 1) return {};
  Wishes wishes{.named = !names->empty()};
  if (!since->empty()) wishes.since = since->front();
  // A client that comes back has the same URL, and what it has seen since.
  if (auto last = request.header("Last-Event-ID"); last && !last->empty()) wishes.since = *last;
  if (!sse::read_positions(wishes.since, most)) return {};
  return wishes;
}

std::string head(std::string_view extra_lines) {
  std::string text =
      "HTTP/1.1 200 OK\r\n"
      "Content-Type: text/event-stream\r\n"
      "Cache-Control: no-cache, no-store, no-transform, private\r\n"
      "X-Accel-Buffering: no\r\n"
      "Connection: close\r\n";
  http::append_header_lines(text, extra_lines);
  text += "\r\n";
  return text;
}

}  // namespace holdfast::stream
