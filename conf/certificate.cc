#include "conf/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <memory>

namespace holdfast::conf {
namespace {

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

Bio reading(const std::string& text) {
  return Bio(BIO_new_mem_buf(text.data(), int(text.size())));
}

std::string why() {
  char text[256] = "unknown";
  if (unsigned long code = ERR_peek_last_error(); code != 0)
    ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return text;
}

// No pass phrase is asked for.
int no_password(char*, int, int, void*) {
  return 0;
}

// Did the last PEM_read_bio_X509() find nothing, and not something it could not read?
bool at_end_of_pem() {
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (at_end) ERR_clear_error();
  return at_end;
}

bool use_chain(SSL_CTX* context, const std::string& chain) {
  Bio bio = reading(chain);
  X509* leaf = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr);
  bool used = leaf != nullptr && SSL_CTX_use_certificate(context, leaf) == 1;
  X509_free(leaf);
  if (!used) return false;
  while (X509* more = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) {
    if (SSL_CTX_add0_chain_cert(context, more) == 1) continue;
    X509_free(more);
    return false;
  }
  return at_end_of_pem();
}

bool use_key(SSL_CTX* context, const std::string& key) {
  Bio bio = reading(key);
  EVP_PKEY* parsed = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
  bool used = parsed != nullptr && SSL_CTX_use_PrivateKey(context, parsed) == 1;
  EVP_PKEY_free(parsed);
  return used;
}

}  // namespace

Result<void> use_certificate(SSL_CTX* context, const Certificate& certificate) {
  auto bad = [](std::string_view what) {
    return Error{Errc::bad_input, 0, std::string(what) + ": " + why()};
  };
  ERR_clear_error();
  if (!use_chain(context, certificate.chain)) return bad("no PEM chain of certificates");
  if (!use_key(context, certificate.key)) return bad("no PEM key, or that of another certificate");
  if (SSL_CTX_check_private_key(context) != 1) return bad("the key is another's");
  return {};
}

Result<void> use_groups(SSL_CTX* context, const std::vector<std::string>& groups) {
  ERR_clear_error();
  std::string list;
  for (const std::string& group : groups) {
    // What else may stand in such a list means something to OpenSSL.
    bool name = group.find_first_not_of(
                    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                    "0123456789-_") == group.npos;
    if (!name || SSL_CTX_set1_groups_list(context, group.c_str()) != 1) {
      ERR_clear_error();
      return Error{Errc::bad_input, 0, "\"" + group + "\" is no group that OpenSSL knows"};
    }
    list += (list.empty() ? "" : ":") + group;
  }
  if (!list.empty() && SSL_CTX_set1_groups_list(context, list.c_str()) == 1) return {};
  ERR_clear_error();
  return Error{Errc::bad_input, 0, list.empty() ? "no group" : "the same group twice"};
}

Result<void> require_client_certificate(SSL_CTX* context, const std::string& authorities) {
  ERR_clear_error();
  Bio bio = reading(authorities);
  size_t added = 0;
  bool taken = true;
  while (X509* authority = PEM_read_bio_X509(bio.get(), nullptr, no_password, nullptr)) {
    taken = taken && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) == 1 &&
            SSL_CTX_add_client_CA(context, authority) == 1;
    X509_free(authority);
    ++added;
  }
  if (!taken || added == 0 || !at_end_of_pem())
    return Error{Errc::bad_input, 0, "no PEM certificates: " + why()};
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return {};
}

}  // namespace holdfast::conf
