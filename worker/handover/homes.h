// worker/handover/homes.h - where a worker's connections belong: the listeners they came by, and the backends behind.
//
// A home is made when the first listener or connection needs it, and stays. After a handover there are homes
// of the predecessor's too: a connection whose listener (address, protocol, framing) stands in our
// configuration belongs to that one, with the settings of now; any other keeps the listener and the backend it
// came with, which no newcomer gets. A session always keeps the backend, by name, that knows it.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "worker/api/connection.h"
#include "worker/api/strangers.h"
#include "worker/backends/resolver.h"
#include "worker/clients/admission.h"
#include "worker/clients/client.h"
#include "worker/handover/slot_records.h"
#include "worker/net/tls/context.h"
#include "worker/observe/tracer.h"
#include "worker/routing/push_router.h"

namespace holdfast {

class Homes {
 public:
  using Backends = std::map<std::string, std::unique_ptr<Backend>>;

  Homes(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub,
        PushRouter& router, Tracer& tracer, Admission& admission, ConnectionTable& connections);

  // `index`: in Config::listens, or Config::apis.
  ClientHome& client_home(size_t index);
  ApiHome& api_home(size_t index);
  Backend& backend_of(const conf::Listen& listen);
  Backends& backends() { return backends_; }
  Resolver& resolver() { return resolver_; }
  const std::string& name_of(const Backend& backend) const;
  std::deque<ApiHome>& api_homes() { return api_homes_; }

  // ---- handover
  // Listeners and backends for a successor, those of earlier generations that are still in use included.
  // Clients' records name a listener by its index in it.
  handover::ConfigRecord save() const;
  // The predecessor's. Errc::bad_input: an address that is none.
  Result<void> move_in(handover::ConfigRecord&& former);
  // Null: no such index.
  ClientHome* former_client_home(size_t index);
  // Null: there is no such api any more; then its connections end.
  ApiHome* former_api_home(const std::string& name);
  Backend* former_backend(const std::string& name);  // null: no such name
  // The listener that the directory notes for a session of this home, for the close event if this worker dies: an index
  // in Config::listens whose backend is the session's; kNowhere if there is none.
  static constexpr uint16_t kNowhere = UINT16_MAX;
  uint16_t directory_index(const Session& session) const;

 private:
  std::unique_ptr<Backend> make_backend(const conf::Backend& conf);
  // Null: it speaks without TLS.
  const tls::Context* tls_context(const std::vector<conf::Certificate>& certificates,
                                  const std::string& client_ca = {});

  Runtime& runtime_;
  const Heritage& heritage_;
  const conf::Config& config_;
  Sessions& sessions_;
  Hub& hub_;
  PushRouter& router_;
  Tracer& tracer_;
  Admission& admission_;
  ConnectionTable& connections_;
  LogGate complaints_;             // of router wire listeners
  Strangers strangers_;            // on API listeners
  handover::ConfigRecord former_;  // of the predecessor; the parts still used are referred to
  Resolver resolver_;              // before its askers
  Backends backends_;
  std::deque<tls::Context> tls_contexts_;
  std::deque<ClientHome> client_homes_;
  std::deque<ApiHome> api_homes_;
  std::vector<ClientHome*> by_listen_;   // by index in Config::listens
  std::vector<ApiHome*> by_api_;         // by index in Config::apis
  std::vector<ClientHome*> by_former_;   // by the predecessor's index
  std::vector<ClientHome*> kept_homes_;  // whose listeners our configuration lacks
};

}  // namespace holdfast
