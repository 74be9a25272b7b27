#include "worker/clients/admission.h"

#include "base/log.h"
#include "base/process_clock.h"
#include "worker/net/address_text.h"
#include "worker/net/memory_refused.h"

namespace holdfast {

// The table is shared by processes that need not have stood still together.
uint64_t Admission::shared_now() const {
  return runtime_.now_ms + process_clock.stood_still_ms();
}

Admission::Verdict Admission::enter(shm::SessionOrigin& origin, Who who) {
  const conf::Limits& limits = runtime_.config.limits;
  bool unlimited = limits.max_connections_per_ip == 0 && limits.connect_rate_per_ip == 0;
  if (unlimited || (who == Who::client && is_unix(origin))) return Verdict::admitted;
  shm::AddressTable::Seen seen = table_.enter(runtime_.slot, origin.peer, shared_now());
  // Not admitted uncounted: whoever fills the memory would be rid of the limits by it.
  if (seen.no_page) {
    count_memory_refused(runtime_.stats, "connections, as their address cannot be counted,");
    return Verdict::no_memory;
  }
  if (seen.place == shm::kNoPlace) runtime_.stats.limits_address_untracked.add();
  auto beyond = [](uint32_t n, unsigned limit) { return limit != 0 && n > limit; };
  Verdict verdict = Verdict::admitted;
  if (beyond(seen.rate, limits.connect_rate_per_ip)) verdict = Verdict::too_fast;
  if (beyond(seen.connections, limits.max_connections_per_ip)) verdict = Verdict::too_many;
  if (verdict == Verdict::admitted) {
    origin.address_place = seen.place;
    return verdict;
  }
  table_.refuse(runtime_.slot, seen.place, shared_now());
  bool many = verdict == Verdict::too_many;
  (many ? runtime_.stats.limits_address_connections : runtime_.stats.limits_address_rate).add();
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_warn("address refused peer={} limit={} times={}", peer_text(origin),
             many ? "max_connections_per_ip" : "connect_rate_per_ip", n);
  return verdict;
}

}  // namespace holdfast
