// Records behind a TLS hand-shake. The input is a script: a byte for version and cipher, then records of a peer, each with a
// byte for its type, one for its length, and its bytes; sealed rightly, for else none would be opened, or not at all.
#include "worker/tls/records.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "worker/handover/connection_records.h"

namespace {

using namespace holdfast;
using fuzz::Told;
using tls::Records;

constexpr size_t kMostStream = 20'000;
constexpr size_t kMostMoved = 4096;  // each byte of a long record would move all before it

tls::Secrets secrets_of(uint8_t choice) {
  tls::Secrets secrets;
  secrets.version = (choice & 1) != 0 ? tls::Version::tls12 : tls::Version::tls13;
  secrets.cipher = tls::Cipher(choice / 2 % 3);
  secrets.sha384 = secrets.cipher == tls::Cipher::aes_256_gcm;
  bool derived;
  if (secrets.version == tls::Version::tls12) {
    derived =
        tls::derive_keys(secrets, std::string(48, 'm'), std::string(32, 'c'), std::string(32, 's'));
  } else {
    secrets.in.secret.fill(1);
    secrets.out.secret.fill(2);
    derived = tls::derive_keys(secrets, secrets.in) && tls::derive_keys(secrets, secrets.out);
  }
  fuzz::expect(derived, "OpenSSL derives keys");
  return secrets;
}

// The other side, written from the specifications alone (RFC 8446 section 5.2, RFC 5288, RFC 7905).
class Peer {
 public:
  explicit Peer(const tls::Secrets& secrets) : secrets_(secrets), keys_(secrets.in) {}

  std::string seal(uint8_t type, std::string text) {
    bool tls13 = secrets_.version == tls::Version::tls13;
    bool chacha = secrets_.cipher == tls::Cipher::chacha20_poly1305;
    bool key_update = tls13 && type == 22 && text.size() == 5 && text.starts_with("\x18");
    std::string explicit_nonce(tls13 || chacha ? 0 : 8, '\0'), sequence(8, '\0');
    store_be64(sequence.data(), keys_.sequence);
    std::string nonce(keys_.iv.begin(), keys_.iv.end());
    if (explicit_nonce.empty()) {
      for (size_t i = 0; i < 8; ++i) nonce[4 + i] = char(nonce[4 + i] ^ sequence[i]);
    } else {
      explicit_nonce = sequence;
      nonce.replace(4, 8, sequence);
    }
    if (tls13) text += char(type);
    std::string head{char(tls13 ? 23 : type), 3, 3, 0, 0};
    store_be16(head.data() + 3, uint16_t(text.size()));
    std::string beside = tls13 ? head : sequence + head;
    store_be16(head.data() + 3, uint16_t(explicit_nonce.size() + text.size() + 16));
    if (tls13) beside = head;
    std::string sealed = head + explicit_nonce + crypt(nonce, beside, text);
    ++keys_.sequence;
    if (key_update) (void)tls::update_keys(secrets_, keys_);
    return sealed;
  }

 private:
  std::string crypt(const std::string& nonce, const std::string& beside, const std::string& text) {
    const EVP_CIPHER* kinds[] = {EVP_aes_128_gcm(), EVP_aes_256_gcm(), EVP_chacha20_poly1305()};
    auto raw = [](const std::string& s) { return reinterpret_cast<const uint8_t*>(s.data()); };
    std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                       EVP_CIPHER_CTX_free);
    std::string out(text.size() + 16, '\0');
    auto* to = reinterpret_cast<uint8_t*>(out.data());
    int n = 0;
    bool sealed =
        EVP_EncryptInit_ex(context.get(), kinds[size_t(secrets_.cipher)], nullptr, keys_.key.data(),
                           raw(nonce)) == 1 &&
        EVP_EncryptUpdate(context.get(), nullptr, &n, raw(beside), int(beside.size())) == 1 &&
        EVP_EncryptUpdate(context.get(), to, &n, raw(text), int(text.size())) == 1 &&
        EVP_EncryptFinal_ex(context.get(), to + text.size(), &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, 16, to + text.size()) == 1;
    fuzz::expect(sealed, "OpenSSL seals");
    return out;
  }

  tls::Secrets secrets_;
  tls::Keys keys_;  // of the direction to us
};

std::string stream_of(const tls::Secrets& secrets, std::string_view script) {
  Peer peer(secrets);
  std::string stream;
  while (script.size() >= 2 && stream.size() < kMostStream) {
    auto kind = uint8_t(script[0]);
    size_t size = std::min<size_t>(uint8_t(script[1]), script.size() - 2);
    std::string text(script.substr(2, size));
    script.remove_prefix(2 + size);
    if (kind < 8) {
      stream += text;  // not sealed
    } else {
      // 8: longer than a record's data may be
      if (kind == 8) text.resize(Records::kMaxPlain + 1 + size, 'x');
      stream += peer.seal(kind < 64 ? 23 : kind < 128 ? 22 : kind < 192 ? 21 : kind, text);
    }
  }
  return stream;
}

// `moved`: through a handover's record behind each piece.
Told run(const tls::Secrets& secrets, const fuzz::Pieces& pieces, bool moved) {
  using Step = Records::Step;
  static constexpr const char* kNames[] = {"need_more", "data ", "nothing", "closed", "broken"};
  auto records = std::make_unique<Records>(secrets);
  Told told;
  std::string answer;
  for (std::string_view bytes : pieces) {
    fuzz::Piece piece(bytes);  // opened in place
    std::span<char> left{piece.data(), piece.size()}, plain;
    while (!left.empty()) {
      Step step = records->next(left, &plain, answer);
      fuzz::expect(plain.size() <= Records::kMaxPlain, "a record's data is bounded");
      fuzz::expect(step == Step::data || plain.empty(), "only data has bytes");
      if (step != Step::need_more)
        told.push_back(kNames[size_t(step)] + std::string(plain.data(), plain.size()));
      if (step != Step::closed && step != Step::broken) continue;
      told.push_back("answered " + answer);
      return told;
    }
    if (!moved) continue;
    tls::RecordsState state;
    fuzz::expect(handover::load(handover::save(records->save()), state), "its record is read back");
    records = std::make_unique<Records>(std::move(state));
  }
  if (records->mid_record()) told.emplace_back("in a record");
  told.push_back("answered " + answer);
  return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  tls::Secrets secrets = secrets_of(data[0]);
  std::string stream = stream_of(secrets, fuzz::view(data + 1, size - 1));
  fuzz::expect_same_in_every_division(stream, [&](const fuzz::Pieces& pieces) {
    Told stayed = run(secrets, pieces, false);
    fuzz::expect(stream.size() > kMostMoved || run(secrets, pieces, true) == stayed,
                 "the same after every move");
    return stayed;
  });
  return 0;
}
