// Records behind a TLS hand-shake. The input is a script: a byte for version and cipher, then records of a peer, each with a
// byte for its type, one for its length, and its bytes; sealed rightly, for else none would be opened, or not at all.
#include "worker/net/tls/records.h"

#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "tests/harness/record_peer.h"
#include "worker/net/tls/record.h"

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

std::string stream_of(const tls::Secrets& secrets, std::string_view script) {
  test::RecordPeer peer(secrets);
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
