// Limits and tokens of a real server: counted over workers, over a reload and over a crash.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <signal.h>

#include <ctime>
#include <deque>
#include <set>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

// As many WebSockets as are let in; the answer that the next one got.
HttpAnswer fill(Gateway& gw, std::deque<WsClient>& clients) {
  for (;;) {
    try {
      clients.emplace_back(gw.listener(), "/ws");
    } catch (const Refused& refused) {
      return refused.answer;
    }
  }
}

// All come back at once: php-fpm gets as many connect events at a time as it may, as many more wait as may wait, and the rest
// are told to come again, not all at the same time.
TEST(Limits, AReconnectStormIsLetInAFewAtATime) {
  // Of each worker's queue of 20 a quarter is close events'.
  constexpr size_t kClients = 300, kAtATime = 2 * 2, kWaiting = 2 * 15;
  Fpm fpm(R"PHP(
if ($_SERVER['HOLDFAST_EVENT'] !== 'connect') exit;
file_put_contents(LOGFILE, '+', FILE_APPEND | LOCK_EX);
usleep(100000);
file_put_contents(LOGFILE, '-', FILE_APPEND | LOCK_EX);
)PHP",
          8);
  Gateway gw({.tables = "[[listen]]\naddress = \"127.0.0.1:0\"\npath = \"/ws\"\nbackend = "
                        "\"app\"\nbacklog = 1024\n" +
                        fpm.backend("queue = 20", 2)});
  std::deque<HttpClient> clients;
  for (size_t i = 0; i < kClients; ++i) clients.emplace_back(gw.listener());
  for (HttpClient& client : clients)
    client.send_raw(
        "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  size_t let_in = 0, told_later = 0;
  std::set<std::string> when;
  for (HttpClient& client : clients) {
    HttpAnswer answer = client.read_answer(true);
    let_in += answer.status == 101;
    if (answer.status != 503) continue;
    ++told_later;
    when.insert(answer.header("Retry-After"));
  }
  EXPECT_EQ(let_in + told_later, kClients);
  EXPECT_GE(let_in, kWaiting / 2) << "one worker's at least";
  EXPECT_GT(told_later, 0u);
  EXPECT_EQ(when.count(""), 0u);
  EXPECT_GT(when.size(), 1u) << "all would come back in the same second";
  EXPECT_EQ(gw.counter_becomes("sessions.online", let_in), let_in);
  size_t now = 0, most = 0;
  for (char event : fpm.app_log()) most = std::max(most, event == '+' ? ++now : now--);
  EXPECT_LE(most, kAtATime);
}

TEST(Limits, ConnectionsOfAnAddressAreCountedOverWorkersReloadsAndACrash) {
  GatewayOptions options{.workers = 3,
                         .limits = "max_connections_per_ip = 12",
                         .tables = echo_ws("origins = [\"*\"]")};
  Gateway gw(options);
  std::deque<WsClient> clients;
  HttpAnswer refused = fill(gw, clients);
  EXPECT_EQ(clients.size(), 12u);
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(refused.header("Retry-After"), "");
  EXPECT_EQ(gw.counter_becomes("limits.address_connections", 1), 1u);

  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_EQ(fill(gw, clients).status, 429);
  EXPECT_EQ(clients.size(), 12u);
  for (WsClient& client : clients) {
    client.send_text("still here");
    EXPECT_EQ(client.next_text(), "still here");
  }

  clients.pop_front();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 11), 11u);
  EXPECT_EQ(fill(gw, clients).status, 429);
  EXPECT_EQ(clients.size(), 12u);

  // Those of a worker that dies are gone.
  uint16_t slot = gw.slot_of(clients.front().session());
  uint64_t lost = 0;
  for (WsClient& client : clients) lost += gw.slot_of(client.session()) == slot;
  pid_t dead = gw.worker(slot);
  kill(dead, SIGKILL);
  ASSERT_TRUE(eventually([&] {
    return gw.worker(slot) != dead && gw.counter("sessions.online") == 12 - lost &&
           gw.serving_slots().size() == 3;
  })) << gw.log();
  size_t before = clients.size();
  EXPECT_EQ(fill(gw, clients).status, 429);
  EXPECT_EQ(clients.size() - before, lost);

  // A limit that a reload takes away, and brings back for those who came under it.
  options.limits = "";
  gw.write_config(options);
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  std::deque<WsClient> more;
  for (int i = 0; i < 5; ++i) more.emplace_back(gw.listener(), "/ws");
  options.limits = "max_connections_per_ip = 13";
  gw.write_config(options);
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  std::deque<WsClient> last;
  EXPECT_EQ(fill(gw, last).status, 429);
  EXPECT_EQ(last.size(), 1u);
}

TEST(Limits, AFloodOfConnectionsIsTurnedAwayAndTheRestIsServed) {
  Gateway gw({.workers = 2,
              .limits = "connect_rate_per_ip = 20\nmax_connections_per_ip = 200",
              .tables = echo_ws("origins = [\"*\"]")});
  std::deque<WsClient> in;
  uint64_t tried = 0, refused = 0;
  while (refused < 50) {
    ++tried;
    try {
      in.emplace_back(gw.listener(), "/ws");
    } catch (const Refused& answer) {
      EXPECT_EQ(answer.answer.status, 429);
      ++refused;
    }
  }
  EXPECT_EQ(gw.counter("limits.address_rate") + gw.counter("sessions.opened"), tried);
  for (WsClient& client : in) {
    client.send_text("hello");
    EXPECT_EQ(client.next_text(), "hello");
  }
}

