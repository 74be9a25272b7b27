// worker/net/tls/contexts.h - the TLS contexts of a worker's listeners, made when the first connection of one needs it.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "conf/config.h"
#include "worker/net/heritage.h"
#include "worker/net/tls/context.h"

namespace holdfast::tls {

class Contexts {
 public:
  explicit Contexts(const Heritage& heritage) : heritage_(heritage) {}
  // Null: no certificates, so the listener speaks without TLS. Stays where it is.
  const Context* make(const std::vector<conf::Certificate>& certificates,
                      const std::string& client_ca = {});

 private:
  const Heritage& heritage_;
  std::deque<Context> contexts_;
};

}  // namespace holdfast::tls
