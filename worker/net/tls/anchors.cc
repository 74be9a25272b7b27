#include "worker/net/tls/anchors.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <memory>

namespace holdfast::tls {
namespace {

// "" where one of them cannot be encoded.
std::string digest_of(const X509* certificate) {
  unsigned char *name = nullptr, *key = nullptr;
  int name_bytes = i2d_X509_NAME(X509_get_subject_name(certificate), &name);
  int key_bytes = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &key);
  std::string both;
  if (name_bytes > 0 && key_bytes > 0) {
    both.assign(reinterpret_cast<const char*>(name), size_t(name_bytes));
    both.append(reinterpret_cast<const char*>(key), size_t(key_bytes));
  }
  OPENSSL_free(name);
  OPENSSL_free(key);
  if (both.empty()) return {};
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(both.data()), both.size(), digest);
  return {reinterpret_cast<const char*>(digest), sizeof digest};
}

}  // namespace

std::string anchor_of(const SSL* ssl) {
  STACK_OF(X509)* chain = SSL_get0_verified_chain(ssl);
  int length = chain == nullptr ? 0 : sk_X509_num(chain);
  std::string digest = length == 0 ? std::string() : digest_of(sk_X509_value(chain, length - 1));
  return digest.empty() ? kNoAnchor : digest;
}

std::vector<std::string> anchors_in(const std::string& pem) {
  std::vector<std::string> anchors;
  std::unique_ptr<BIO, decltype(&BIO_free)> in(BIO_new_mem_buf(pem.data(), int(pem.size())),
                                               BIO_free);
  while (in) {
    std::unique_ptr<X509, decltype(&X509_free)> one(
        PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr), X509_free);
    if (!one) break;
    if (std::string digest = digest_of(one.get()); !digest.empty()) anchors.push_back(digest);
  }
  ERR_clear_error();  // the end of the text is told as an error
  return anchors;
}

}  // namespace holdfast::tls
