#include "worker/net/tls/records.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast::tls {
namespace {

constexpr size_t kHeader = 5, kTag = 16, kExplicitNonce = 8;

enum Type : uint8_t { kAlert = 21, kHandshake = 22, kData = 23 };
// RFC 8446 section 6.
enum Alert : uint8_t {
  kCloseNotify = 0,
  kUnexpectedMessage = 10,
  kBadRecordMac = 20,
  kRecordOverflow = 22,
  kIllegalParameter = 47,
  kDecodeError = 50,
  kProtocolVersion = 70,
  kInternalError = 80,
  kUserCanceled = 90
};
constexpr uint8_t kWarning = 1, kFatal = 2, kKeyUpdate = 24;

// A context of each cipher and way, with everything but key and nonce: all connections of the process share them.
EVP_CIPHER_CTX* context_of(Cipher cipher, bool seals) {
  static thread_local EVP_CIPHER_CTX* contexts[3][2] = {};
  EVP_CIPHER_CTX*& context = contexts[size_t(cipher)][seals ? 1 : 0];
  if (context != nullptr) return context;
  const EVP_CIPHER* kind = cipher == Cipher::aes_128_gcm   ? EVP_aes_128_gcm()
                           : cipher == Cipher::aes_256_gcm ? EVP_aes_256_gcm()
                                                           : EVP_chacha20_poly1305();
  context = EVP_CIPHER_CTX_new();
  HF_CHECK(context != nullptr &&
           EVP_CipherInit_ex2(context, kind, nullptr, nullptr, seals ? 1 : 0, nullptr) == 1);
  return context;
}

bool explicit_nonce(const Secrets& secrets) {
  return secrets.version == Version::tls12 && secrets.cipher != Cipher::chacha20_poly1305;
}

// RFC 8446 section 5.3, RFC 7905 section 2; for AES-GCM in TLS 1.2 RFC 5288 section 3 (`given`: its 8 bytes of the record).
std::array<uint8_t, 12> nonce_of(const Secrets& secrets, const Keys& keys, const char* given) {
  std::array<uint8_t, 12> nonce = keys.iv;
  char sequence[8];
  store_be64(sequence, keys.sequence);
  if (explicit_nonce(secrets)) {
    std::memcpy(nonce.data() + 4, given, kExplicitNonce);
  } else {
    for (size_t i = 0; i < 8; ++i) nonce[4 + i] ^= uint8_t(sequence[i]);
  }
  return nonce;
}

// What is authenticated beside the ciphertext: 1.3 the header, 1.2 sequence, type, version and bytes of the plaintext.
std::string_view additional(const Secrets& secrets, const Keys& keys, std::string_view header,
                            size_t plain_bytes, char* buffer) {
  if (secrets.version == Version::tls13) return header;
  store_be64(buffer, keys.sequence);
  std::memcpy(buffer + 8, header.data(), 3);
  store_be16(buffer + 11, uint16_t(plain_bytes));
  return {buffer, 13};
}

unsigned char* raw(char* bytes) {
  return reinterpret_cast<unsigned char*>(bytes);
}
const unsigned char* raw(const char* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

// In place; behind the `bytes` stands, or comes to stand, the tag. False: it does not fit.
bool crypt(EVP_CIPHER_CTX* context, const Keys& keys, const std::array<uint8_t, 12>& nonce,
           std::string_view beside, char* bytes, size_t size, bool seals) {
  int n = 0;
  if (EVP_CipherInit_ex2(context, nullptr, keys.key.data(), nonce.data(), seals ? 1 : 0, nullptr) !=
      1)
    return false;
  if (!seals && EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, int(kTag), bytes + size) != 1)
    return false;
  if (EVP_CipherUpdate(context, nullptr, &n, raw(beside.data()), int(beside.size())) != 1)
    return false;
  if (size > 0 && EVP_CipherUpdate(context, raw(bytes), &n, raw(bytes), int(size)) != 1)
    return false;
  unsigned char rest[16];
  if (EVP_CipherFinal_ex(context, rest, &n) != 1) return false;
  return !seals ||
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, int(kTag), bytes + size) == 1;
}

}  // namespace

// ---- what comes

