#include "worker/backends/server_choice.h"

#include <algorithm>

namespace holdfast::fcgi {
namespace {

constexpr uint64_t kFirstBackoffMs = 100;
constexpr uint64_t kLongestBackoffMs = 5'000;

}  // namespace

ServerChoice::ServerChoice(const std::vector<conf::BackendServer>& servers) {
  for (const conf::BackendServer& server : servers) servers_.push_back({.weight = server.weight});
}

std::optional<size_t> ServerChoice::best_ready(uint64_t now_ms, std::optional<size_t> avoid) {
  std::optional<size_t> best;
  for (size_t n = 0; n < servers_.size(); ++n) {
    size_t i = (turn_ + n) % servers_.size();
    const Server& server = servers_[i];
    if (server.weight == 0 || i == avoid || now_ms < server.left_out_until_ms) continue;
    // a / b < c / d without the division
    if (!best || uint64_t(server.in_flight + 1) * servers_[*best].weight <
                     uint64_t(servers_[*best].in_flight + 1) * server.weight) {
      best = i;
    }
  }
  if (best) turn_ = *best + 1;
  return best;
}

size_t ServerChoice::best(uint64_t now_ms, std::optional<size_t> avoid) {
  if (std::optional<size_t> other = best_ready(now_ms, avoid)) return *other;
  if (std::optional<size_t> any = best_ready(now_ms)) return *any;
  auto sooner = [](const Server& a, const Server& b) {
    if ((a.weight == 0) != (b.weight == 0)) return b.weight == 0;
    return a.left_out_until_ms < b.left_out_until_ms;
  };
  return size_t(std::min_element(servers_.begin(), servers_.end(), sooner) - servers_.begin());
}

void ServerChoice::failed(size_t i, uint64_t now_ms) {
  Server& server = servers_[i];
  if (server.down_since_ms == 0) server.down_since_ms = now_ms;
  if (now_ms < server.left_out_until_ms) return;  // I1
  server.backoff_ms =
      server.backoff_ms == 0 ? kFirstBackoffMs : std::min(server.backoff_ms * 2, kLongestBackoffMs);
  server.left_out_until_ms = now_ms + server.backoff_ms;
}

void ServerChoice::accepted(size_t i) {
  Server& server = servers_[i];
  server.backoff_ms = server.left_out_until_ms = server.down_since_ms = 0;  // I2
}

bool ServerChoice::down_for(size_t i, uint64_t now_ms, uint64_t span_ms) const {
  const Server& server = servers_[i];
  return server.down_since_ms != 0 && now_ms - server.down_since_ms >= span_ms;
}

}  // namespace holdfast::fcgi
