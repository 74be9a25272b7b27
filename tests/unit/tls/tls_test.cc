// The server's side of TLS against a client by OpenSSL: the hand-shake, and records past it in every version and cipher.
#include <gtest/gtest.h>

#include "tests/harness/openssl_client.h"
#include "tests/unit/every_division.h"
#include "worker/tls/accepting.h"
#include "worker/tls/records.h"

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
      EXPECT_EQ(answer_.empty(), kind == SSL_KEY_UPDATE_NOT_REQUESTED);
      records_->seal("with new ones", answer_);
      client_.give(std::exchange(answer_, {}));
      EXPECT_EQ(client_.hear(), "with new ones");
    }
  }
}

TEST_P(Tls13, NewKeysForNothingAreTheEndAtLast) {
  bool broken = false;
  int updates = 0;
  for (; updates < 100 && !broken; ++updates) {
    ASSERT_EQ(SSL_key_update(client_.ssl(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    (void)SSL_do_handshake(client_.ssl());
    broken = open(client_.take())[0] == "broken";
  }
  EXPECT_TRUE(broken);
  EXPECT_EQ(updates, 33);
}

TEST_P(Tls13, KeysAreChangedInTime) {
  RecordsState state = records_->save();
  Keys before = state.secrets.out;
  state.secrets.out.sequence = Records::kMostRecords - 1;
  records_.emplace(RecordsState(state));
  std::string out;
  records_->seal("the last", out);
  EXPECT_EQ(records_->save().secrets.out.sequence, 0u);
  EXPECT_NE(records_->save().secrets.out.key, before.key);
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