Records::Step Records::next(std::span<char>& bytes, std::span<char>* plain, std::string& answer,
                            uint64_t now_ms) {
  *plain = {};
  opened_.clear();
  std::string& partial = state_.partial;
  // I1: a record that lies whole in `bytes` is opened where it is.
  auto whole = [](std::string_view head) { return kHeader + load_be16(head.data() + 3); };
  size_t most = kHeader + kMaxPlain +
                (state_.secrets.version == Version::tls13 ? 256 : kExplicitNonce + kTag);
  if (partial.empty() && bytes.size() >= kHeader) {
    size_t record = whole({bytes.data(), kHeader});
    if (record > most) return fail(kRecordOverflow, answer);  // I2
    if (bytes.size() >= record) {
      std::span<char> taken = bytes.first(record);
      bytes = bytes.subspan(record);
      return open(taken, plain, answer, now_ms);
    }
  }
  auto take = [&](size_t wanted) {
    size_t n = std::min(wanted - std::min(wanted, partial.size()), bytes.size());
    partial.append(bytes.data(), n);
    bytes = bytes.subspan(n);
    return partial.size() >= wanted;
  };
  if (!take(kHeader)) return Step::need_more;
  size_t record = whole(partial);
  if (record > most) return fail(kRecordOverflow, answer);
  if (partial.capacity() < record) partial.reserve(record);
  if (!take(record)) return Step::need_more;
  opened_.swap(partial);
  std::string().swap(partial);
  return open(opened_, plain, answer, now_ms);
}

Records::Step Records::open(std::span<char> record, std::span<char>* plain, std::string& answer,
                            uint64_t now_ms) {
  Secrets& secrets = state_.secrets;
  Keys& keys = secrets.in;
  bool tls13 = secrets.version == Version::tls13;
  auto type = uint8_t(record[0]);
  if (tls13 && type != kData) return fail(kUnexpectedMessage, answer);
  // 1.3 does not look at it (RFC 8446 section 5.1); it is authenticated all the same.
  if (!tls13 && (record[1] != 3 || record[2] != 3)) return fail(kProtocolVersion, answer);
  size_t before = explicit_nonce(secrets) ? kExplicitNonce : 0;
  if (record.size() < kHeader + before + kTag) return fail(kBadRecordMac, answer);
  std::span<char> text = record.subspan(kHeader + before, record.size() - kHeader - before - kTag);
  char buffer[13];
  std::string_view beside =
      additional(secrets, keys, {record.data(), kHeader}, text.size(), buffer);
  auto nonce = nonce_of(secrets, keys, record.data() + kHeader);
  if (!crypt(context_of(secrets.cipher, false), keys, nonce, beside, text.data(), text.size(),
             false))
    return fail(kBadRecordMac, answer);
  ++keys.sequence;
  if (tls13) {  // data, its type, padding: RFC 8446 section 5.4
    if (text.size() > kMaxPlain + 1) return fail(kRecordOverflow, answer);
    while (!text.empty() && text.back() == 0) text = text.first(text.size() - 1);
    if (text.empty()) return fail(kUnexpectedMessage, answer);
    type = uint8_t(text.back());
    text = text.first(text.size() - 1);
    if (keys.sequence >= most_records_ && !state_.update_asked) {  // I3
      state_.update_asked = true;
      seal_update(true, answer);
    }
  }
  return judge(type, text, plain, answer, now_ms);
}

Records::Step Records::judge(uint8_t type, std::span<char> text, std::span<char>* plain,
                             std::string& answer, uint64_t now_ms) {
  if (text.size() > most_plain()) return fail(kRecordOverflow, answer);
  // Nothing comes between the parts of a message (RFC 8446 section 5.1).
  if (state_.message_bytes != 0 && type != kHandshake) return fail(kUnexpectedMessage, answer);
  switch (type) {
    case kData:
      *plain = text;
      return text.empty() ? Step::nothing : Step::data;
    case kAlert:
      return on_alert({text.data(), text.size()}, answer, now_ms);
    case kHandshake:
      return on_message({text.data(), text.size()}, answer, now_ms);
    default:
      return fail(kUnexpectedMessage, answer);
  }
}

Records::Step Records::on_alert(std::string_view text, std::string& answer, uint64_t now_ms) {
  bool tls13 = state_.secrets.version == Version::tls13;
  // RFC 8446 section 5.4: none without content. Nor in pieces, nor several in a record (5.1).
  if (text.empty()) return fail(kUnexpectedMessage, answer);
  if (text.size() != 2) return fail(kDecodeError, answer);
  if (text[1] == kCloseNotify) return Step::closed;
  // 1.3 has no warnings but these two (RFC 8446 section 6); in 1.2 a warning ends nothing.
  if (uint8_t(text[1]) != kUserCanceled && (tls13 || text[0] != kWarning)) return Step::broken;
  return allowed(now_ms) ? Step::nothing : fail(kUnexpectedMessage, answer);
}

