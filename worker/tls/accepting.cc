#include "worker/tls/accepting.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast::tls {
namespace {

std::string from_hex(std::string_view hex) {
  std::string bytes;
  auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += char(digit(hex[i]) << 4 | digit(hex[i + 1]));
  return bytes;
}

uint64_t records_in(std::string_view flight) {
  uint64_t records = 0;
  for (; flight.size() >= 5; ++records)
    flight.remove_prefix(std::min(flight.size(), 5 + size_t{load_be16(flight.data() + 3)}));
  return records;
}

std::optional<Cipher> cipher_of(int nid) {
  switch (nid) {
    case NID_aes_128_gcm:
      return Cipher::aes_128_gcm;
    case NID_aes_256_gcm:
      return Cipher::aes_256_gcm;
    case NID_chacha20_poly1305:
      return Cipher::chacha20_poly1305;
    default:
      return {};
  }
}

void forget(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace

Accepting::Accepting(const Context& context) : context_(context), ssl_(SSL_new(context.first())) {
  HF_CHECK(ssl_ != nullptr);
  SSL_set_app_data(ssl_.get(), this);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  HF_CHECK(in != nullptr && out != nullptr);
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_accept_state(ssl_.get());
}

Accepting::~Accepting() {
  forget(client_secret_);
  forget(server_secret_);
}

Accepting& Accepting::of(const SSL* ssl) {
  return *static_cast<Accepting*>(SSL_get_app_data(ssl));
}

// "CLIENT_TRAFFIC_SECRET_0 <client random> <secret>"
void Accepting::take_secret(std::string_view line) {
  bool client = line.starts_with("CLIENT_TRAFFIC_SECRET_0 ");
  if (!client && !line.starts_with("SERVER_TRAFFIC_SECRET_0 ")) return;
  (client ? client_secret_ : server_secret_) = from_hex(line.substr(line.rfind(' ') + 1));
}

Accepting::Step Accepting::feed(std::string_view bytes, std::string& answer) {
  taken_ += bytes.size();
  if (taken_ > kMaxBytes) {
    error_ = "the hand-shake is too long";
    return Step::failed;
  }
  ERR_clear_error();
  BIO* in = SSL_get_rbio(ssl_.get());
  HF_CHECK(bytes.empty() || BIO_write(in, bytes.data(), int(bytes.size())) == int(bytes.size()));
  int done = SSL_do_handshake(ssl_.get());
  int state = done == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), done);
  BIO* out = SSL_get_wbio(ssl_.get());
  char* flight = nullptr;
  long flight_bytes = BIO_get_mem_data(out, &flight);
  last_flight_ = records_in({flight, size_t(flight_bytes)});
  answer.append(flight, size_t(flight_bytes));
  (void)BIO_reset(out);
  if (done == 1) return Step::done;
  if (state == SSL_ERROR_WANT_READ) return Step::need_more;
  char text[256] = "the hand-shake failed";
  if (unsigned long code = ERR_peek_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  error_ = text;
  return Step::failed;
}

bool Accepting::complete(Secrets& secrets) {
  if (secrets.version == Version::tls13) {
    if (client_secret_.size() != secrets.secret_bytes() ||
        server_secret_.size() != secrets.secret_bytes())
      return false;
    std::copy(client_secret_.begin(), client_secret_.end(), secrets.in.secret.begin());
    std::copy(server_secret_.begin(), server_secret_.end(), secrets.out.secret.begin());
    if (!derive_keys(secrets, secrets.in) || !derive_keys(secrets, secrets.out)) return false;
    secrets.out.sequence = last_flight_;
    return true;
  }
  unsigned char master[SSL_MAX_MASTER_KEY_LENGTH], client[kRandomBytes], server[kRandomBytes];
  size_t bytes = SSL_SESSION_get_master_key(SSL_get_session(ssl_.get()), master, sizeof master);
  if (bytes != sizeof master ||
      SSL_get_client_random(ssl_.get(), client, sizeof client) != sizeof client ||
      SSL_get_server_random(ssl_.get(), server, sizeof server) != sizeof server)
    return false;
  auto view = [](const auto& raw) {
    return std::string_view(reinterpret_cast<const char*>(raw), sizeof raw);
  };
  bool derived = derive_keys(secrets, view(master), view(client), view(server));
  OPENSSL_cleanse(master, sizeof master);
  secrets.in.sequence = secrets.out.sequence = 1;  // behind Finished
  return derived;
}

std::optional<Secrets> Accepting::secrets() {
  const SSL_CIPHER* suite = SSL_get_current_cipher(ssl_.get());
  std::optional<Cipher> cipher = cipher_of(SSL_CIPHER_get_cipher_nid(suite));
  if (!cipher) return {};
  Secrets secrets;
  secrets.version = SSL_version(ssl_.get()) == TLS1_3_VERSION ? Version::tls13 : Version::tls12;
  secrets.cipher = *cipher;
  secrets.sha384 = EVP_MD_get_type(SSL_CIPHER_get_handshake_digest(suite)) == NID_sha384;
  if (!complete(secrets)) return {};
  return secrets;
}

std::string Accepting::rest() {
  char* bytes = nullptr;
  long size = BIO_get_mem_data(SSL_get_rbio(ssl_.get()), &bytes);
  return {bytes, size_t(size)};
}

bool Accepting::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

std::string_view Accepting::version() const {
  return SSL_get_version(ssl_.get());
}

}  // namespace holdfast::tls
