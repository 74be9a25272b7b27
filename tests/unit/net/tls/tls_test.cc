// The server's side of TLS against a client by OpenSSL: the hand-shake, and records past it in every version and cipher.
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <deque>

#include "tests/harness/openssl_client.h"
#include "tests/harness/record_peer.h"
#include "tests/unit/every_division.h"
#include "worker/net/tls/accepting.h"
#include "worker/net/tls/records.h"

namespace holdfast::tls {
namespace {

using test::ClientWishes;
using test::OpensslClient;
using Step = Records::Step;

const Context& context() {
  static const Context made =
      std::move(*Context::make({test::make_certificate({"one.example"}),
                                test::make_certificate({"two.example", "*.wild.example"})}));
  return made;
}

// In TLS 1.2 the curve of an ECDSA certificate must be one of the client's groups, too.
const Context& rsa_context(const std::vector<std::string>& groups = conf::Server().tls_groups) {
  static const conf::Certificate certificate =
      test::make_certificate({"one.example"}, nullptr, EVP_RSA_gen(2'048));
  static std::deque<Context> made;
  return made.emplace_back(std::move(*Context::make({certificate}, {}, {}, groups)));
}

// Carries bytes until both are done, or one has failed; in pieces of at most `most`.
Accepting::Step shake(OpensslClient& client, Accepting& server, size_t most = 1 << 20) {
  Accepting::Step step = Accepting::Step::need_more;
  for (int round = 0; round < 10 && step == Accepting::Step::need_more; ++round) {
    std::string bytes = client.take(), answer;
    if (bytes.empty()) break;
    for (size_t at = 0; at < bytes.size() && step == Accepting::Step::need_more; at += most)
      step = server.feed(std::string_view(bytes).substr(at, most), answer);
    client.give(answer);
  }
  return step;
}

struct Suite {
  const char* name;
  int version;
  const char* ciphers;
};

class TlsSuites : public ::testing::TestWithParam<Suite> {
 protected:
  TlsSuites() : client_({.version = GetParam().version, .ciphers = GetParam().ciphers}) {
    Accepting server(context());
    EXPECT_EQ(shake(client_, server), Accepting::Step::done) << server.error();
    EXPECT_TRUE(client_.shaken());
    std::optional<Secrets> secrets = server.secrets();
    EXPECT_TRUE(secrets);
    records_.emplace(*secrets);
    EXPECT_EQ(server.rest(), "");
  }
  // Opens all of it; plaintext as it came, and what else was told.
  test::Told open(const test::Pieces& pieces) {
    std::string plain;
    test::Told told;
    for (std::string piece : pieces) {
      std::span<char> bytes(piece);
      Step step = Step::nothing;
      while (!bytes.empty() && step != Step::broken && step != Step::closed) {
        std::span<char> data;
        step = records_->next(bytes, &data, answer_);
        plain.append(data.data(), data.size());
        if (step == Step::broken) told.emplace_back("broken");
        if (step == Step::closed) told.emplace_back("closed");
      }
    }
    told.push_back(plain);
    return told;
  }
  test::Told open(const std::string& bytes) { return open(test::Pieces{bytes}); }
  // The other process: the same by its state.
  void move() { records_.emplace(RecordsState(records_->save())); }

  OpensslClient client_;
  std::optional<Records> records_;
  std::string answer_;
};

class Tls13 : public TlsSuites {};
class Tls12 : public TlsSuites {};

constexpr Suite kSuites13[] = {{"Tls13Aes128", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256"},
                               {"Tls13Aes256", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384"},
                               {"Tls13Chacha", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256"}};
constexpr Suite kSuites12[] = {{"Tls12Aes128", TLS1_2_VERSION, "ECDHE-ECDSA-AES128-GCM-SHA256"},
                               {"Tls12Aes256", TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384"},
                               {"Tls12Chacha", TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305"}};

std::string name_of(const ::testing::TestParamInfo<Suite>& suite) {
  return suite.param.name;
}

INSTANTIATE_TEST_SUITE_P(New, TlsSuites, ::testing::ValuesIn(kSuites13), name_of);
INSTANTIATE_TEST_SUITE_P(Old, TlsSuites, ::testing::ValuesIn(kSuites12), name_of);
INSTANTIATE_TEST_SUITE_P(Suites, Tls13, ::testing::ValuesIn(kSuites13), name_of);
INSTANTIATE_TEST_SUITE_P(Suites, Tls12, ::testing::ValuesIn(kSuites12), name_of);

TEST_P(TlsSuites, BothHearWhatTheOtherSays) {
  for (size_t size : {size_t{1}, size_t{100}, Records::kMaxPlain - 1, Records::kMaxPlain,
                      Records::kMaxPlain + 1, size_t{100'000}}) {
    std::string text(size, char('a' + size % 26)), out;
    client_.say(text);
    EXPECT_EQ(open(client_.take()), test::Told{text}) << size;
    records_->seal(text, out);
    client_.give(out);
    EXPECT_EQ(client_.hear(), text) << size;
  }
  EXPECT_EQ(answer_, "");
}

TEST_P(TlsSuites, RecordsMayComeInAnyPieces) {
  client_.say("first");
  client_.say(std::string(300, 'x'));
  client_.say("last");
  std::string all = client_.take();
  RecordsState before = records_->save();
  test::expect_told(all, {"first" + std::string(300, 'x') + "last"},
                    [&](const test::Pieces& pieces) {
                      records_.emplace(RecordsState(before));
                      return open(pieces);
                    });
}

TEST_P(TlsSuites, AConnectionMovesAtEveryByte) {
  std::string heard;
  for (int round = 0; round < 40; ++round) {
    client_.say("round " + std::to_string(round) + ";");
    for (char c : client_.take()) {
      heard += open(std::string(1, c)).back();
      move();
    }
    std::string out;
    records_->seal("answer", out);
    client_.give(out);
    ASSERT_EQ(client_.hear(), "answer");
  }
  std::string expected;
  for (int round = 0; round < 40; ++round) expected += "round " + std::to_string(round) + ";";
  EXPECT_EQ(heard, expected);
}

TEST_P(TlsSuites, AChangedByteIsAnAlertAndTheEnd) {
  client_.say("secret");
  std::string record = client_.take();
  RecordsState before = records_->save();
  for (size_t at = 0; at < record.size(); ++at) {
    records_.emplace(RecordsState(before));
    answer_.clear();
    std::string damaged = record;
    damaged[at] = char(damaged[at] ^ 0x10);
    test::Told told = open(damaged);
    ASSERT_EQ(told.back(), "") << at;
    if (records_->mid_record()) continue;  // its length became longer: it waits for the rest
    ASSERT_EQ(told, (test::Told{"broken", ""})) << at;
    ASSERT_NE(answer_, "") << at;
  }
  // The alert is one that the client understands.
  client_.give(answer_);
  EXPECT_EQ(client_.hear(), "");
  EXPECT_EQ(SSL_get_error(client_.ssl(), -1), SSL_ERROR_SSL);
}

TEST_P(TlsSuites, ARecordIsOpenedOnce) {
  client_.say("once");
  std::string record = client_.take();
  EXPECT_EQ(open(record), test::Told{"once"});
  EXPECT_EQ(open(record), (test::Told{"broken", ""}));
}

TEST_P(TlsSuites, GoodbyesAreUnderstood) {
  std::string out;
  records_->seal_close_notify(out);
  client_.give(out);
  EXPECT_EQ(client_.hear(), "");
  EXPECT_TRUE(client_.told_to_close());
  SSL_shutdown(client_.ssl());
  EXPECT_EQ(open(client_.take()), (test::Told{"closed", ""}));
}

TEST_P(TlsSuites, NoRecordIsWaitedForThatIsTooLong) {
  EXPECT_EQ(open(std::string("\x17\x03\x03\x48\x00", 5)), (test::Told{"broken", ""}));
  EXPECT_NE(answer_, "");
}

TEST_P(Tls13, NewKeysAreTakenAndGiven) {
  for (int kind : {SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED}) {
    for (int round = 0; round < 3; ++round) {
      ASSERT_EQ(SSL_key_update(client_.ssl(), kind), 1);
      client_.say("behind it");
      move();
      EXPECT_EQ(open(client_.take()), test::Told{"behind it"});
      EXPECT_EQ(answer_, "");
      EXPECT_EQ(records_->owes_update(), kind == SSL_KEY_UPDATE_REQUESTED);
      move();
      records_->seal("with new ones", answer_);
      client_.give(std::exchange(answer_, {}));
      EXPECT_EQ(client_.hear(), "with new ones");
    }
  }
}

// However often it asks: one answer stands for all.
TEST_P(Tls13, WhoAsksAgainAndAgainIsAnsweredOnce) {
  for (unsigned i = 0; i < Records::kBurst; ++i) {
    ASSERT_EQ(SSL_key_update(client_.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    client_.say("x");
  }
  EXPECT_EQ(open(client_.take()), test::Told{std::string(Records::kBurst, 'x')});
  EXPECT_EQ(answer_, "");
  ASSERT_TRUE(records_->owes_update());
  records_->answer_update(answer_);
  EXPECT_FALSE(records_->owes_update());
  EXPECT_EQ(answer_.size(), 27u);
  records_->seal("understood", answer_);
  client_.give(answer_);
  EXPECT_EQ(client_.hear(), "understood");
}

// What it says between them, a pong for one, makes no difference; time does.
TEST_P(Tls13, NewKeysAgainAndAgainAreTheEndAtLast) {
  uint64_t now_ms = 1'000'000;
  auto update = [&] {
    ASSERT_EQ(SSL_key_update(client_.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    client_.say("pong");
  };
  auto opens = [&] {
    std::string bytes = client_.take();
    Step step = Step::nothing;
    std::span<char> rest(bytes), plain;
    while (!rest.empty() && step != Step::broken)
      step = records_->next(rest, &plain, answer_, now_ms);
    return step == Step::data;
  };
  for (unsigned i = 0; i < Records::kBurst; ++i) {
    ASSERT_NO_FATAL_FAILURE(update());
    ASSERT_TRUE(opens()) << i;
  }
  for (int i = 0; i < 3; ++i) {
    now_ms += Records::kEveryMs;
    ASSERT_NO_FATAL_FAILURE(update());
    ASSERT_TRUE(opens()) << i;
    move();
  }
  ASSERT_NO_FATAL_FAILURE(update());
  EXPECT_FALSE(opens());
  EXPECT_NE(answer_, "");
}

TEST_P(Tls13, KeysAreChangedInTimeBothWays) {
  constexpr uint64_t kMost = 8;
  records_.emplace(RecordsState(records_->save()), kMost);
  unsigned changed = 0;
  for (int i = 0; i < 100; ++i) {
    std::string text = "message " + std::to_string(i);
    client_.say(text);
    ASSERT_EQ(open(client_.take()), test::Told{text});
    records_->seal(text, answer_);
    client_.give(std::exchange(answer_, {}));
    ASSERT_EQ(client_.hear(), text);
    EXPECT_LE(records_->save().secrets.out.sequence, kMost);
    EXPECT_LE(records_->save().secrets.in.sequence, kMost + 2);
    changed += records_->take_rekeyed();
  }
  EXPECT_GE(changed, 2 * 100 / (kMost + 2));
  std::string longer(3 * kMost * Records::kMaxPlain, 'x');
  records_->seal(longer, answer_);
  client_.give(answer_);
  EXPECT_EQ(client_.hear(), longer);
  EXPECT_GE(records_->take_rekeyed(), 3u);
}

// There are no new keys without a renegotiation.
TEST_P(Tls12, KeysAreUsedUpAtTheirBound) {
  records_.emplace(RecordsState(records_->save()), 8);
  bool gcm = records_->save().secrets.cipher != Cipher::chacha20_poly1305;
  std::string out;
  while (records_->save().secrets.out.sequence < 7) records_->seal("x", out);
  EXPECT_FALSE(records_->used_up());
  records_->seal("x", out);
  EXPECT_EQ(records_->used_up(), gcm);
  EXPECT_EQ(records_->take_rekeyed(), 0u);
}

TEST_P(Tls12, ARenegotiationIsRefused) {
  ASSERT_EQ(SSL_renegotiate(client_.ssl()), 1);
  (void)SSL_do_handshake(client_.ssl());
  EXPECT_EQ(open(client_.take()), (test::Told{"broken", ""}));
}

TEST(TlsAccepting, TakesItsBytesInAnyPieces) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (size_t most : {1, 2, 7, 100}) {
      OpensslClient client({.version = version});
      Accepting server(context());
      EXPECT_EQ(shake(client, server, most), Accepting::Step::done) << version << " " << most;
    }
  }
}

// A client that does not wait: its first data lies behind its Finished.
// A stranger costs what he sends, and no work, until he has said hello.
TEST(TlsAccepting, NothingIsDoneBeforeAHelloIsWhole) {
  OpensslClient client({.version = TLS1_3_VERSION});
  Accepting server(context());
  std::string hello = client.take(), answer;
  for (size_t i = 0; i + 1 < hello.size(); ++i) {
    ASSERT_FALSE(server.take(hello.substr(i, 1))) << i;
    ASSERT_LT(server.held_bytes(), sizeof server + 2 * hello.size() + 64) << i;
  }
  EXPECT_TRUE(server.take(hello.substr(hello.size() - 1)));
  EXPECT_EQ(server.step(answer), Accepting::Step::need_more);
  EXPECT_GT(server.held_bytes(), Accepting::kBegunBytes);
}

TEST(TlsAccepting, ALongHelloIsNotWaitedForIfItIsTooLong) {
  // Header of a record of 100 bytes, and of the message in it.
  std::string_view head("\x16\x03\x01\0\x64\x01", 6);
  std::string answer, body(97, 'x');
  Accepting most(context());
  EXPECT_FALSE(most.take(std::string(head) + std::string("\0\xff\xfc", 3) + body));
  Accepting more(context());
  EXPECT_EQ(more.feed(std::string(head) + std::string("\0\xff\xfd", 3) + body, answer),
            Accepting::Step::failed);
  EXPECT_EQ(more.error(), "the hand-shake is too long");
  EXPECT_EQ(answer, std::string("\x15\x03\x03\0\x02\x02\x2f", 7));
}

// A record of one handshake byte each.
std::string in_small_records(std::string_view record) {
  std::string small;
  for (char c : record.substr(5)) small += std::string(record.substr(0, 3)) + '\0' + '\1' + c;
  return small;
}

TEST(TlsAccepting, AHelloMayComeInManyRecordsAndBeAskedForTwice) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    OpensslClient client({.version = version, .groups = "P-521:P-384"});
    Accepting server(rsa_context());
    std::string answer;
    ASSERT_EQ(server.feed(in_small_records(client.take()), answer), Accepting::Step::need_more);
    client.give(answer);
    EXPECT_EQ(shake(client, server, 1), Accepting::Step::done) << server.error();
    EXPECT_TRUE(client.shaken());
  }
}

TEST(TlsAccepting, TooManyRecordsAreTooMany) {
  OpensslClient client({.version = TLS1_3_VERSION});
  Accepting server(context());
  std::string answer;
  ASSERT_EQ(server.feed(client.take(), answer), Accepting::Step::need_more);
  std::string ignored;  // ChangeCipherSpec, which 1.3 passes over
  for (unsigned i = 0; i < Accepting::kMaxRecords; ++i) ignored += std::string("\x14\3\3\0\1\1", 6);
  EXPECT_EQ(server.feed(ignored, answer), Accepting::Step::failed);
}

// What belongs to the application is not the hand-shake's, however much it is.
TEST(TlsAccepting, WhatComesBehindTheHandshakeIsNoPartOfIt) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    OpensslClient client({.version = version});
    Accepting server(context());
    std::string answer;
    ASSERT_EQ(server.feed(client.take(), answer), Accepting::Step::need_more);
    client.give(answer);
    answer.clear();
    std::string text(480'000, 'x'), last = client.take();
    if (version ==
        TLS1_2_VERSION) {  // its client waits for the server's Finished; this one's bytes are never opened
      last += std::string("\x17\x03\x03\x40\0", 5) + std::string(16'384, 'x');
      for (int i = 0; i < 5; ++i) last += last.substr(last.size() - 16'389);
      size_t behind = 6 * 16'389;
      ASSERT_EQ(server.feed(last, answer), Accepting::Step::done) << server.error();
      EXPECT_EQ(server.rest(), last.substr(last.size() - behind));
      continue;
    }
    client.say(text);
    ASSERT_EQ(server.feed(last + client.take(), answer), Accepting::Step::done) << server.error();
    Records records(*server.secrets());
    std::string rest = server.rest(), heard;
    std::span<char> bytes(rest), plain;
    while (!bytes.empty() && records.next(bytes, &plain, answer) == Step::data)
      heard.append(plain.data(), plain.size());
    EXPECT_EQ(heard.size(), text.size());
  }
}

TEST(TlsAccepting, ExchangesKeysInTheGroupsThatAreCheap) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const char* group : {"X25519", "P-256", "P-384", "P-521:P-256", "ffdhe2048:X25519"}) {
      OpensslClient client({.version = version, .groups = group});
      Accepting server(rsa_context());
      EXPECT_EQ(shake(client, server), Accepting::Step::done) << group << server.error();
    }
    for (const char* group : {"ffdhe2048", "ffdhe8192", "P-521", "X448"}) {
      OpensslClient client({.version = version, .groups = group});
      Accepting server(rsa_context());
      EXPECT_EQ(shake(client, server), Accepting::Step::failed) << group;
    }
  }
  OpensslClient client({.groups = "X25519:P-521"});
  Accepting server(rsa_context({"P-521", "X448"}));
  EXPECT_EQ(shake(client, server), Accepting::Step::done);
}

// What it agrees to it keeps to, and what it does not keep to it does not agree to.
TEST(TlsAccepting, AgreesToShortFragmentsAndKeepsToThem) {
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (uint8_t mode = 1; mode <= 4; ++mode) {
      size_t most = size_t{256} << mode;
      OpensslClient client({.version = version, .max_fragment = mode});
      Accepting server(context());
      ASSERT_EQ(shake(client, server), Accepting::Step::done) << server.error();
      EXPECT_EQ(server.secrets()->max_fragment, most);
      Records records(*server.secrets());
      std::string text(10'000, 'x'), out;
      records.seal(text, out);
      client.give(out);
      EXPECT_EQ(client.hear(), text) << most;
      client.say(text);
      std::string bytes = client.take(), heard, answer;
      std::span<char> rest(bytes), plain;
      while (!rest.empty() && records.next(rest, &plain, answer) == Step::data)
        heard.append(plain.data(), plain.size());
      EXPECT_EQ(heard, text);
    }
    OpensslClient plain({.version = version});
    Accepting server(context());
    ASSERT_EQ(shake(plain, server), Accepting::Step::done);
    EXPECT_EQ(server.secrets()->max_fragment, 0);
  }
}

TEST(TlsAccepting, KeepsWhatCameBehindTheHandshake) {
  OpensslClient client({.version = TLS1_3_VERSION});
  Accepting server(context());
  std::string answer;
  ASSERT_EQ(server.feed(client.take(), answer), Accepting::Step::need_more);
  client.give(answer);
  client.say("at once");
  answer.clear();
  ASSERT_EQ(server.feed(client.take(), answer), Accepting::Step::done);
  Records records(*server.secrets());
  std::string rest = server.rest();
  std::span<char> bytes(rest), plain;
  ASSERT_EQ(records.next(bytes, &plain, answer), Step::data);
  EXPECT_EQ(std::string(plain.begin(), plain.end()), "at once");
}

TEST(TlsAccepting, ShowsTheCertificateForTheName) {
  const std::pair<const char*, const char*> names[] = {{"one.example", "one.example"},
                                                       {"two.example", "two.example"},
                                                       {"TWO.example", "two.example"},
                                                       {"a.wild.example", "two.example"},
                                                       {"a.b.wild.example", "one.example"},
                                                       {"three.example", "one.example"},
                                                       {"", "one.example"}};
  for (const auto& [asked, shown] : names) {
    OpensslClient client({.name = asked});
    Accepting server(context());
    ASSERT_EQ(shake(client, server), Accepting::Step::done);
    EXPECT_EQ(client.certificate_name(), shown) << asked;
  }
}

TEST(TlsAccepting, AgreesOnHttp11OrRefuses) {
  struct {
    std::vector<std::string> offered;
    std::string agreed;
  } const cases[] = {{{}, ""}, {{"http/1.1"}, "http/1.1"}, {{"h2", "http/1.1"}, "http/1.1"}};
  for (const auto& c : cases) {
    OpensslClient client({.protocols = c.offered});
    Accepting server(context());
    ASSERT_EQ(shake(client, server), Accepting::Step::done);
    EXPECT_EQ(client.alpn(), c.agreed);
  }
  OpensslClient client({.protocols = {"h2", "mqtt"}});
  Accepting server(context());
  EXPECT_EQ(shake(client, server), Accepting::Step::failed);
  EXPECT_NE(server.error().find("application protocol"), std::string::npos) << server.error();
}

TEST(TlsAccepting, RefusesWhatIsOldOrWeak) {
  const ClientWishes weak[] = {{.version = TLS1_VERSION},
                               {.version = TLS1_1_VERSION},
                               {.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA256"},
                               {.version = TLS1_2_VERSION, .ciphers = "AES128-GCM-SHA256"}};
  for (const ClientWishes& wishes : weak) {
    OpensslClient client(wishes);
    Accepting server(context());
    EXPECT_EQ(shake(client, server), Accepting::Step::failed)
        << wishes.version << " " << wishes.ciphers;
    EXPECT_FALSE(server.error().empty());
  }
}

TEST(TlsAccepting, NonsenseIsRefusedAtOnce) {
  for (std::string_view bytes :
       {"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n", "\x16\x03\x01\xff\xff"}) {
    Accepting server(context());
    std::string answer;
    EXPECT_EQ(server.feed(bytes, answer), Accepting::Step::failed) << bytes;
  }
}

TEST(TlsAccepting, MoreThanItsBoundIsTooMuch) {
  Accepting server(context());
  std::string answer, bytes(Accepting::kMaxBytes + 1, '\x16');
  EXPECT_EQ(server.feed(bytes, answer), Accepting::Step::failed);
  EXPECT_EQ(server.error(), "the hand-shake is too long");
}

TEST(TlsContext, SaysWhichCertificateIsNoGood) {
  conf::Certificate good = test::make_certificate({"one.example"}),
                    other = test::make_certificate({"two.example"});
  std::string cut = "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n";
  struct {
    std::string chain, key;
    std::string_view what;
  } const cases[] = {{"", good.key, "no PEM chain"},
                     {"nonsense", good.key, "no PEM chain"},
                     {good.key, good.key, "no PEM chain"},
                     {good.chain, "", "no PEM key"},
                     {good.chain, other.chain, "no PEM key"},
                     {good.chain, other.key, "no PEM key"},
                     {good.chain + cut, good.key, "no PEM chain"}};
  for (const auto& c : cases) {
    Result<Context> made = Context::make({good, {"", "", c.chain, c.key}});
    ASSERT_FALSE(made) << c.what;
    EXPECT_NE(made.error().text().find("certificate 2: "), std::string::npos)
        << made.error().text();
    EXPECT_NE(made.error().text().find(c.what), std::string::npos) << made.error().text();
  }
  EXPECT_FALSE(Context::make({}));
  EXPECT_TRUE(Context::make({good, {"", "", other.chain + good.chain, other.key}}));
}

TEST(TlsContext, SaysWhichGroupIsNoGood) {
  const conf::Certificate good = test::make_certificate({"one.example"});
  for (const std::vector<std::string>& groups : std::vector<std::vector<std::string>>{
           {}, {"X25519", "P-257"}, {""}, {"X25519:P-256"}, {"P-256", "P-256"}})
    EXPECT_FALSE(Context::make({good}, {}, {}, groups));
  EXPECT_TRUE(Context::make({good}, {}, {}, {"P-384"}));
}

// With a key that nobody has the private part of: it is not come to that.
std::string certificate_of_bits(int bits, const conf::Certificate& signer) {
  BIGNUM* modulus = BN_new();
  BN_rand(modulus, bits, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ODD);
  OSSL_PARAM_BLD* build = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus);
  OSSL_PARAM_BLD_push_uint(build, OSSL_PKEY_PARAM_RSA_E, 65'537);
  OSSL_PARAM* params = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY_CTX* context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  EVP_PKEY* key = nullptr;
  EXPECT_EQ(EVP_PKEY_fromdata_init(context), 1);
  EXPECT_EQ(EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
  EVP_PKEY_CTX_free(context);
  OSSL_PARAM_free(params);
  OSSL_PARAM_BLD_free(build);
  BN_free(modulus);
  X509* certificate = test::certificate_of(test::make_certificate({"long"}, &signer));
  EVP_PKEY* its_key = test::key_of(signer);
  X509_set_pubkey(certificate, key);
  EXPECT_GT(X509_sign(certificate, its_key, EVP_sha256()), 0);
  std::string pem = test::pem_of([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
  X509_free(certificate);
  EVP_PKEY_free(key);
  EVP_PKEY_free(its_key);
  return pem;
}

TEST(TlsContext, LooksAtCertificatesBeforeItWorksForThem) {
  const conf::Certificate authority = test::make_certificate({"authority"});
  Context strict =
      std::move(*Context::make({test::make_certificate({"one.example"})}, authority.chain));
  auto comes = [&](const conf::Certificate& certificate) {
    OpensslClient client({.certificate = &certificate});
    Accepting server(strict);
    Accepting::Step step = shake(client, server);
    return step == Accepting::Step::done ? "in" : server.error();
  };
  const conf::Certificate small = test::make_certificate({"program"}, &authority);
  EXPECT_EQ(comes(small), "in");
  EXPECT_EQ(comes(test::make_certificate({"rsa"}, &authority, EVP_RSA_gen(2'048))), "in");
  conf::Certificate chain = small;  // with nine that nobody needs
  for (int i = 0; i < 9; ++i) chain.chain += authority.chain;
  EXPECT_NE(comes(chain).find("certificate verify failed"), std::string::npos) << comes(chain);
  for (int bits : {8'192, 8'200, 16'384}) {
    conf::Certificate with_long = small;
    with_long.chain += certificate_of_bits(bits, authority);
    EXPECT_EQ(comes(with_long) == "in", bits <= Context::kMostRsaBits) << bits;
  }
  conf::Certificate huge = small;
  while (huge.chain.size() < 64 * 1024) huge.chain += authority.chain;
  EXPECT_NE(comes(huge).find("excessive message size"), std::string::npos) << comes(huge);
}

// ---- tickets

class TlsTickets : public ::testing::TestWithParam<int> {
 protected:
  TlsTickets() { keys_.renew(0); }
  Context listener(const std::string& client_ca = {}) {
    return std::move(
        *Context::make({test::make_certificate({"one.example"})}, client_ca, {keys_, 3'600'000}));
  }
  // One hand-shake, an exchange behind it, and what it is resumed by next time.
  struct Met {
    bool resumed = false;
    test::TlsSession session;
  };
  Met meet(const Context& at, const test::TlsSession& session = nullptr) {
    OpensslClient client({.version = GetParam(), .session = session});
    Accepting server(at);
    EXPECT_EQ(shake(client, server), Accepting::Step::done) << server.error();
    EXPECT_EQ(server.resumed(), client.resumed());
    Records records(*server.secrets());
    std::string answer;
    records.seal("hello", answer);
    client.give(answer);
    EXPECT_EQ(client.hear(), "hello");  // the sequences are right
    client.say("hello too");
    std::string bytes = client.take();
    std::span<char> rest(bytes), plain;
    EXPECT_EQ(records.next(rest, &plain, answer), Step::data);
    EXPECT_EQ(std::string(plain.begin(), plain.end()), "hello too");
    return {server.resumed(), client.session()};
  }

  shm::TicketKeyRing ring_{};
  shm::TicketKeys keys_{ring_};
};

TEST_P(TlsTickets, OneOfAnyListenerIsGoodAtAll) {
  Context first = listener(), second = listener();
  Met met = meet(first);
  EXPECT_FALSE(met.resumed);
  ASSERT_NE(met.session, nullptr);
  for (int i = 0; i < 5; ++i) {
    met = meet(i % 2 == 0 ? second : first, met.session);
    EXPECT_TRUE(met.resumed) << i;
    ASSERT_NE(met.session, nullptr) << i;
  }
}

TEST_P(TlsTickets, AreGoodForTwoKeysAndReplaced) {
  Context at = listener();
  Met old = meet(at);
  keys_.renew(0);
  Met next = meet(at, old.session);
  EXPECT_TRUE(next.resumed);
  keys_.renew(0);
  EXPECT_FALSE(meet(at, old.session).resumed);
  EXPECT_TRUE(meet(at, next.session).resumed) << "it was of the newer key";
}

TEST_P(TlsTickets, ThatSomebodyHasChangedAreNone) {
  Context at = listener();
  Met met = meet(at);
  shm::TicketKey key = keys_.newest(), other = key;
  other.mac[0] ^= 1;
  keys_.put(other, 0);  // same name
  EXPECT_FALSE(meet(at, met.session).resumed);
}

TEST_P(TlsTickets, NobodyGetsOrUsesThemWhereCertificatesAreAskedFor) {
  const conf::Certificate authority = test::make_certificate({"authority"}),
                          program = test::make_certificate({"program"}, &authority);
  Context open = listener(), strict = listener(authority.chain);
  Met met = meet(open);
  ASSERT_NE(met.session, nullptr);
  OpensslClient stranger({.version = GetParam(), .session = met.session});
  Accepting refuses(strict);
  EXPECT_EQ(shake(stranger, refuses), Accepting::Step::failed);
  OpensslClient client({.version = GetParam(), .certificate = &program, .session = met.session});
  Accepting takes(strict);
  EXPECT_EQ(shake(client, takes), Accepting::Step::done);
  EXPECT_FALSE(takes.resumed());
  (void)client.hear();
  EXPECT_EQ(client.session(), nullptr);
}

TEST_P(TlsTickets, ThereAreNoneWithoutKeys) {
  Context at = std::move(*Context::make({test::make_certificate({"one.example"})}));
  EXPECT_EQ(meet(at).session, nullptr);
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsTickets, ::testing::Values(TLS1_2_VERSION, TLS1_3_VERSION),
                         [](const auto& version) {
                           return version.param == TLS1_2_VERSION ? "tls12" : "tls13";
                         });

}  // namespace
}  // namespace holdfast::tls
