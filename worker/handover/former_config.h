// worker/handover/former_config.h - where connections belong that have come by a predecessor's listeners.
//
// A connection whose listener (address, protocol, framing) stands in our configuration belongs to that one, with the settings of
// now; any other keeps the listener and the back end it came with, which nobody new comes to. A session always keeps the back end,
// by name, that knows it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/backends/registry.h"
#include "worker/clients/homes.h"
#include "worker/handover/slot_records.h"

namespace holdfast::handover {

class FormerConfig {
 public:
  // `former`: the room for what move_in() brings; it outlives backends and clients, which refer to it.
  FormerConfig(const conf::Config& config, ConfigRecord& former, Backends& backends,
               ClientHomes& clients)
      : config_(config), former_(former), backends_(backends), clients_(clients) {}

  // Listeners and backends for a successor, those of earlier generations that are still in use included.
  // Clients' records name a listener by its index in it.
  ConfigRecord save() const;
  // The predecessor's. Errc::bad_input: an address that is none.
  Result<void> move_in(ConfigRecord&& former);
  // Null: no such index.
  ClientHome* client_home(size_t index);
  Backend* backend(const std::string& name);  // null: no such name
  // What the directory says of a session's listener, for the close event if this worker dies: an index in
  // Config::listens whose backend is the session's; kNowhere if there is none.
  static constexpr uint16_t kNowhere = UINT16_MAX;
  uint16_t directory_index(const Session& session) const;

 private:
  const conf::Config& config_;
  ConfigRecord& former_;
  Backends& backends_;
  ClientHomes& clients_;
  std::vector<ClientHome*> by_former_;   // by the predecessor's index
  std::vector<ClientHome*> kept_homes_;  // whose listeners our configuration lacks
};

}  // namespace holdfast::handover
