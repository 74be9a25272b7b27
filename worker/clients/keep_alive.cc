// Pings and idleness of a client: one deadline for both.

#include <algorithm>

#include "worker/clients/client.h"

namespace holdfast {

void Client::heard() {
  last_in_ms_ = runtime_.now_ms;
  pinged_after_ms_ = 0;
}

// When there is something to do again; UINT64_MAX: never.
uint64_t Client::next_check() const {
  uint64_t idle_ms = home_.listen.idle_timeout_ms, ping_ms = ping_interval_ms();
  uint64_t next = UINT64_MAX;
  if (idle_ms != 0) next = last_in_ms_ + idle_ms;
  if (ping_ms != 0) next = std::min(next, last_in_ms_ + pinged_after_ms_ + ping_ms);
  return next;
}

void Client::keep_alive_check() {
  uint64_t idle_ms = home_.listen.idle_timeout_ms, ping_ms = ping_interval_ms();
  uint64_t now = runtime_.now_ms;
  // While the backend holds reading back, or what has been read waits for its turn, silence is not the client's. Nor is it if
  // bytes lie in the socket that this process has not read yet.
  bool over = idle_ms != 0 && now >= last_in_ms_ + idle_ms;
  if (!reading() || (over && (has_unread() || !owes_a_sign()))) heard();
  home_.sessions.publish_counts(*session_);
  if (idle_ms != 0 && now >= last_in_ms_ + idle_ms) {
    if (!detach()) return close(EndReason::idle);
    return say_goodbye_and_go(facts_of(EndReason::idle).code, facts_of(EndReason::idle).text);
  }
  if (ping_ms != 0 && now >= last_in_ms_ + pinged_after_ms_ + ping_ms) {
    ping();
    pinged_after_ms_ = uint32_t(now - last_in_ms_);
  }
  if (uint64_t next = next_check(); next != UINT64_MAX) arm(next);
}

}  // namespace holdfast
