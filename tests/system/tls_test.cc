// TLS listeners of a real server: a client by OpenSSL, over reloads, upgrades and changed certificates.
#include <gtest/gtest.h>

#include <deque>

#include "tests/harness/gateway.h"
#include "tests/harness/openssl_client.h"
#include "tests/harness/wait.h"

namespace holdfast::test {
namespace {

class TlsStream {
 public:
  explicit TlsStream(const std::string& address, const ClientWishes& wishes = {})
      : ssl_(wishes), stream_(address) {
    while (!ssl_.shaken()) {
      send_out();
      if (!stream_.read_more()) throw std::runtime_error("ended in the TLS hand-shake");
      take_in();
    }
    send_out();
  }
  void write(std::string_view text) {
    ssl_.say(text);
    send_out();
  }
  std::string read_until(std::string_view end) {
    while (heard_.find(end) == std::string::npos) {
      if (!stream_.read_more()) throw std::runtime_error("ended behind: " + heard_);
      take_in();
    }
    size_t size = heard_.find(end) + end.size();
    std::string taken = heard_.substr(0, size);
    heard_.erase(0, size);
    return taken;
  }
  OpensslClient& ssl() { return ssl_; }

 private:
  void send_out() {
    std::string bytes = ssl_.take();
    if (!bytes.empty()) stream_.write(bytes);
  }
  void take_in() {
    ssl_.give(std::exchange(stream_.buffer(), {}));
    if (ssl_.shaken()) heard_ += ssl_.hear();
    send_out();
  }

  OpensslClient ssl_;
  Stream stream_;
  std::string heard_;
};

// An open WebSocket at an echo backend.
class SecureEcho : public TlsStream {
 public:
  explicit SecureEcho(const std::string& address, const ClientWishes& wishes = {})
      : TlsStream(address, wishes) {
    write(
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    EXPECT_TRUE(read_until("\r\n\r\n").starts_with("HTTP/1.1 101 "));
  }
  void expect_echo(const std::string& text) {
    // A short text frame; the mask is zeros.
    write(std::string("\x81") + char(0x80 | text.size()) + std::string(4, '\0') + text);
    EXPECT_NE(read_until(text), "");
  }
};

void write_certificate(const std::string& dir, const std::string& name) {
  conf::Certificate made = make_certificate({name});
  write_file(dir + "/chain.pem", made.chain);
  write_file(dir + "/key.pem", made.key);
}

const std::string kTables = R"(
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
backend = "echo"
origins = ["*"]
tls = [{ certificate = "@DIR@/chain.pem", key = "@DIR@/key.pem" }]
)";

// A gateway whose certificate lies in a directory of the test's.
struct Place {
  explicit Place(const std::string& more = {}) {
    write_certificate(dir.path(), "first.example");
    std::string text = kTables;
    for (size_t at; (at = text.find("@DIR@")) != std::string::npos;)
      text.replace(at, 5, dir.path());
    tables = text + more;
  }
  TempDir dir;
  std::string tables;
};

void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

TEST(Tls, ConnectionsLiveOverReloadsAndAnUpgrade) {
  Place place;
  Gateway gw({.tables = place.tables});
  std::deque<SecureEcho> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back(gw.listener(),
                         ClientWishes{.version = i % 2 == 0 ? TLS1_3_VERSION : TLS1_2_VERSION});
    clients.back().expect_echo("before");
  }
  for (int round = 0; round < 3; ++round) {
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    for (SecureEcho& client : clients) client.expect_echo("round " + std::to_string(round));
  }
  EXPECT_EQ(gw.ctl({"upgrade"}).status, 0);
  gw.attach();
  for (SecureEcho& client : clients) client.expect_echo("upgraded");
  EXPECT_EQ(gw.counter("sessions.opened"), 10u);
  EXPECT_EQ(gw.counter("sessions.online"), 10u);
  EXPECT_EQ(gw.counter("tls.failed"), 0u);
}

TEST(Tls, AReloadTakesNewCertificatesAndRefusesBadOnes) {
  Place place;
  Gateway gw({.tables = place.tables});
  SecureEcho old(gw.listener());
  EXPECT_EQ(old.ssl().certificate_name(), "first.example");
  write_certificate(place.dir.path(), "second.example");
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  EXPECT_EQ(SecureEcho(gw.listener()).ssl().certificate_name(), "second.example");
  old.expect_echo("still here");
  write_file(place.dir.path() + "/key.pem", "no key");
  Finished refused = gw.ctl({"reload"});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE((refused.output).find("tls[0].certificate"), std::string::npos) << refused.output;
  EXPECT_EQ(SecureEcho(gw.listener()).ssl().certificate_name(), "second.example");
  old.expect_echo("and now");
}

// A hand-shake that is half done cannot move; its client comes again.
TEST(Tls, AHalfDoneHandshakeIsCutAndCounted) {
  Place place;
  Gateway gw({.tables = place.tables});
  OpensslClient ssl;
  Stream stream(gw.listener());
  stream.write(ssl.take());
  ASSERT_TRUE(stream.read_more());
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  EXPECT_EQ(gw.counter_becomes("tls.cut", 1), 1u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
}

TEST(Tls, SpeakingWithoutItIsRefused) {
  Place place;
  Gateway gw({.tables = place.tables});
  Stream stream(gw.listener());
  stream.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(stream.at_end());
  EXPECT_EQ(gw.counter_becomes("tls.failed", 1), 1u);
}

// A ticket of any worker is good at every other, and at all that come after them.
TEST(Tls, SessionsAreResumedAtEveryWorkerOverReloadsAndAnUpgrade) {
  Place place;
  Gateway gw({.tables = place.tables});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsSession session;
    uint64_t done = 0, resumed = gw.counter("tls.resumed");
    auto come = [&] {
      SecureEcho client(gw.listener(), {.version = version, .session = session});
      client.expect_echo("hello");
      EXPECT_EQ(client.ssl().resumed(), done > 0);
      session = client.ssl().session();
      EXPECT_NE(session, nullptr);
      resumed += done++ > 0;
    };
    auto at_both = [&] {
      for (uint16_t slot : gw.serving_slots()) {
        uint64_t before = gw.segment().stats(slot).tls_handshakes.get();
        for (int tries = 0; tries < 200 && gw.segment().stats(slot).tls_handshakes.get() == before;
             ++tries)
          come();
      }
    };
    at_both();
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    at_both();
    EXPECT_EQ(gw.ctl({"upgrade"}).status, 0);
    gw.attach();
    at_both();
    EXPECT_EQ(gw.counter_becomes("tls.resumed", resumed), resumed);
  }
}

TEST(Tls, TicketKeysAreMadeAnewAndOldTicketsAreGoodNoMore) {
  Place place;
  Gateway gw({.server = "tls_ticket_lifetime = \"1s\"", .tables = place.tables});
  TlsSession first;
  auto resumes = [&](int version, const TlsSession& session) {
    SecureEcho client(gw.listener(), {.version = version, .session = session});
    client.expect_echo("hello");
    first = client.ssl().session();
    return client.ssl().resumed();
  };
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsSession old;
    // Its time may run out before it is used at all; then the next one's turn comes.
    ASSERT_TRUE(eventually([&] {
      resumes(version, nullptr);
      old = first;
      return old != nullptr && resumes(version, old);
    }));
    EXPECT_TRUE(eventually([&] { return !resumes(version, old); })) << version;
  }
  gw.write_config({.server = "tls_ticket_lifetime = \"0s\"", .tables = place.tables});
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  EXPECT_FALSE(resumes(TLS1_3_VERSION, nullptr));
  EXPECT_EQ(first, nullptr);
}

