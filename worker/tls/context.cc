#include "worker/tls/context.h"

#include <fmt/format.h>
#include <openssl/x509v3.h>

#include "conf/certificate.h"
#include "worker/tls/accepting.h"

namespace holdfast::tls {
namespace {

int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                    const unsigned char* offered, unsigned offered_bytes, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_bytes, kOurs, sizeof kOurs - 1, offered,
                            offered_bytes) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

int choose_certificate(SSL* ssl, int*, void*) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_SSL_CTX(ssl, Accepting::of(ssl).context().named(name));
  return SSL_TLSEXT_ERR_OK;
}

void on_secret(const SSL* ssl, const char* line) {
  Accepting::of(ssl).take_secret(line);
}

bool negotiate(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   SSL_OP_NO_TICKET);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_keylog_callback(context, on_secret);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
  return SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP") == 1 &&
         SSL_CTX_set_ciphersuites(context,
                                  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                  "TLS_CHACHA20_POLY1305_SHA256") == 1;
}

}  // namespace

Result<Context> Context::make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca) {
  Context made;
  for (size_t i = 0; i < certificates.size(); ++i) {
    SSL_CTX* context = made.all_.emplace_back(SSL_CTX_new(TLS_server_method())).get();
    bool negotiates = context != nullptr && negotiate(context);
    if (!negotiates) return Error{Errc::io, 0, "OpenSSL makes no context"};
    if (Result<void> used = conf::use_certificate(context, certificates[i]); !used)
      return Error{Errc::bad_input, 0,
                   fmt::format("certificate {}: {}", i + 1, used.error().text())};
    if (client_ca.empty()) continue;
    if (Result<void> used = conf::require_client_certificate(context, client_ca); !used)
      return std::move(used).error();
  }
  if (made.all_.empty()) return Error{Errc::bad_input, 0, "no certificate"};
  return made;
}

SSL_CTX* Context::named(const char* name) const {
  for (const auto& context : all_)
    if (X509_check_host(SSL_CTX_get0_certificate(context.get()), name, 0, 0, nullptr) == 1)
      return context.get();
  return first();
}

}  // namespace holdfast::tls
