// worker/clients/homes.h - the listeners that clients have come by, each with what its clients share.
//
// A home is made when its listener, or the first client of it, needs it, and stays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "worker/backends/registry.h"
#include "worker/clients/admission.h"
#include "worker/clients/client.h"
#include "worker/net/tls/contexts.h"

namespace holdfast {

class ClientHomes {
 public:
  ClientHomes(Runtime& runtime, Sessions& sessions, ConnectionTable& connections,
              Backends& backends, Admission& admission, tls::Contexts& contexts)
      : runtime_(runtime),
        sessions_(sessions),
        connections_(connections),
        backends_(backends),
        admission_(admission),
        contexts_(contexts),
        by_listen_(runtime.config.listens.size()) {}

  ClientHome& at(size_t index);  // in Config::listens
  // Of a listener that our configuration lacks, and that outlives this; no new client comes by it, so it needs no TLS context.
  // `number` takes the place of its index.
  ClientHome& keep(const conf::Listen& listen, uint16_t number, Backend& backend);

 private:
  Runtime& runtime_;
  Sessions& sessions_;
  ConnectionTable& connections_;
  Backends& backends_;
  Admission& admission_;
  tls::Contexts& contexts_;
  std::deque<ClientHome> homes_;
  std::vector<ClientHome*> by_listen_;  // by index in Config::listens
};

}  // namespace holdfast