// RFC 8446 section 4.6.3. Nothing else may come; in 1.2 it would be a renegotiation, which is not offered.
Records::Step Records::on_message(std::string_view message, std::string& answer, uint64_t now_ms) {
  constexpr size_t kHead = 4, kWhole = 5;
  if (state_.secrets.version != Version::tls13 || message.empty())
    return fail(kUnexpectedMessage, answer);
  std::array<uint8_t, kHead>& head = state_.message;
  while (state_.message_bytes < kHead && !message.empty()) {
    head[state_.message_bytes++] = uint8_t(message[0]);
    message.remove_prefix(1);
  }
  if (head[0] != kKeyUpdate) return fail(kUnexpectedMessage, answer);
  if (state_.message_bytes < kHead) return Step::nothing;
  if (head[1] != 0 || head[2] != 0 || head[3] != kWhole - kHead) return fail(kDecodeError, answer);
  if (message.empty()) return Step::nothing;
  state_.message_bytes = 0;
  // Keys change at the end of a record (section 5.1).
  if (message.size() > 1) return fail(kUnexpectedMessage, answer);
  return on_update(uint8_t(message[0]), answer, now_ms);
}

Records::Step Records::on_update(uint8_t asked, std::string& answer, uint64_t now_ms) {
  if (asked > 1) return fail(kIllegalParameter, answer);
  if (!allowed(now_ms)) return fail(kUnexpectedMessage, answer);
  if (!update_keys(state_.secrets, state_.secrets.in)) return fail(kInternalError, answer);
  state_.update_asked = false;
  if (asked == 1) state_.update_owed = true;  // I5
  return Step::nothing;
}

// I4. Each moves the time at which all allowances are back.
bool Records::allowed(uint64_t now_ms) {
  uint64_t& until = state_.quiet_until_ms;
  until = std::max(until, now_ms) + kEveryMs;
  return until <= now_ms + kBurst * kEveryMs;
}

Records::Step Records::fail(uint8_t alert, std::string& answer) {
  char text[2] = {char(kFatal), char(alert)};
  seal_one(kAlert, {text, 2}, answer);
  return Step::broken;
}

// ---- what goes

void Records::seal(std::string_view plain, std::string& out) {
  const Secrets& secrets = state_.secrets;
  if (state_.update_owed) answer_update(out);
  do {
    size_t n = std::min(plain.size(), most_plain());
    seal_one(kData, plain.substr(0, n), out);
    plain.remove_prefix(n);
    if (secrets.version == Version::tls13 && secrets.out.sequence >= most_records_)  // I3
      seal_update(false, out);
  } while (!plain.empty());
}

void Records::answer_update(std::string& out) {
  state_.update_owed = false;
  seal_one(kHandshake, std::string_view("\x18\0\0\x01\0", 5), out);
  HF_CHECK(update_keys(state_.secrets, state_.secrets.out));
}

// Ours, because of I3. `ask`: for new keys of the other side.
void Records::seal_update(bool ask, std::string& out) {
  static_assert(kKeyUpdate == 0x18);
  ++rekeyed_;
  seal_one(kHandshake, std::string_view(ask ? "\x18\0\0\x01\x01" : "\x18\0\0\x01\0", 5), out);
  HF_CHECK(update_keys(state_.secrets, state_.secrets.out));
}

bool Records::used_up() const {
  const Secrets& secrets = state_.secrets;
  return secrets.version == Version::tls12 && secrets.cipher != Cipher::chacha20_poly1305 &&
         std::max(secrets.in.sequence, secrets.out.sequence) >= most_records_;
}

void Records::seal_close_notify(std::string& out) {
  char text[2] = {char(kWarning), char(kCloseNotify)};
  seal_one(kAlert, {text, 2}, out);
}

void Records::seal_one(uint8_t type, std::string_view plain, std::string& out) {
  Secrets& secrets = state_.secrets;
  Keys& keys = secrets.out;
  bool tls13 = secrets.version == Version::tls13;
  size_t before = explicit_nonce(secrets) ? kExplicitNonce : 0,
         inner = plain.size() + (tls13 ? 1 : 0);
  size_t at = out.size();
  out.resize(at + kHeader + before + inner + kTag);
  char* record = out.data() + at;
  record[0] = char(tls13 ? uint8_t(kData) : type);
  record[1] = record[2] = 3;
  store_be16(record + 3, uint16_t(before + inner + kTag));
  if (before > 0) store_be64(record + kHeader, keys.sequence);
  char* text = record + kHeader + before;
  std::memcpy(text, plain.data(), plain.size());
  if (tls13) text[plain.size()] = char(type);
  char buffer[13];
  std::string_view beside = additional(secrets, keys, {record, kHeader}, inner, buffer);
  auto nonce = nonce_of(secrets, keys, record + kHeader);
  HF_CHECK(crypt(context_of(secrets.cipher, true), keys, nonce, beside, text, inner, true));
  ++keys.sequence;
}

}  // namespace holdfast::tls
