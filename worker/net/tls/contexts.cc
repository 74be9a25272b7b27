#include "worker/net/tls/contexts.h"

#include <utility>

#include "base/check.h"

namespace holdfast::tls {

const Context* Contexts::make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca) {
  if (certificates.empty()) return nullptr;
  const conf::Server& server = heritage_.config->server;
  Tickets tickets;
  tickets.lifetime_ms = server.tls_ticket_lifetime_ms;
  if (tickets.lifetime_ms > 0) tickets.keys = heritage_.segment->ticket_keys();
  Result<Context> made = Context::make(certificates, client_ca, tickets, server.tls_groups);
  HF_CHECK(made);  // the configuration was refused otherwise
  return &contexts_.emplace_back(std::move(*made));
}

}  // namespace holdfast::tls
