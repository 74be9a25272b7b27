#include "worker/net/tls/accepting.h"

#include <openssl/crypto.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>

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

constexpr size_t kHeader = 5;
constexpr size_t kMaxBody = 16'384 + 2'048;  // RFC 5246 section 6.2.3
constexpr uint8_t kChangeCipherSpec = 20, kHandshake = 22, kData = 23;
constexpr char kClientHello = 1;

// A HelloRetryRequest is a ServerHello with a random of its own (RFC 8446 section 4.1.3).
bool asks_again(std::string_view flight) {
  static constexpr unsigned char kRandom[] = {0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11,
                                              0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
                                              0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E,
                                              0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C};
  constexpr size_t kAt = kHeader + 4 + 2;  // behind record header, message header, version
  return flight.size() >= kAt + sizeof kRandom && uint8_t(flight[0]) == kHandshake &&
         std::memcmp(flight.data() + kAt, kRandom, sizeof kRandom) == 0;
}

// RFC 6066 section 4; 0: none was agreed on.
uint16_t fragment_of(const SSL_SESSION* session) {
  unsigned mode = SSL_SESSION_get_max_fragment_length(session);
  return mode >= 1 && mode <= 4 ? uint16_t(256u << mode) : 0;
}

void forget(std::string& secret) {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace

Accepting::Accepting(const Context& context) : context_(context) {}

Accepting::~Accepting() {
  forget(client_secret_);
  forget(server_secret_);
}

void Accepting::begin() {
  ssl_.reset(SSL_new(context_.first()));
  HF_CHECK(ssl_ != nullptr);
  SSL_set_app_data(ssl_.get(), this);
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  HF_CHECK(in != nullptr && out != nullptr);
  SSL_set_bio(ssl_.get(), in, out);
  SSL_set_accept_state(ssl_.get());
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

// ---- what has come

bool Accepting::take(std::string_view bytes) {
  kept_ += bytes;
  walk();
  if (!hello_whole_ && kept_.size() > kMaxBytes) too_long_ = true;
  return odd_ || too_long_ || (hello_whole_ && walked_ > 0);
}

// Over the whole records.
void Accepting::walk() {
  while (!odd_ && !too_long_ && kept_.size() - walked_ >= kHeader) {
    const char* head = kept_.data() + walked_;
    auto type = uint8_t(head[0]);
    size_t body = load_be16(head + 3);
    if (type < kChangeCipherSpec || type > kData || body > kMaxBody) {
      odd_ = true;
      return;
    }
    if (kept_.size() - walked_ < kHeader + body) return;
    if (!hello_whole_) walk_hello(type, {head + kHeader, body});
    walked_ += kHeader + body;
  }
}

// RFC 8446 section 4: a message's type, and three bytes of length; any number of records.
void Accepting::walk_hello(uint8_t type, std::string_view body) {
  if (type == kChangeCipherSpec && retried_) return;  // RFC 8446 appendix D.4
  if (type != kHandshake) {
    odd_ = true;
    return;
  }
  constexpr size_t kHead = 4;
  hello_head_ += body.substr(0, kHead - std::min(kHead, hello_head_.size()));
  hello_bytes_ += body.size();
  if (hello_head_.size() < kHead) return;
  size_t wanted = kHead + (load_be32(hello_head_.data()) & 0xff'ffff);
  if (hello_head_[0] != kClientHello) odd_ = true;
  if (wanted > kMaxBytes) too_long_ = true;
  hello_whole_ = hello_bytes_ >= wanted;
}

size_t Accepting::held_bytes() const {
  return sizeof *this + kept_.capacity() + (ssl_ ? kBegunBytes + given_ : 0);
}

// ---- a step

Accepting::Step Accepting::step(std::string& answer) {
  if (too_long_) return too_long(answer);
  if (!ssl_) begin();
  Step step = Step::need_more;
  size_t at = 0;
  while (step == Step::need_more && at < walked_) {
    size_t record = kHeader + load_be16(kept_.data() + at + 3);
    step = give(std::string_view(kept_).substr(at, record), answer);
    at += record;
    if (!hello_whole_) break;  // it is to send another
  }
  if (step == Step::need_more && odd_ && at >= walked_) {
    step = give(std::string_view(kept_).substr(at), answer);
    at = kept_.size();
  }
  kept_.erase(0, at);
  walked_ -= std::min(walked_, at);
  if (kept_.empty()) std::string().swap(kept_);
  if (hello_whole_ || step != Step::need_more || odd_) return step;
  walked_ = 0;  // what had come behind the first hello is looked at anew
  return take({}) ? this->step(answer) : step;
}

// A plaintext alert; where keys are agreed on already it would not be understood, and none is sent.
Accepting::Step Accepting::too_long(std::string& answer) {
  error_ = "the hand-shake is too long";
  constexpr std::string_view kIllegalParameter("\x15\x03\x03\0\x02\x02\x2f", 7);
  if (!ssl_ || retried_) answer += kIllegalParameter;
  return Step::failed;
}

Accepting::Step Accepting::give(std::string_view bytes, std::string& answer) {
  given_ += bytes.size();
  if (given_ > kMaxBytes || ++records_ > kMaxRecords) {
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
  std::string_view sent(flight, size_t(flight_bytes));
  last_flight_ = records_in(sent);
  answer.append(sent);
  if (asks_again(sent)) {
    retried_ = true;
    hello_whole_ = false;
    hello_head_.clear();
    hello_bytes_ = 0;
  }
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
  secrets.max_fragment = fragment_of(SSL_get_session(ssl_.get()));
  if (!complete(secrets)) return {};
  return secrets;
}

std::string Accepting::rest() {
  char* bytes = nullptr;
  long size = BIO_get_mem_data(SSL_get_rbio(ssl_.get()), &bytes);
  return std::string(bytes, size_t(size)) + kept_;
}

bool Accepting::resumed() const {
  return SSL_session_reused(ssl_.get()) == 1;
}

std::string_view Accepting::version() const {
  return SSL_get_version(ssl_.get());
}

}  // namespace holdfast::tls
