// worker/tls/context.h - what a listener's hand-shakes have in common: certificates, and what is negotiated.
//
//   versions   1.2 and 1.3
//   ciphers    AEAD with an ephemeral key exchange: AES-GCM, ChaCha20-Poly1305; the server's order
//   ALPN       "http/1.1"; a client that offers only others is refused (RFC 7301 section 3.2), one that offers none is served
//   SNI        the first certificate that is for the name the client asked for; without, the listener's first
//   clients    must show a certificate where there is a client_ca: who may have signed it
//   never      renegotiation, compression, early data
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"

namespace holdfast::tls {

class Context {
 public:
  // Errc::bad_input: which of them cannot be used, and why.
  static Result<Context> make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca = {});

  SSL_CTX* first() const { return all_.front().get(); }
  // For a name of SNI; first() where none is for it.
  SSL_CTX* named(const char* name) const;

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  std::vector<std::unique_ptr<SSL_CTX, Free>> all_;
};

}  // namespace holdfast::tls