// ---- APIs

std::string secure_api(const Place& place, const std::string& protocol,
                       const std::string& more = {}) {
  return "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"" + protocol +
         "\"\ntls = [{ certificate = \"" + place.dir.path() + "/chain.pem\", key = \"" +
         place.dir.path() + "/key.pem\" }]\n" + more;
}

constexpr std::string_view kPublish =
    "POST /v1/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 32\r\n\r\n"
    R"({"channels":["news"],"data":"x"})";

TEST(Tls, PushersAndSubscribersLiveOverReloadsAndAnUpgrade) {
  Place place;
  Gateway gw({.tables = place.tables + secure_api(place, "http") + secure_api(place, "resp")});
  TlsStream pusher(gw.api(1)), subscriber(gw.api(2));
  subscriber.write("SUBSCRIBE news\r\n");
  subscriber.read_until(":1\r\n");
  auto push = [&](const std::string& when) {
    pusher.write(kPublish);
    EXPECT_TRUE(pusher.read_until("}").starts_with("HTTP/1.1 200 OK")) << when;
    EXPECT_EQ(subscriber.read_until("$1\r\nx\r\n"),
              "*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$1\r\nx\r\n")
        << when;
  };
  push("before");
  for (int round = 0; round < 3; ++round) {
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    push("reload " + std::to_string(round));
  }
  EXPECT_EQ(gw.ctl({"upgrade"}).status, 0);
  gw.attach();
  push("upgraded");
  EXPECT_EQ(gw.counter("tls.failed"), 0u);
}

// As a redis-cli and a curl from Debian show them.
TEST(Tls, OnlyProgramsWithACertificateMayPush) {
  Place place;
  conf::Certificate authority = make_certificate({"our own authority"}),
                    program = make_certificate({"program"}, &authority);
  const std::string dir = place.dir.path();
  write_file(dir + "/ca.pem", authority.chain);
  write_file(dir + "/program.pem", program.chain);
  write_file(dir + "/program-key.pem", program.key);
  const std::string ca = "client_ca = \"" + dir + "/ca.pem\"\n";
  Gateway gw(
      {.tables = place.tables + secure_api(place, "http", ca) + secure_api(place, "resp", ca)});
  const std::vector<std::string> curl{"curl",         "--silent",
                                      "--cacert",     dir + "/chain.pem",
                                      "--connect-to", "first.example::" + gw.api(1)};
  auto with = [](std::vector<std::string> command, const std::vector<std::string>& more) {
    command.insert(command.end(), more.begin(), more.end());
    return run(command);
  };
  const std::string page = "https://first.example/healthz";
  Finished answered =
      with(curl, {"--cert", dir + "/program.pem", "--key", dir + "/program-key.pem", page});
  EXPECT_EQ(answered.status, 0);
  EXPECT_NE(answered.output.find("\"status\""), std::string::npos) << answered.output;
  EXPECT_EQ(gw.counter("tls.failed"), 0u);
  EXPECT_NE(with(curl, {page}).status, 0);
  EXPECT_EQ(gw.counter_becomes("tls.failed", 1), 1u);
  const std::string resp = gw.api(2);
  const std::vector<std::string> cli{"redis-cli", "-p",           resp.substr(resp.rfind(':') + 1),
                                     "--tls",     "--cacert",     dir + "/chain.pem",
                                     "--sni",     "first.example"};
  EXPECT_EQ(with(cli, {"--cert", dir + "/program.pem", "--key", dir + "/program-key.pem", "publish",
                       "news", "x"})
                .output,
            "0\n");
  EXPECT_EQ(gw.counter("tls.failed"), 1u);
  EXPECT_EQ(with(cli, {"publish", "news", "x"}).output.find("0\n"), std::string::npos);
  EXPECT_EQ(gw.counter_becomes("tls.failed", 2), 2u);
}

}  // namespace
}  // namespace holdfast::test