TEST(Limits, WhoSendsTooMuchIsClosedAndOthersAreNot) {
  Gateway gw({.limits = "message_rate = 100", .tables = echo_ws()});
  WsClient quiet(gw.listener(), "/ws"), loud(gw.listener(), "/ws");
  // More than two seconds' worth, at once.
  for (int i = 0; i < 250; ++i) {
    try {
      loud.send_text("x");
    } catch (const std::exception&) {
      break;  // closed already
    }
  }
  EXPECT_EQ(loud.wait_close(), 1008);
  quiet.send_text("hello");
  EXPECT_EQ(quiet.next_text(), "hello");
  EXPECT_EQ(gw.counter("limits.message_rate"), 1u);
}

std::string base64url(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  uint32_t bits = 0;
  int held = 0;
  for (char c : bytes) {
    bits = bits << 8 | uint8_t(c);
    for (held += 8; held >= 6; held -= 6) out += kDigits[bits >> (held - 6) & 63];
  }
  if (held > 0) out += kDigits[bits << (6 - held) & 63];
  return out;
}

// HS256 (RFC 7515) with the secret of 32 times "s".
std::string token_with(const std::string& claims) {
  std::string text = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims);
  const std::string secret(32, 's');
  unsigned char mac[32];
  unsigned bytes = 0;
  HMAC(EVP_sha256(), secret.data(), int(secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &bytes);
  return text + "." + base64url({reinterpret_cast<const char*>(mac), bytes});
}

class ConnectTokens : public ::testing::Test {
 protected:
  ConnectTokens() { write_file(dir_.path() + "/secret", std::string(32, 's') + "\n"); }
  std::string tables(const std::string& more = {}) const {
    return relay_ws("origins = [\"*\"]\ntoken = { algorithm = \"HS256\", key = \"" + dir_.path() +
                    "/secret\"" + more + " }");
  }
  static int status(Gateway& gw, const std::string& target) {
    try {
      WsClient client(gw.listener(), target);
      return 101;
    } catch (const Refused& refused) {
      return refused.answer.status;
    }
  }
  TempDir dir_;
};

TEST_F(ConnectTokens, SayWhoIsWhereWithoutTheApplication) {
  Gateway gw({.tables = tables()});
  WsClient one(gw.listener(), "/ws?token=" + token_with(R"({"sub":"42","channels":["room1"]})"));
  WsClient two(
      gw.listener(), "/ws",
      {.headers = "Authorization: Bearer " + token_with(R"({"channels":["room1"]})") + "\r\n"});
  two.send_text("hello");
  EXPECT_EQ(one.next_text(), "hello");
  HttpClient api(gw.api());
  EXPECT_EQ(api.post("/v1/send-user", R"({"users":["42"],"data":"for you"})").status, 200);
  EXPECT_EQ(one.next_text(), "for you");

  EXPECT_EQ(status(gw, "/ws"), 401);
  EXPECT_EQ(status(gw, "/ws?token=a.b.c"), 401);
  EXPECT_EQ(status(gw, "/ws?token=" + token_with(R"({"sub":"42","exp":1})")), 401);
  EXPECT_EQ(gw.counter("tokens.refused"), 3u);
  // What the token does not name is not to be heard.
  EXPECT_EQ(status(gw, "/ws?channel=secret&token=" + token_with(R"({"channels":["room1"]})")), 403);
}

TEST_F(ConnectTokens, TheirEndIsTheSessionsAlsoBehindAReload) {
  Gateway gw({.tables = tables()});
  std::string claims = R"({"sub":"42","channels":["room1"],"exp":)";
  auto soon = [&] {  // in two seconds; again where it took that long to come here
    for (;;) {
      try {
        return WsClient(
            gw.listener(),
            "/ws?token=" + token_with(claims + std::to_string(time(nullptr) + 2) + "}"));
      } catch (const Refused&) {
      }
    }
  };
  WsClient one = soon();
  WsClient two(gw.listener(),
               "/ws?token=" + token_with(claims + std::to_string(time(nullptr) + 3600) + "}"));
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_EQ(one.wait_close(), 4401);
  two.send_text("still here");
  EXPECT_EQ(two.next_text(), "still here");
  EXPECT_EQ(gw.counter("tokens.expired"), 1u);
}

TEST_F(ConnectTokens, NotRequiredIsNotNeededButMustBeGood) {
  Gateway gw({.tables = tables(", required = false") + "channels = [\"lobby\"]\n"});
  EXPECT_EQ(status(gw, "/ws"), 101);
  EXPECT_EQ(status(gw, "/ws?token=nonsense"), 401);
  EXPECT_EQ(status(gw, "/ws?channel=secret"), 403);
}

TEST_F(ConnectTokens, AReloadTakesANewKey) {
  Gateway gw({.tables = tables()});
  std::string target = "/ws?token=" + token_with(R"({"channels":["room1"]})");
  EXPECT_EQ(status(gw, target), 101);
  write_file(dir_.path() + "/secret", std::string(32, 't'));
  EXPECT_EQ(gw.ctl({"reload"}).status, 0);
  EXPECT_EQ(status(gw, target), 401);
  write_file(dir_.path() + "/secret", "short");
  Finished refused = gw.ctl({"reload"});
  EXPECT_NE(refused.status, 0);
  EXPECT_NE(refused.output.find("too short a secret"), std::string::npos) << refused.output;
}

}  // namespace
}  // namespace holdfast::test
