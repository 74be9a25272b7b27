// worker/backends/fcgi/exchange.h - one request on its way: from submit() until its caller has the answer.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "worker/backends/fcgi/pool.h"

namespace holdfast::fcgi {

struct Exchange {
  std::string bytes;  // encode_request(); kept whole until the answer begins, for a retry
  std::string session;
  Caller* caller = nullptr;  // null: nobody waits for the answer
  uint64_t ticket = 0;
  uint64_t submitted_us = 0;
  uint64_t submitted_ms = 0;
  std::optional<size_t> avoid;  // the server that did not take it
  bool retried = false;
  bool counted = false;  // as backend.requests
};

using ExchangePtr = std::unique_ptr<Exchange>;

// What travels; whoever adds a member carries it. The caller is the successor's own.
static_assert(sizeof(Exchange) == 120);
inline ExchangeRecord save_exchange(const Exchange& e,
                                    const std::vector<conf::BackendServer>& servers) {
  return {e.bytes,
          e.session,
          e.caller != nullptr,
          e.ticket,
          e.submitted_us,
          e.submitted_ms,
          e.avoid ? servers[*e.avoid].address.text : std::string(),
          e.retried,
          e.counted};
}

}  // namespace holdfast::fcgi
