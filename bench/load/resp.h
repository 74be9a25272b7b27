// bench/load/resp.h - a subscriber's RESP2: what it asks for, and the messages it gets. Pure bytes.
//
// A message is not read with wire/resp/reply_reader.h: Redis and Holdfast send it byte for byte alike, so it is compared with the
// bytes that it must begin with. That takes half the time, and it is done for every message that is measured.
#pragma once

#include <string>
#include <string_view>

#include "wire/ws/client.h"

namespace holdfast::bench {

inline constexpr size_t kMaxFrameBytes = 32 * 1024 * 1024;  // of a message, on either wire

// What a subscriber sends first: AUTH, if there is a token, and SUBSCRIBE.
std::string subscribe_request(std::string_view token, std::string_view channel);
// The answers to it, as those to a hand-shake: accepted once the subscription is confirmed; `head` is all of them.
ws::HandshakeAnswer read_subscribed(std::string_view bytes, bool with_auth);

// What a subscriber gets, as a frame: a published message is `text`, the answer to QUIT is `close`.
ws::Frame read_push(std::string_view bytes);

}  // namespace holdfast::bench
