// worker/tls/context.h - what a listener's hand-shakes have in common: certificates, and what is negotiated.
//
//   versions   1.2 and 1.3
//   ciphers    AEAD with an ephemeral key exchange: AES-GCM, ChaCha20-Poly1305; the server's order
//   ALPN       "http/1.1"; a client that offers only others is refused (RFC 7301 section 3.2), one that offers none is served
//   SNI        the first certificate that is for the name the client asked for; without, the listener's first
//   clients    must show a certificate where there is a client_ca: who may have signed it
//   tickets    where there is no client_ca: sessions are resumed by tickets of the instance's keys (RFC 5077, RFC 8446 section
//              4.6.1), in 1.3 with a new key exchange; each use brings a new ticket, for each may be used once
//   never      renegotiation, compression, early data
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "shm/ticket_keys.h"

namespace holdfast::tls {

struct Tickets {
  std::optional<shm::TicketKeys> keys;  // empty: no tickets
  uint64_t lifetime_ms = 0;
};

class Context {
 public:
  // Errc::bad_input: which of them cannot be used, and why.
  static Result<Context> make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca = {}, const Tickets& tickets = {});

  SSL_CTX* first() const { return all_.front().get(); }
  // For a name of SNI; first() where none is for it.
  SSL_CTX* named(const char* name) const;
  const std::optional<shm::TicketKeys>& ticket_keys() const { return ticket_keys_; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::vector<std::unique_ptr<SSL_CTX, Free>> all_;
  std::optional<shm::TicketKeys> ticket_keys_;
};

}  // namespace holdfast::tls
