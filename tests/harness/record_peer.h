// tests/harness/record_peer.h - the other side of TLS records, written from the specifications alone (RFC 8446 section 5.2, RFC 5288,
// RFC 7905): it seals whatever it is told to, also what OpenSSL would not.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/check.h"
#include "worker/net/tls/secrets.h"

namespace holdfast::test {

class RecordPeer {
 public:
  // `secrets`: the server's.
  explicit RecordPeer(const tls::Secrets& secrets) : secrets_(secrets) {}

  // A record with `text` of that type; 1.3: and `padding` zeros behind it.
  std::string seal(uint8_t type, std::string text, size_t padding = 0) {
    bool tls13 = secrets_.version == tls::Version::tls13;
    bool key_update = tls13 && type == 22 && text.size() == 5 && text.starts_with("\x18");
    std::string explicit_nonce = given_nonce() ? sequence(secrets_.in) : "";
    if (tls13) text += char(type) + std::string(padding, '\0');
    std::string head{char(tls13 ? 23 : type), 3, 3, 0, 0};
    store_be16(head.data() + 3, uint16_t(text.size()));
    std::string beside = sequence(secrets_.in) + head;
    store_be16(head.data() + 3, uint16_t(explicit_nonce.size() + text.size() + 16));
    if (tls13) beside = head;
    std::string sealed = head + explicit_nonce + crypt(secrets_.in, beside, text, true);
    ++secrets_.in.sequence;
    if (key_update) update();
    return sealed;
  }
  // 1.3: a KeyUpdate was said in some other way.
  void update() { HF_CHECK(tls::update_keys(secrets_, secrets_.in)); }

  // The server's first record of `bytes`, which it is taken from: its type and text.
  std::pair<uint8_t, std::string> open(std::string& bytes) {
    bool tls13 = secrets_.version == tls::Version::tls13;
    size_t body = load_be16(bytes.data() + 3), before = given_nonce() ? 8 : 0;
    std::string head = bytes.substr(0, 5), sealed = bytes.substr(5 + before, body - before);
    bytes.erase(0, 5 + body);
    auto type = uint8_t(head[0]);
    std::string beside = sequence(secrets_.out) + head;
    store_be16(beside.data() + 11, uint16_t(sealed.size() - 16));
    std::string text = crypt(secrets_.out, tls13 ? head : beside, sealed, false);
    ++secrets_.out.sequence;
    if (tls13) {
      type = uint8_t(text.back());
      text.pop_back();
      if (type == 22) HF_CHECK(tls::update_keys(secrets_, secrets_.out));
    }
    return {type, text};
  }

 private:
  bool given_nonce() const {
    return secrets_.version == tls::Version::tls12 &&
           secrets_.cipher != tls::Cipher::chacha20_poly1305;
  }
  static std::string sequence(const tls::Keys& keys) {
    std::string bytes(8, '\0');
    store_be64(bytes.data(), keys.sequence);
    return bytes;
  }
  std::string nonce(const tls::Keys& keys) const {
    std::string nonce(keys.iv.begin(), keys.iv.end()), number = sequence(keys);
    if (given_nonce()) return nonce.replace(4, 8, number);
    for (size_t i = 0; i < 8; ++i) nonce[4 + i] = char(nonce[4 + i] ^ number[i]);
    return nonce;
  }
  std::string crypt(const tls::Keys& keys, const std::string& beside, const std::string& in,
                    bool seals) const {
    const EVP_CIPHER* kinds[] = {EVP_aes_128_gcm(), EVP_aes_256_gcm(), EVP_chacha20_poly1305()};
    auto raw = [](const std::string& s) { return reinterpret_cast<const uint8_t*>(s.data()); };
    std::unique_ptr<EVP_CIPHER_CTX, void (*)(EVP_CIPHER_CTX*)> context(EVP_CIPHER_CTX_new(),
                                                                       EVP_CIPHER_CTX_free);
    size_t size = seals ? in.size() : in.size() - 16;
    std::string out(size + (seals ? 16 : 0), '\0'), iv = nonce(keys);
    auto* to = reinterpret_cast<uint8_t*>(out.data());
    int n = 0;
    EVP_CIPHER_CTX* c = context.get();
    HF_CHECK(EVP_CipherInit_ex(c, kinds[size_t(secrets_.cipher)], nullptr, keys.key.data(), raw(iv),
                               seals) == 1);
    if (!seals)
      HF_CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, 16,
                                   const_cast<char*>(in.data() + size)) == 1);
    HF_CHECK(EVP_CipherUpdate(c, nullptr, &n, raw(beside), int(beside.size())) == 1 &&
             EVP_CipherUpdate(c, to, &n, raw(in), int(size)) == 1);
    uint8_t rest[16];
    HF_CHECK(EVP_CipherFinal_ex(c, rest, &n) == 1);
    if (seals) HF_CHECK(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, to + size) == 1);
    return out;
  }

  tls::Secrets secrets_;  // `in`: of the direction to the server
};

}  // namespace holdfast::test
