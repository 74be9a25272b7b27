// worker/backends/server_choice.h - which server of a backend takes the next request.
//
// A weight of 0: only requests under way there are finished (a server that a reload took away).
// Lowest (requests in flight + 1) / weight first; equals take turns. A server that failed is left
// out for a back-off of 100 ms doubling to 5 s while another is left. Each worker counts its own
// requests and failures.
//
// Invariants
//   I1  Failures within one back-off are one failure: many requests that fail together do not
//       multiply it.
//   I2  A server that accepted a connection has no back-off.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "conf/config.h"

namespace holdfast::fcgi {

class ServerChoice {
 public:
  explicit ServerChoice(const std::vector<conf::BackendServer>& servers);

  void add(unsigned weight) { servers_.push_back({.weight = weight}); }
  unsigned weight(size_t server) const { return servers_[server].weight; }
  void set_weight(size_t server, unsigned weight) { servers_[server].weight = weight; }
  // The best server without a back-off, other than `avoid`; empty if there is none.
  std::optional<size_t> best_ready(uint64_t now_ms, std::optional<size_t> avoid = {});
  // best_ready() without `avoid`, else with it, else the server whose back-off ends first.
  size_t best(uint64_t now_ms, std::optional<size_t> avoid = {});

  void taken(size_t server) { ++servers_[server].in_flight; }
  void released(size_t server) { --servers_[server].in_flight; }
  // No connection came about.
  void failed(size_t server, uint64_t now_ms);
  void accepted(size_t server);
  // Whether it has accepted nothing for `span_ms` since its first failure.
  bool down_for(size_t server, uint64_t now_ms, uint64_t span_ms) const;

 private:
  struct Server {
    unsigned weight;
    unsigned in_flight = 0;
    uint64_t backoff_ms = 0;  // 0: none
    uint64_t left_out_until_ms = 0;
    uint64_t down_since_ms = 0;  // 0: it is not
  };

  std::vector<Server> servers_;
  size_t turn_ = 0;  // where the search begins
};

}  // namespace holdfast::fcgi
