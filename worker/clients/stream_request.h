// worker/clients/stream_request.h - a request for a stream of events, at the path where WebSockets are opened: read, judged, answered.
//
//   method    answer
//   GET       the stream, for the parameters of the URL
//   POST      the same for those of its body, too, which stand behind the URL's: long lists of channels, proxies that buffer answers to GET
//   HEAD      the head of the stream
//   OPTIONS   a preflight's: what pages of this origin may send (http/origin.h)
//   others    405
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "wire/http/request.h"

namespace holdfast::stream {

inline constexpr size_t kMostParameters = 16 * 1024;  // bytes of a body
inline constexpr std::string_view kMethods = "GET, HEAD, POST, OPTIONS";

// It does by Accept: text/event-stream and no Upgrade to WebSocket (some programs offer h2c), or is a browser's question if it may; and the listener has streams.
bool is_asked_for(const http::Request& request, const conf::Listen& listen);

struct Verdict {
  int status =
      200;  // or that of the refusal: 400 malformed, 403 origin, 405 method, 415 type of the body
  std::string_view why = {};
  std::string_view lines = {};  // header lines of the refusal
};
Verdict judge(const http::Request& request, const std::vector<std::string>& origins);

// What the parameters say; empty: `why` says what is wrong.
struct Wishes {
  bool named = false;  // names=channel: events bear the names of channels
  std::string since;   // Last-Event-ID, or else since=: wire/sse/positions.h
};
// `most`: so many positions at most.
std::optional<Wishes> wishes_of(const http::Request& request, size_t most, std::string_view* why);

// The parameters of a body that was judged go to the target.
void take_parameters(http::Request& request);

// Status line and header of the stream, ended by an empty line. It has no length and ends with its connection.
std::string head(std::string_view extra_lines);

}  // namespace holdfast::stream
