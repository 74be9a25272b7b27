// worker/clients/admission.h - may an address have one more connection? The limits max_connections_per_ip and connect_rate_per_ip.
//
// A connection is counted from the moment its client's address is known (at accept, by its PROXY header, or by the request that
// a proxy forwards) until its session has ended, or it has gone without one; the place of its address travels in its
// SessionOrigin. Proxies and unix sockets are not counted themselves, unless the header that names their client cannot be read:
// then the hop that sent it is, with all its like (unix sockets together), for a client could have brought that about. Counts
// are exact over all workers (shm/addresses.h); connections that came before a limit was set are not counted.
//
// A client that is refused on a WebSocket without TLS gets an answer (429), and lingers for it; at most kPolite of them at a
// time, so that one address cannot use up the descriptors with its refusals. All others are closed without an answer.
#pragma once

#include "shm/addresses.h"
#include "shm/session_directory.h"
#include "worker/net/runtime.h"

namespace holdfast {

class Admission {
 public:
  static constexpr unsigned kPolite = 256;
  enum class Verdict : uint8_t { admitted, too_many, too_fast, no_memory };

  Admission(Runtime& runtime, shm::AddressTable table) : runtime_(runtime), table_(table) {}

  enum class Who : uint8_t { client, unreadable };

  // Admitted: counted, if there is a limit. Refusals are counted by reason.
  Verdict enter(shm::SessionOrigin& origin, Who who = Who::client);
  void leave(uint32_t place) { table_.leave(runtime_.slot, place); }

  // May one more of the refused get an answer? Then until farewell_done().
  bool begin_farewell() {
    if (farewells_ == kPolite) return false;
    ++farewells_;
    return true;
  }
  void farewell_done() { --farewells_; }

 private:
  uint64_t shared_now() const;

  Runtime& runtime_;
  shm::AddressTable table_;
  unsigned farewells_ = 0;
};

}  // namespace holdfast
