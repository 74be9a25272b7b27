// worker/clients/homes.h - the listeners that clients have come by, each with what its clients share.
//
// A home is made when its listener, or the first client of it, needs it, and stays.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "worker/backends/registry.h"
#include "worker/clients/admission.h"
#include "worker/clients/client.h"
#include "worker/net/tls/contexts.h"

namespace holdfast {

class ClientHomes {
 public:
  ClientHomes(Runtime& runtime, Sessions& sessions, ConnectionTable& connections,
              Backends& backends, Admission& admission, tls::Contexts& contexts,
              Passage* passage = nullptr)
      : runtime_(runtime),
        sessions_(sessions),
        connections_(connections),
        backends_(backends),
        admission_(admission),
        contexts_(contexts),
        passage_(passage),
        by_listen_(runtime.config.listens.size()) {}

  ClientHome& at(size_t index);  // in Config::listens
  // Of a WebSocket listener, by what does not change with a reload. Null: our configuration has none such.
  ClientHome* of(std::string_view address, std::string_view path);
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
  Passage* passage_;
  std::deque<ClientHome> homes_;
  std::vector<ClientHome*> by_listen_;  // by index in Config::listens
};

}  // namespace holdfast
