// worker/net/tls/context.h - the common part of a listener's hand-shakes: certificates, and the terms that are negotiated.
//
//   versions   1.2 and 1.3
//   ciphers    AEAD with an ephemeral key exchange: AES-GCM, ChaCha20-Poly1305; the server's order
//   groups     of the key exchange: as configured (server.tls_groups); by default none for which a hello costs over a millisecond
//   ALPN       "http/1.1"; a client that offers only others is refused (RFC 7301 section 3.2), one that offers none is served
//   SNI        the first certificate that is for the name the client asked for; without, the listener's first
//   clients    must show a certificate if there is a client_ca, signed by one of that. At most kMostCertificates of at most
//              kCertificateBytes, RSA keys of at most kMostRsaBits: checked before any signature is
//   tickets    if there is no client_ca: sessions are resumed by tickets of the instance's keys (RFC 5077, RFC 8446 section
//              4.6.1), in 1.3 with a new key exchange; each use brings a new ticket, for each may be used once
//   fragments  as short as the client asks for (max_fragment_length, RFC 6066 section 4): Records keeps to it
//   never      renegotiation, compression (of records or certificates), early data, encrypt-then-MAC (there is no MAC), post-handshake
//              authentication; OpenSSL knows no record_size_limit, heartbeat or ALPS and leaves them unanswered
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "shm/ticket_keys.h"
#include "worker/net/tls/records.h"

namespace holdfast::tls {

struct Tickets {
  std::optional<shm::TicketKeys> keys;  // empty: no tickets
  uint64_t lifetime_ms = 0;
};

class Context {
 public:
  static constexpr int kMostCertificates = 8;
  static constexpr size_t kCertificateBytes = 32 * 1024;
  static constexpr int kMostRsaBits = 8'192;

  // Errc::bad_input: names the one that cannot be used, and why.
  static Result<Context> make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca = {}, const Tickets& tickets = {},
                              const std::vector<std::string>& groups = conf::Server().tls_groups);

  SSL_CTX* first() const { return all_.front().get(); }
  // For a name of SNI; first() if none is for it.
  SSL_CTX* named(const char* name) const;
  const std::optional<shm::TicketKeys>& ticket_keys() const { return ticket_keys_; }
  // Of Records; tests make it small.
  uint64_t most_records() const { return most_records_; }
  void most_records(uint64_t most) { most_records_ = most; }

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::vector<std::unique_ptr<SSL_CTX, Free>> all_;
  std::optional<shm::TicketKeys> ticket_keys_;
  uint64_t most_records_ = Records::kMostRecords;
};

}  // namespace holdfast::tls
