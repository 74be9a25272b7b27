// tests/unit/net/tls_peer.h - a far end whose bytes go through an OpenSSL client.
#pragma once

#include "tests/harness/openssl_client.h"
#include "tests/unit/room.h"

namespace holdfast::test {

struct TlsPeer {
  explicit TlsPeer(Peer&& raw, const ClientWishes& wishes = {})
      : peer(std::move(raw)), ssl(wishes) {}

  void send_out() {
    std::string bytes = ssl.take();
    if (!bytes.empty()) peer.send(bytes);
  }
  // Everything that was said to it so far.
  const std::string& heard() {
    const std::string& all = peer.received();
    ssl.give(std::string_view(all).substr(given));
    given = all.size();
    said += ssl.hear();
    send_out();
    return said;
  }
  void say(std::string_view text) {
    ssl.say(text);
    send_out();
  }
  // The hand-shake, and what the server sends at once behind it. False: there is none.
  bool shake_hands(Room& room) {
    send_out();
    bool shaken = room.turn_until([&] {
      heard();
      return ssl.shaken() || peer.at_end();
    });
    for (int i = 0; i < 3; ++i) room.turn();
    heard();
    return shaken && ssl.shaken() && !peer.at_end();
  }

  Peer peer;
  OpensslClient ssl;
  size_t given = 0;
  std::string said;
};

}  // namespace holdfast::test
