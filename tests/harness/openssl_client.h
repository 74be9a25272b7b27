// tests/harness/openssl_client.h - a TLS client by OpenSSL whose bytes the test carries, and certificates made on the spot.
#pragma once

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "conf/certificate.h"
#include "conf/config.h"

namespace holdfast::test {

inline std::string pem_of(const std::function<int(BIO*)>& write) {
  BIO* bio = BIO_new(BIO_s_mem());
  HF_CHECK(write(bio) == 1);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, size_t(size));
  BIO_free(bio);
  return pem;
}

inline X509* certificate_of(const conf::Certificate& made) {
  BIO* bio = BIO_new_mem_buf(made.chain.data(), int(made.chain.size()));
  X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  HF_CHECK(certificate != nullptr);
  return certificate;
}

inline EVP_PKEY* key_of(const conf::Certificate& made) {
  BIO* bio = BIO_new_mem_buf(made.key.data(), int(made.key.size()));
  EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
  BIO_free(bio);
  HF_CHECK(key != nullptr);
  return key;
}

// Signed by `signer`, or by itself: that one may sign others. Takes the key.
inline conf::Certificate make_certificate(const std::vector<std::string>& names,
                                          const conf::Certificate* signer = nullptr,
                                          EVP_PKEY* key = EVP_EC_gen("P-256")) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), signer == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(names[0].c_str()), -1, -1, 0);
  auto extend = [&](int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "DNS:" : ",DNS:") + name;
  extend(NID_subject_alt_name, all.c_str());
  if (signer == nullptr) {
    extend(NID_basic_constraints, "critical,CA:TRUE");
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    HF_CHECK(X509_sign(certificate, key, EVP_sha256()) > 0);
  } else {
    X509* authority = certificate_of(*signer);
    EVP_PKEY* its_key = key_of(*signer);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority));
    HF_CHECK(X509_sign(certificate, its_key, EVP_sha256()) > 0);
    X509_free(authority);
    EVP_PKEY_free(its_key);
  }
  conf::Certificate made{
      "", "", pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); }),
      pem_of([&](BIO* bio) {
        return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
      })};
  X509_free(certificate);
  EVP_PKEY_free(key);
  return made;
}

using TlsSession = std::shared_ptr<SSL_SESSION>;

struct ClientWishes {
  int version = 0;                                 // 0: any
  std::string ciphers;                             // suites of 1.3, or a list of 1.2; "": any
  std::string name;                                // SNI
  std::vector<std::string> protocols;              // ALPN
  const conf::Certificate* certificate = nullptr;  // to show to a server that asks
  TlsSession session;                              // to resume
  std::string groups;        // of the key exchange, the first with a share; "": OpenSSL's
  uint8_t max_fragment = 0;  // RFC 6066 section 4: 1 to 4 are 512 to 4096; 0: not asked for
};

class OpensslClient {
 public:
  explicit OpensslClient(const ClientWishes& wishes = {})
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_security_level(context_, 0);  // it may offer what the server must refuse
    SSL_CTX_set_min_proto_version(context_, wishes.version);
    SSL_CTX_set_max_proto_version(context_, wishes.version);
    if (!wishes.ciphers.empty())
      HF_CHECK((wishes.version == TLS1_3_VERSION
                    ? SSL_CTX_set_ciphersuites(context_, wishes.ciphers.c_str())
                    : SSL_CTX_set_cipher_list(context_, wishes.ciphers.c_str())) == 1);
    if (!wishes.groups.empty())
      HF_CHECK(SSL_CTX_set1_groups_list(context_, wishes.groups.c_str()) == 1);
    if (wishes.max_fragment != 0)
      HF_CHECK(SSL_CTX_set_tlsext_max_fragment_length(context_, wishes.max_fragment) == 1);
    if (wishes.certificate != nullptr) {
      HF_CHECK(conf::use_certificate(context_, *wishes.certificate));
    }
    ssl_ = SSL_new(context_);
    SSL_set_bio(ssl_, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_);
    if (!wishes.name.empty()) SSL_set_tlsext_host_name(ssl_, wishes.name.c_str());
    if (wishes.session) HF_CHECK(SSL_set_session(ssl_, wishes.session.get()) == 1);
    std::string offered;
    for (const std::string& protocol : wishes.protocols)
      offered += char(protocol.size()) + protocol;
    if (!offered.empty())
      SSL_set_alpn_protos(ssl_, reinterpret_cast<const unsigned char*>(offered.data()),
                          unsigned(offered.size()));
    BIO_set_mem_eof_return(SSL_get_rbio(ssl_), -1);
    (void)SSL_do_handshake(ssl_);
  }
  ~OpensslClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
  }
  OpensslClient(const OpensslClient&) = delete;

  SSL* ssl() { return ssl_; }
  bool shaken() const { return SSL_is_init_finished(ssl_) == 1; }
  std::string alpn() const {
    const unsigned char* chosen = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_, &chosen, &size);
    return {reinterpret_cast<const char*>(chosen), size};
  }
  // To be resumed; null: nothing came that one could resume it by.
  TlsSession session() {
    // A copy: without a shutdown the connection takes its own out of use at its end.
    TlsSession session(SSL_SESSION_dup(SSL_get0_session(ssl_)), SSL_SESSION_free);
    return SSL_SESSION_is_resumable(session.get()) == 1 ? session : nullptr;
  }
  bool resumed() const { return SSL_session_reused(ssl_) == 1; }
  std::string certificate_name() const {
    char name[256] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(SSL_get0_peer_certificate(ssl_)),
                              NID_commonName, name, sizeof name);
    return name;
  }
  // What it wants to send.
  std::string take() {
    char* bytes = nullptr;
    long size = BIO_get_mem_data(SSL_get_wbio(ssl_), &bytes);
    std::string taken(bytes, size_t(size));
    (void)BIO_reset(SSL_get_wbio(ssl_));
    return taken;
  }
  void give(std::string_view bytes) {
    if (!bytes.empty())
      HF_CHECK(BIO_write(SSL_get_rbio(ssl_), bytes.data(), int(bytes.size())) == int(bytes.size()));
    if (!shaken()) (void)SSL_do_handshake(ssl_);
  }
  void say(std::string_view text) {
    size_t written = 0;
    HF_CHECK(SSL_write_ex(ssl_, text.data(), text.size(), &written) == 1 && written == text.size());
  }
  // All that can be read now.
  std::string hear() {
    std::string heard;
    char bytes[20'000];
    for (size_t got = 0; SSL_read_ex(ssl_, bytes, sizeof bytes, &got) == 1;)
      heard.append(bytes, got);
    return heard;
  }
  bool told_to_close() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }

 private:
  SSL_CTX* context_;
  SSL* ssl_ = nullptr;
};

}  // namespace holdfast::test
