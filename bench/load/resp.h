// bench/load/resp.h - the client's side of RESP2, as far as publishing and subscribing go. Pure
// bytes.
//
// Strict about what a server may send, and the same for every server: Redis and Holdfast send a
// message byte for byte alike.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "bench/load/ws_client.h"

namespace holdfast::bench {

// Appends one command: an array of bulk strings.
void append_command(std::string& out, std::initializer_list<std::string_view> words);
// What a subscriber sends first: AUTH, if there is a token, and SUBSCRIBE.
std::string subscribe_request(std::string_view token, std::string_view channel);
// The answers to it: accepted once the subscription is confirmed.
HandshakeAnswer read_subscribed(std::string_view bytes, bool with_auth);

// What a subscriber gets, as a Frame: a published message is `text`, the answer to QUIT is `close`.
Frame read_push(std::string_view bytes);

struct Reply {
  size_t bytes = 0;     // 0: not whole yet
  bool broken = false;  // not one of the three kinds below
  bool error = false;
  std::string_view text;  // of a simple string or error, in the bytes given
  int64_t number = 0;     // of an integer
};
// The reply at the start of `bytes`: a simple string, an error or an integer.
Reply read_reply(std::string_view bytes);

}  // namespace holdfast::bench
