// worker/net/tls/secrets.h - the keys of a TLS connection that is past its hand-shake: all that its records need.
//
//   TLS 1.3 (RFC 8446 section 7)   secret -> key, iv; a KeyUpdate makes the next secret of it
//   TLS 1.2 (RFC 5246 section 6.3) master secret, both randoms -> keys and ivs of both directions
//
// Ciphers are AEAD only: AES-GCM (RFC 5288) and ChaCha20-Poly1305 (RFC 7905).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace holdfast::tls {

enum class Version : uint8_t { tls12, tls13 };
enum class Cipher : uint8_t { aes_128_gcm, aes_256_gcm, chacha20_poly1305 };

inline constexpr size_t kMaxSecretBytes = 48;
inline constexpr size_t kRandomBytes = 32;

constexpr size_t key_bytes(Cipher cipher) {
  return cipher == Cipher::aes_128_gcm ? 16 : 32;
}

// Of one direction.
struct Keys {
  std::array<uint8_t, kMaxSecretBytes> secret{};  // TLS 1.3: its traffic secret
  std::array<uint8_t, 32> key{};                  // key_bytes() of them
  std::array<uint8_t, 12> iv{};                   // TLS 1.2 with AES-GCM: 4 of them
  uint64_t sequence = 0;                          // of the next record
};

struct Secrets {
  Version version = Version::tls13;
  Cipher cipher = Cipher::aes_128_gcm;
  bool sha384 = false;        // the suite's digest; else SHA-256
  uint16_t max_fragment = 0;  // of a record's data, both ways (RFC 6066 section 4); 0: 16,384
  Keys in, out;

  size_t secret_bytes() const { return sha384 ? 48 : 32; }
};

// False, here and below: OpenSSL could not.
// TLS 1.3: key and iv of the direction's secret; its sequence begins anew.
bool derive_keys(const Secrets& secrets, Keys& keys);
// TLS 1.3: the secret after a KeyUpdate, and its key and iv.
bool update_keys(const Secrets& secrets, Keys& keys);
// TLS 1.2, as the server: keys and ivs of both directions. `master`: 48 bytes.
bool derive_keys(Secrets& secrets, std::string_view master, std::string_view client_random,
                 std::string_view server_random);

}  // namespace holdfast::tls
