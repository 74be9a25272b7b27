// What the other side of TLS records must not do, and by which alert it is told so (RFC 8446 section 6).
#include <gtest/gtest.h>

#include "tests/harness/record_peer.h"
#include "worker/net/tls/records.h"

namespace holdfast::tls {
namespace {

constexpr uint8_t kChangeCipherSpec = 20, kAlert = 21, kHandshake = 22, kData = 23, kHeartbeat = 24;
constexpr int kNone = -1, kUnexpectedMessage = 10, kBadRecordMac = 20, kRecordOverflow = 22,
              kIllegalParameter = 47, kDecodeError = 50, kProtocolVersion = 70;

Secrets secrets_of(Version version, Cipher cipher = Cipher::aes_128_gcm) {
  Secrets secrets;
  secrets.version = version;
  secrets.cipher = cipher;
  if (version == Version::tls12) {
    EXPECT_TRUE(
        derive_keys(secrets, std::string(48, 'm'), std::string(32, 'c'), std::string(32, 's')));
    return secrets;
  }
  secrets.in.secret.fill(1);
  secrets.out.secret.fill(2);
  EXPECT_TRUE(derive_keys(secrets, secrets.in) && derive_keys(secrets, secrets.out));
  return secrets;
}

class TlsAlerts : public ::testing::Test {
 protected:
  void begin(Version version, uint16_t max_fragment = 0) {
    Secrets secrets = secrets_of(version);
    secrets.max_fragment = max_fragment;
    records.emplace(secrets);
    peer.emplace(secrets);
    heard.clear();
  }
  // Of the alert that `bytes` end with; kNone: there is none.
  int alert_for(std::string bytes) {
    std::string answer;
    std::span<char> rest(bytes), plain;
    Records::Step step = Records::Step::nothing;
    while (!rest.empty() && step != Records::Step::broken) {
      step = records->next(rest, &plain, answer);
      heard.append(plain.data(), plain.size());
    }
    if (step != Records::Step::broken) return kNone;
    auto [type, text] = peer->open(answer);
    EXPECT_EQ(answer, "");
    EXPECT_EQ(type, kAlert);
    EXPECT_EQ(text.size(), 2u);
    EXPECT_EQ(text[0], 2) << "fatal";
    return uint8_t(text[1]);
  }
  int alert_for(uint8_t type, const std::string& text, size_t padding = 0) {
    return alert_for(peer->seal(type, text, padding));
  }

