#include "worker/net/tls/secrets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace holdfast::tls {
namespace {

// Each fetched once a process; kept for ever.
EVP_KDF* kdf_of(const char* name) {
  return EVP_KDF_fetch(nullptr, name, nullptr);
}

const char* digest_of(const Secrets& secrets) {
  return secrets.sha384 ? "SHA384" : "SHA256";
}

OSSL_PARAM octets(const char* name, std::string_view bytes) {
  return OSSL_PARAM_construct_octet_string(name, const_cast<char*>(bytes.data()), bytes.size());
}
OSSL_PARAM text(const char* name, const char* value) {
  return OSSL_PARAM_construct_utf8_string(name, const_cast<char*>(value), 0);
}

bool derive(EVP_KDF* kdf, std::vector<OSSL_PARAM> params, std::span<uint8_t> out) {
  params.push_back(OSSL_PARAM_construct_end());
  std::unique_ptr<EVP_KDF_CTX, decltype(&EVP_KDF_CTX_free)> context(EVP_KDF_CTX_new(kdf),
                                                                    EVP_KDF_CTX_free);
  return context && EVP_KDF_derive(context.get(), out.data(), out.size(), params.data()) == 1;
}

// HKDF-Expand-Label(secret, label, "", bytes) of RFC 8446 section 7.1.
bool expand(const Secrets& secrets, const Keys& keys, std::string_view label,
            std::span<uint8_t> out) {
  static EVP_KDF* const kdf = kdf_of("TLS13-KDF");
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  std::string_view secret(reinterpret_cast<const char*>(keys.secret.data()),
                          secrets.secret_bytes());
  return derive(kdf,
                {OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
                 text(OSSL_KDF_PARAM_DIGEST, digest_of(secrets)),
                 octets(OSSL_KDF_PARAM_KEY, secret), octets(OSSL_KDF_PARAM_PREFIX, "tls13 "),
                 octets(OSSL_KDF_PARAM_LABEL, label), octets(OSSL_KDF_PARAM_DATA, "")},
                out);
}

}  // namespace

bool derive_keys(const Secrets& secrets, Keys& keys) {
  keys.sequence = 0;
  return expand(secrets, keys, "key", std::span(keys.key).first(key_bytes(secrets.cipher))) &&
         expand(secrets, keys, "iv", keys.iv);
}

bool update_keys(const Secrets& secrets, Keys& keys) {
  Keys next;
  if (!expand(secrets, keys, "traffic upd", std::span(next.secret).first(secrets.secret_bytes())))
    return false;
  if (!derive_keys(secrets, next)) return false;
  keys = next;
  return true;
}

bool derive_keys(Secrets& secrets, std::string_view master, std::string_view client_random,
                 std::string_view server_random) {
  static EVP_KDF* const kdf = kdf_of("TLS1-PRF");
  size_t key = key_bytes(secrets.cipher), iv = secrets.cipher == Cipher::chacha20_poly1305 ? 12 : 4;
  std::string seed = "key expansion";
  seed.append(server_random).append(client_random);
  std::vector<uint8_t> block(2 * key + 2 * iv);
  if (!derive(kdf,
              {text(OSSL_KDF_PARAM_DIGEST, digest_of(secrets)),
               octets(OSSL_KDF_PARAM_SECRET, master), octets(OSSL_KDF_PARAM_SEED, seed)},
              block))
    return false;
  auto from = block.begin();
  auto take = [&](auto& to, size_t bytes) {
    std::copy_n(from, bytes, to.begin());
    from += std::ptrdiff_t(bytes);
  };
  take(secrets.in.key, key);
  take(secrets.out.key, key);
  take(secrets.in.iv, iv);
  take(secrets.out.iv, iv);
  return true;
}

}  // namespace holdfast::tls
