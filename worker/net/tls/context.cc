#include "worker/net/tls/context.h"

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <span>
#include <string_view>

#include "conf/certificate.h"
#include "worker/net/tls/accepting.h"

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

// Beyond these a stranger would have us work before we know whether we know him.
int judge_certificates(X509_STORE_CTX* shown, void*) {
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(shown);
  auto refuse = [&](int why) {
    X509_STORE_CTX_set_error(shown, why);
    return 0;
  };
  if (sk_X509_num(chain) > Context::kMostCertificates)
    return refuse(X509_V_ERR_CERT_CHAIN_TOO_LONG);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    const EVP_PKEY* key = X509_get0_pubkey(sk_X509_value(chain, i));
    if (key == nullptr) return refuse(X509_V_ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY);
    int kind = EVP_PKEY_get_base_id(key);
    bool rsa = kind == EVP_PKEY_RSA || kind == EVP_PKEY_RSA_PSS;
    if (rsa && EVP_PKEY_get_bits(key) > Context::kMostRsaBits) return refuse(X509_V_ERR_INVALID_CA);
    if (!rsa && kind != EVP_PKEY_EC && kind != EVP_PKEY_ED25519 && kind != EVP_PKEY_ED448)
      return refuse(X509_V_ERR_INVALID_CA);
  }
  return X509_verify_cert(shown);
}

bool bound_certificates(SSL_CTX* context) {
  SSL_CTX_set_cert_verify_callback(context, judge_certificates, nullptr);
  SSL_CTX_set_verify_depth(context, Context::kMostCertificates);
  SSL_CTX_set_max_cert_list(context, long(Context::kCertificateBytes));
  return SSL_CTX_set1_client_sigalgs_list(
             context,
             "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:RSA-PSS+SHA256:RSA-PSS+SHA384:"
             "RSA-PSS+SHA512:rsa_pss_pss_sha256:rsa_pss_pss_sha384:rsa_pss_pss_sha512:RSA+SHA256:"
             "RSA+SHA384:RSA+SHA512") == 1;
}

bool negotiate(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                   SSL_OP_PRIORITIZE_CHACHA);
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION  // since OpenSSL 3.2
  SSL_CTX_set_options(context,
                      SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#endif
  SSL_CTX_set_max_early_data(context, 0);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // many wait for the client's next flight
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_keylog_callback(context, on_secret);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
  return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!PSK:!SRP") == 1 &&
         SSL_CTX_set_ciphersuites(context,
                                  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                  "TLS_CHACHA20_POLY1305_SHA256") == 1;
}

// What seals a ticket, and opens one of the same key (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).
bool use_key(const shm::TicketKey& key, const unsigned char* iv, EVP_CIPHER_CTX* cipher,
             EVP_MAC_CTX* mac, bool sealing) {
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY,
                                        const_cast<unsigned char*>(key.mac.data()), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params) == 1 &&
         EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, sealing) == 1;
}

int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int sealing) {
  constexpr int kFailed = -1, kUnknown = 0, kTaken = 1, kTakenAndRenewed = 2;
  const shm::TicketKeys& keys = *Accepting::of(ssl).context().ticket_keys();
  if (sealing == 1) {
    shm::TicketKey key = keys.newest();
    std::copy(key.name.begin(), key.name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return kFailed;
    return use_key(key, iv, cipher, mac, true) ? kTaken : kFailed;
  }
  std::optional<shm::TicketKey> key =
      keys.named(std::span<const unsigned char, 16>(name, sizeof(shm::TicketKey::name)));
  if (!key) return kUnknown;
  return use_key(*key, iv, cipher, mac, false) ? kTakenAndRenewed : kFailed;
}

// A ticket of one listener is good at the others too: none of them has asked for a certificate.
bool resume(SSL_CTX* context, const Tickets& tickets, bool client_ca) {
  if (client_ca || !tickets.keys) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    return SSL_CTX_set_num_tickets(context, 0) == 1;
  }
  constexpr std::string_view kOurs = "holdfast";
  SSL_CTX_set_timeout(context, long(std::max<uint64_t>(1, tickets.lifetime_ms / 1000)));
  return SSL_CTX_set_session_id_context(
             context, reinterpret_cast<const unsigned char*>(kOurs.data()), kOurs.size()) == 1 &&
         SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key) == 1 &&
         SSL_CTX_set_num_tickets(context, 1) == 1;
}

}  // namespace

Result<Context> Context::make(const std::vector<conf::Certificate>& certificates,
                              const std::string& client_ca, const Tickets& tickets,
                              const std::vector<std::string>& groups) {
  Context made;
  made.ticket_keys_ = tickets.keys;
  for (size_t i = 0; i < certificates.size(); ++i) {
    SSL_CTX* context = made.all_.emplace_back(SSL_CTX_new(TLS_server_method())).get();
    bool negotiates =
        context != nullptr && negotiate(context) && resume(context, tickets, !client_ca.empty());
    if (!negotiates) return Error{Errc::io, 0, "OpenSSL makes no context"};
    if (Result<void> used = conf::use_certificate(context, certificates[i]); !used)
      return Error{Errc::bad_input, 0,
                   fmt::format("certificate {}: {}", i + 1, used.error().text())};
    if (Result<void> used = conf::use_groups(context, groups); !used)
      return std::move(used).error();
    if (client_ca.empty()) continue;
    if (!bound_certificates(context)) return Error{Errc::io, 0, "OpenSSL makes no context"};
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