  std::optional<Records> records;
  std::optional<test::RecordPeer> peer;
  std::string heard;
};

const std::string kUpdate("\x18\0\0\x01\0", 5);

TEST_F(TlsAlerts, SayWhatIsWrongWithAKeyUpdate) {
  struct {
    std::string message;
    int alert;
  } const cases[] = {{kUpdate, kNone},
                     {std::string("\x18\0\0\x01\x01", 5), kNone},
                     {std::string("\x18\0\0\x01\x02", 5), kIllegalParameter},
                     {std::string("\x18\0\0\x01\xff", 5), kIllegalParameter},
                     {std::string("\x18\0\0\x02\0\0", 6), kDecodeError},
                     {std::string("\x18\0\0\0", 4), kDecodeError},
                     {std::string("\x18\0\1\x01\0", 5), kDecodeError},
                     {kUpdate + kUpdate, kUnexpectedMessage},
                     {kUpdate + "x", kUnexpectedMessage}};
  for (const auto& c : cases) {
    begin(Version::tls13);
    EXPECT_EQ(alert_for(kHandshake, c.message), c.alert) << ::testing::PrintToString(c.message);
  }
}

TEST_F(TlsAlerts, AreNotForAKeyUpdateInPieces) {
  for (unsigned cuts = 0; cuts < 16; ++cuts) {
    begin(Version::tls13);
    std::string bytes, piece;
    for (size_t i = 0; i < kUpdate.size(); ++i) {
      piece += kUpdate[i];
      bool last = i + 1 == kUpdate.size();
      if (last || (cuts >> i & 1) != 0) bytes += peer->seal(kHandshake, std::exchange(piece, {}));
    }
    if (cuts != 0) peer->update();
    bytes += peer->seal(kData, "under new keys");
    EXPECT_EQ(alert_for(bytes), kNone) << cuts;
    EXPECT_EQ(heard, "under new keys");
  }
}

TEST_F(TlsAlerts, SayThatNothingComesAmidAMessage) {
  for (uint8_t type : {kData, kAlert}) {
    begin(Version::tls13);
    EXPECT_EQ(alert_for(kHandshake, kUpdate.substr(0, 2)), kNone);
    records.emplace(RecordsState(records->save()));
    EXPECT_EQ(alert_for(type, std::string("\1\x5a", 2)), kUnexpectedMessage);
  }
}

TEST_F(TlsAlerts, SayThatAMessageOrRecordIsNoneOfTheseHere) {
  // ClientHello, NewSessionTicket, EndOfEarlyData, Certificate, CertificateRequest, Finished, message_hash, unknown.
  for (char message : std::string("\1\4\5\13\15\24\xfe\115")) {
    begin(Version::tls13);
    EXPECT_EQ(alert_for(kHandshake, std::string(1, message)), kUnexpectedMessage) << int(message);
    begin(Version::tls12);
    EXPECT_EQ(alert_for(kHandshake, message + std::string(3, '\0')), kUnexpectedMessage);
  }
  for (Version version : {Version::tls12, Version::tls13}) {
    for (uint8_t type : {kChangeCipherSpec, kHeartbeat, uint8_t(99)}) {
      begin(version);
      EXPECT_EQ(alert_for(type, "\1"), kUnexpectedMessage) << int(type);
    }
    begin(version);
    EXPECT_EQ(alert_for(kHandshake, ""), kUnexpectedMessage) << "without content";
  }
  for (std::string_view plain :
       {std::string_view("\x14\3\3\0\1\1", 6), std::string_view("\x15\3\3\0\2\1\0", 7),
        std::string_view("\x16\3\3\0\1\x18", 6)}) {
    begin(Version::tls13);
    EXPECT_EQ(alert_for(std::string(plain)), kUnexpectedMessage) << "not sealed";
  }
}

TEST_F(TlsAlerts, SayWhatIsWrongWithAnAlert) {
  struct {
    std::string text;
    int alert;
  } const cases[] = {{"", kUnexpectedMessage},
                     {"\1", kDecodeError},
                     {std::string("\1\x5a\1", 3), kDecodeError},
                     {std::string("\1\x5a\1\x5a", 4), kDecodeError}};
  for (const auto& c : cases) {
    for (Version version : {Version::tls12, Version::tls13}) {
      begin(version);
      EXPECT_EQ(alert_for(kAlert, c.text), c.alert) << c.text.size();
    }
  }
}

// In 1.2 any warning, in 1.3 user_canceled: it ends nothing, but it says nothing either.
TEST_F(TlsAlerts, AreForTooManyWarnings) {
  for (Version version : {Version::tls12, Version::tls13}) {
    begin(version);
    for (unsigned i = 0; i < Records::kBurst; ++i)
      ASSERT_EQ(alert_for(kAlert, "\1\x5a"), kNone) << i;
    EXPECT_EQ(alert_for(kAlert, "\1\x5a"), kUnexpectedMessage);
  }
}

TEST_F(TlsAlerts, SayThatARecordIsTooLong) {
  constexpr size_t kMost = Records::kMaxPlain;
  struct {
    size_t text, padding;
    int alert;
  } const cases[] = {{kMost, 0, kNone},
                     {kMost - 10, 10, kNone},
                     {kMost, 1, kRecordOverflow},
                     {kMost - 10, 11, kRecordOverflow},
                     {kMost + 1, 0, kRecordOverflow},
                     {0, kMost, kNone},
                     {0, kMost + 1, kRecordOverflow}};
  for (const auto& c : cases) {
    begin(Version::tls13);
    EXPECT_EQ(alert_for(kData, std::string(c.text, 'x'), c.padding), c.alert)
        << c.text << " " << c.padding;
  }
  begin(Version::tls12);
  EXPECT_EQ(alert_for(kData, std::string(kMost, 'x')), kNone);
  EXPECT_EQ(alert_for(kData, std::string(kMost + 1, 'x')), kRecordOverflow);
  // RFC 6066 section 4; padding is no part of the data.
  for (Version version : {Version::tls12, Version::tls13}) {
    begin(version, 512);
    EXPECT_EQ(alert_for(kData, std::string(512, 'x'), 300), kNone);
    EXPECT_EQ(alert_for(kData, std::string(513, 'x')), kRecordOverflow);
  }
}

TEST_F(TlsAlerts, SayThatARecordIsEmptyOrOfAnotherVersion) {
  begin(Version::tls13);
  EXPECT_EQ(alert_for(0, ""), kUnexpectedMessage) << "all zeros";
  begin(Version::tls13);
  EXPECT_EQ(alert_for(0, "", 1'000), kUnexpectedMessage) << "all zeros";
  for (Version version : {Version::tls12, Version::tls13}) {
    begin(version);
    EXPECT_EQ(alert_for(kData, ""), kNone) << "allowed (RFC 8446 section 5.4)";
    std::string record = peer->seal(kData, "x");
    record[2] = 4;  // 1.3 does not look at it, but it is authenticated
    EXPECT_EQ(alert_for(record), version == Version::tls12 ? kProtocolVersion : kBadRecordMac);
  }
}

}  // namespace
}  // namespace holdfast::tls
