// TLS listeners of a real server: a client by OpenSSL, over reloads, upgrades and changed certificates.
#include <fmt/format.h>
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
  explicit SecureEcho(const std::string& address, const ClientWishes& wishes = {},
                      const std::string& query = {})
      : TlsStream(address, wishes) {
    write("GET /ws" + query +
          " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
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
    std::string text = kTables + more;
    for (size_t at; (at = text.find("@DIR@")) != std::string::npos;)
      text.replace(at, 5, dir.path());
    tables = text;
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

// Clients that come back at another worker go to their own with keys and counters of their records.
TEST(Tls, ClientsThatComeBackAreGivenToTheirWorkers) {
  Place place("resume = \"60s\"\n");
  Gateway gw({.workers = 3, .tables = place.tables});
  uint64_t away = 0;
  for (int version : {TLS1_3_VERSION, TLS1_2_VERSION}) {
    auto key = [&](int n) {
      return fmt::format("?resume=Holdfast-tests_{:06}A", version * 100 + n);
    };
    {
      std::deque<SecureEcho> clients;
      for (int i = 0; i < 30; ++i)
        clients.emplace_back(gw.listener(), ClientWishes{.version = version}, key(i));
    }
    away += 30;
    ASSERT_EQ(gw.counter_becomes("sessions.detached", away), away);
    std::deque<SecureEcho> back;
    for (int i = 0; i < 30; ++i) {
      back.emplace_back(gw.listener(), ClientWishes{.version = version}, key(i) + "&seen=0");
      EXPECT_NE(back.back().read_until("}}").find("\"resumed\":true"), std::string::npos);
      back.back().expect_echo("here");
      back.back().expect_echo("and still");
    }
    back.clear();
    ASSERT_EQ(gw.counter_becomes("sessions.detached", away), away);
  }
  EXPECT_GT(gw.counter("resume.passed_on"), 20u);
  EXPECT_EQ(gw.counter("resume.resumed"), 60u);
  EXPECT_EQ(gw.counter("tls.failed"), 0u);
  EXPECT_EQ(gw.counter_becomes("bytes.unsent", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
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

// What devices with little memory, and programs that do not wait, do.
TEST(Tls, ServesShortFragmentsAndThoseWhoDoNotWait) {
  Place place(
      "[[api]]\naddress = \"127.0.0.1:0\"\ntls = [{ certificate = \"@DIR@/chain.pem\", key = "
      "\"@DIR@/key.pem\" }]\n");
  Gateway gw({.tables = place.tables});
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    SecureEcho device(gw.listener(), {.version = version, .max_fragment = 1});
    std::string text(60'000, 'x');
    device.write(std::string("\x81\xfe\xea\x60", 4) + std::string(4, '\0') + text);
    EXPECT_EQ(device.read_until(text).size(), text.size() + 4);
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    device.write(std::string("\x81\xfe\xea\x60", 4) + std::string(4, '\0') + text);
    EXPECT_EQ(device.read_until(text).size(), text.size() + 4);
  }
  Finished shown =
      run({"sh", "-c",
           "printf 'GET /healthz HTTP/1.0\\r\\n\\r\\n' | openssl s_client -maxfraglen 512 "
           "-ign_eof -quiet -connect " +
               gw.api(1) + " 2>&1"});
  EXPECT_NE(shown.output.find("\"status\""), std::string::npos) << shown.output;
  // Finished, a request and 480 KB of its body in one write.
  OpensslClient ssl;
  Stream stream(gw.api(1));
  stream.write(ssl.take());
  while (!ssl.shaken()) {
    ASSERT_TRUE(stream.read_more());
    ssl.give(std::exchange(stream.buffer(), {}));
  }
  std::string body = R"({"channels":["news"],"data":"x")" + std::string(480'000, ' ') + "}";
  ssl.say("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
          std::to_string(body.size()) + "\r\n\r\n" + body);
  stream.write(ssl.take());
  std::string heard;
  while (heard.find("}") == std::string::npos && stream.read_more()) {
    ssl.give(std::exchange(stream.buffer(), {}));
    heard += ssl.hear();
  }
  EXPECT_TRUE(heard.starts_with("HTTP/1.1 200 OK")) << heard;
  EXPECT_EQ(gw.counter("tls.failed"), 0u);
}

TEST(Tls, ExchangesKeysInTheGroupsThatAreConfigured) {
  Place place;
  Gateway gw({.tables = place.tables});
  SecureEcho(gw.listener(), {.groups = "ffdhe8192:X25519"}).expect_echo("hello");
  EXPECT_THROW(TlsStream(gw.listener(), {.groups = "ffdhe8192"}), std::runtime_error);
  EXPECT_EQ(gw.counter_becomes("tls.failed", 1), 1u);
  EXPECT_THROW(TlsStream(gw.listener(), {.groups = "P-521"}), std::runtime_error);
  gw.write_config({.server = "tls_groups = [\"P-521\"]", .tables = place.tables});
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  SecureEcho(gw.listener(), {.groups = "P-521"}).expect_echo("hello");
  EXPECT_THROW(TlsStream(gw.listener(), {.groups = "X25519"}), std::runtime_error);
}

// Half-open ones neither pile up nor keep others out.
TEST(Tls, HandshakesUnderWayAreBounded) {
  Place place;
  Gateway gw({.workers = 1, .limits = "max_tls_handshakes_per_ip = 5\n", .tables = place.tables});
  std::deque<Stream> silent;
  for (uint64_t i = 0; i < 20; ++i) {
    OpensslClient ssl;
    silent.emplace_back(gw.listener()).write(ssl.take());
    EXPECT_EQ(gw.counter_becomes("connections.accepted", i + 1), i + 1);
  }
  EXPECT_EQ(gw.counter_becomes("tls.shed", 15), 15u);
  EXPECT_EQ(gw.counter("tls.half_open"), 5u);
  EXPECT_GT(gw.counter("tls.half_open_bytes"), 0u);
  SecureEcho(gw.listener()).expect_echo("hello");
  silent.clear();
  EXPECT_EQ(gw.counter_becomes("tls.half_open", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("tls.half_open_bytes", 0), 0u);
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
    "POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 32\r\n\r\n"
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
