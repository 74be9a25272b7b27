// A reload moves every connection to a new process: whatever it is in the middle of goes on, and nobody notices.

#include <gtest/gtest.h>

#include <deque>
#include <thread>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

const char* const kApp = R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
$body = file_get_contents('php://input');
file_put_contents(LOGFILE, $event . ' ' . $_SERVER['SESSIONID'] . ' ' . ($event === 'close' ? $_SERVER['HOLDFAST_REASON'] : $body) . "\n",
    FILE_APPEND | LOCK_EX);
if ($event === 'connect') {
    parse_str($_SERVER['QUERY_STRING'], $q);
    if (isset($q['name'])) header('Holdfast-User: ' . $q['name']);
    if (isset($q['room'])) header('Holdfast-Join: ' . $q['room']);
    if (isset($q['slow'])) usleep(1500000);
    exit;
}
if ($event === 'close') exit;
if (strtok($body, ' ') === 'sleep') { usleep(1000 * (int) strtok(' ')); echo 'slept'; exit; }
if ($body === 'keep') header('Holdfast-Data: k=v');
echo $body;
)PHP";

// HUP, until the next generation serves.
void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

void expect_echo(WsClient& client, const std::string& text) {
  client.send_text(text);
  ASSERT_EQ(client.next_text(), text);
}

size_t lines_with(const std::string& text, const std::string& word) {
  size_t n = 0;
  for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++n;
  return n;
}

TEST(LiveReload, ClientsOfAllKindsGoOnOverManyReloads) {
  Gateway gw({.tables = echo_ws() + relay_tcp()});
  std::vector<WsClient> webs;
  std::vector<LengthClient> lines;
  for (int i = 0; i < 50; ++i) webs.emplace_back(gw.listener(0), "/ws");
  for (int i = 0; i < 5; ++i) lines.emplace_back(gw.listener(1));
  ASSERT_EQ(gw.counter_becomes("sessions.online", 55), 55u);
  std::vector<pid_t> before{gw.worker(0), gw.worker(1)};
  for (int round = 0; round < 10; ++round) {
    for (size_t i = 0; i < webs.size(); ++i)
      webs[i].send_text("r" + std::to_string(round) + "." + std::to_string(i));
    lines[0].send("to all " + std::to_string(round));
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    for (size_t i = 0; i < webs.size(); ++i)
      ASSERT_EQ(webs[i].next_text(), "r" + std::to_string(round) + "." + std::to_string(i));
    for (LengthClient& line : lines) ASSERT_EQ(line.next(), "to all " + std::to_string(round));
  }
  EXPECT_NE(gw.worker(0), before[0]);
  EXPECT_NE(gw.worker(1), before[1]);
  EXPECT_EQ(gw.counter("sessions.opened"), 55u);
  EXPECT_EQ(gw.counter("sessions.closed"), 0u);
  EXPECT_EQ(gw.counter("connections.open"), 55u);
  webs.clear();
  lines.clear();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("connections.open", 0), 0u);
  EXPECT_EQ(gw.counter("bytes.unsent"), 0u);
  EXPECT_EQ(gw.counter("channels.memberships"), 0u);
}

TEST(LiveReload, RequestsUnderWayAndQueuedAreAnswered) {
  Fpm fpm(kApp);
  Gateway gw({.workers = 1, .tables = app_ws() + fpm.backend({}, 1)});
  WsClient slow(gw.listener(), "/ws"), other(gw.listener(), "/ws");
  uint64_t before = gw.counter("backend.requests");
  slow.send_text("sleep 2000");
  ASSERT_EQ(gw.counter_becomes("backend.requests", before + 1), before + 1);
  slow.send_text("behind it");
  for (int i = 0; i < 5; ++i) other.send_text("queued " + std::to_string(i));
  ASSERT_EQ(gw.counter_becomes("messages.in", 7), 7u);
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  EXPECT_EQ(slow.next_text(), "slept");
  EXPECT_EQ(slow.next_text(), "behind it");
  for (int i = 0; i < 5; ++i) EXPECT_EQ(other.next_text(), "queued " + std::to_string(i));
  EXPECT_EQ(lines_with(fpm.app_log(), "sleep 2000"), 1u);
  EXPECT_EQ(gw.counter("backend.failed"), 0u);
  EXPECT_EQ(gw.counter_becomes("backend.queued", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("backend.waiting", 0), 0u);
  EXPECT_EQ(gw.counter_becomes("backend.connections", 0), 0u);
}

TEST(LiveReload, HandshakeThatWaitsForItsConnectEventIsAccepted) {
  Fpm fpm(kApp);
  Gateway gw({.workers = 1, .tables = app_ws() + fpm.backend()});
  Stream client(gw.listener());
  client.write(
      "GET /ws?slow=1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  ASSERT_EQ(gw.counter_becomes("backend.requests", 1), 1u);
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  std::string head = client.read_until("\r\n\r\n");
  EXPECT_NE(head.find("HTTP/1.1 101"), std::string::npos) << head;
  EXPECT_EQ(lines_with(fpm.app_log(), "connect "), 1u);
  EXPECT_EQ(gw.counter("events.connect"), 1u);
}

TEST(LiveReload, HalfReadHandshakesFramesAndRequestsGoOn) {
  Gateway gw({.tables = echo_ws()});
  Stream shaking(gw.listener());
  shaking.write("GET /ws HTTP/1.1\r\nHost: x\r\nUpgra");
  WsClient framing(gw.listener(), "/ws");
  std::string frame = "\x81\x85KEYSxxxxx";
  for (int i = 0; i < 5; ++i) frame[6 + size_t(i)] = char("hello"[i] ^ "KEYS"[i % 4]);
  framing.send_raw(frame.substr(0, 8));
  WsClient fragments(gw.listener(), "/ws");
  fragments.send_frame(1, "first ", false);
  HttpClient api(gw.api());
  std::string body = publish_body({"a"}, "x");
  api.send_raw("POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, 10));
  ASSERT_EQ(gw.counter_becomes("connections.open", 4), 4u);
  for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(reload(gw));
  shaking.write(
      "de: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  EXPECT_NE(shaking.read_until("\r\n\r\n").find(" 101 "), std::string::npos);
  framing.send_raw(frame.substr(8));
  EXPECT_EQ(framing.next_text(), "hello");
  fragments.send_frame(0, "second");
  EXPECT_EQ(fragments.next_text(), "first second");
  api.send_raw(body.substr(10));
  EXPECT_EQ(api.read_answer().status, 200);
}

TEST(LiveReload, SessionsKeepWhatIsKnownOfThem) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_ws() + fpm.backend()});
  WsClient client(gw.listener(), "/ws?name=ann&room=r1");
  expect_echo(client, "keep");
  HttpClient api(gw.api());
  auto picture = [&] { return HttpClient(gw.api()).get("/v1/sessions/" + client.session()).body; };
  std::string before = picture();
  ASSERT_NE(before.find("ann"), std::string::npos) << before;
  ASSERT_NE(before.find("r1"), std::string::npos) << before;
  ASSERT_NE(before.find("\"k\""), std::string::npos) << before;
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(reload(gw));
  EXPECT_EQ(picture(), before);
  api.post("/v1/publish", publish_body({"r1"}, "to the room"));
  EXPECT_EQ(client.next_text(), "to the room");
}

TEST(LiveReload, UnsentOutputArrivesWholeAndInOrder) {
  Gateway gw({.tables = relay_ws("send_queue = \"64 MiB\"")});
  std::vector<WsClient> readers;
  for (int i = 0; i < 4; ++i) readers.emplace_back(gw.listener(), "/ws?channel=a");
  HttpClient api(gw.api());
  auto text = [](int i) { return std::to_string(i) + std::string(50'000, char('a' + i % 26)); };
  for (int i = 0; i < 300; ++i)
    ASSERT_EQ(api.post("/v1/publish", publish_body({"a"}, text(i))).status, 200);
  ASSERT_TRUE(eventually([&] { return gw.counter("bytes.unsent") > 1'000'000; }));
  for (int i = 0; i < 2; ++i) ASSERT_NO_FATAL_FAILURE(reload(gw));
  for (WsClient& reader : readers)
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(reader.next_text() == text(i)) << i;
  EXPECT_EQ(gw.counter_becomes("bytes.unsent", 0), 0u);
}

// Pushers and subscribers of the API move as well: a publisher that pipelines gets every answer, and each
// subscriber every message once and in order, over reloads that come all the time.
TEST(LiveReload, PushersAndSubscribersNoticeNothing) {
  Gateway gw({.tables = relay_ws() + "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n"});
  WsClient member(gw.listener(), "/ws?channel=a");
  Stream subscriber(gw.api(1)), pusher(gw.api(1));
  subscriber.write("SUBSCRIBE a\r\n");
  EXPECT_EQ(subscriber.read_until(":1\r\n"), "*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n");
  HttpClient http(gw.api(0));
  constexpr int kMessages = 400;
  std::thread reloads([&] {
    for (int i = 0; i < 5; ++i) reload(gw);
  });
  for (int i = 0; i < kMessages; i += 2) {
    pusher.write("PUBLISH a " + std::to_string(i) + "\r\n");
    EXPECT_EQ(pusher.read_until("\r\n"), ":2\r\n") << i;
    EXPECT_EQ(http.post("/v1/publish", publish_body({"a"}, std::to_string(i + 1))).status, 200);
  }
  reloads.join();
  for (int i = 0; i < kMessages; ++i) {
    std::string text = std::to_string(i);
    ASSERT_EQ(member.next_text(), text);
    std::string wanted = "*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$" + std::to_string(text.size()) +
                         "\r\n" + text + "\r\n";
    ASSERT_EQ(subscriber.read_exactly(wanted.size()), wanted);
  }
  EXPECT_EQ(gw.counter("resp.subscribers"), 1u);
  EXPECT_EQ(gw.counter("resp.subscriptions"), 1u);
}

TEST(LiveReload, TracesGoOn) {
  Gateway gw({.workers = 1, .tables = relay_ws()});
  HttpClient tracer(gw.api());
  tracer.send_raw("GET /v1/trace?channel=a HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_NE(tracer.stream().read_until("\r\n\r\n").find(" 200 "), std::string::npos);
  ASSERT_EQ(gw.counter_becomes("trace.active", 1), 1u);
  WsClient member(gw.listener(), "/ws?channel=a");
  EXPECT_NE(tracer.stream().read_until("\"join\""), "");
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  HttpClient(gw.api()).post("/v1/publish", publish_body({"a"}, "seen"));
  EXPECT_NE(tracer.stream().read_until("\"publish\""), "");
  EXPECT_EQ(gw.counter("trace.active"), 1u);
}

TEST(LiveReload, WorkerCountGoesUpAndDownAndNobodyIsClosed) {
  GatewayOptions options{.tables = echo_ws()};
  Gateway gw(options);
  std::vector<WsClient> clients = gw.one_on_each("/ws", {0, 1});
  for (unsigned workers : {4u, 1u, 3u, 2u}) {
    options.workers = workers;
    gw.write_config(options);
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    ASSERT_TRUE(eventually([&] { return gw.serving_slots().size() == workers; })) << gw.log();
    for (uint16_t slot : gw.serving_slots()) {
      std::vector<WsClient> one = gw.one_on_each("/ws", {slot});
      clients.push_back(std::move(one.front()));
    }
    for (size_t i = 0; i < clients.size(); ++i)
      ASSERT_NO_FATAL_FAILURE(expect_echo(clients[i], std::to_string(workers + i)));
  }
  EXPECT_EQ(gw.counter("sessions.closed_stop"), 0u);
  clients.clear();
  // Slots that were left over end with their last client.
  EXPECT_TRUE(eventually([&] {
    unsigned served = 0;
    for (uint32_t i = 0; i < gw.segment().capacities().max_workers; ++i)
      served += gw.segment().slot(i).state.load() != shm::SlotState::free;
    return served == 2;
  })) << gw.log();
}

TEST(LiveReload, RemovedListenerKeepsItsClientsAndTakesNoMore) {
  std::string lines = relay_tcp();
  lines.replace(lines.find("127.0.0.1:0"), 11, "unix:@DIR@/lines.sock");
  GatewayOptions options{.tables = echo_ws() + lines};
  Gateway gw(options);
  LengthClient one(gw.listener(1)), two(gw.listener(1));
  WsClient web(gw.listener(0), "/ws");
  std::string removed = gw.listener(1);
  ASSERT_EQ(gw.counter_becomes("sessions.online", 3), 3u);
  options.tables = echo_ws() + relay_ws();
  gw.write_config(options);
  for (int i = 0; i < 3; ++i) ASSERT_NO_FATAL_FAILURE(reload(gw));
  one.send("still framed");
  EXPECT_EQ(one.next(), "still framed");
  EXPECT_EQ(two.next(), "still framed");
  ASSERT_NO_FATAL_FAILURE(expect_echo(web, "here"));
  EXPECT_TRUE(eventually([&] {
    try {
      connect_to(removed);
      return false;
    } catch (const std::exception&) {
      return true;
    }
  }));
  WsClient added(gw.listener(1), "/ws?channel=x");
  added.send_text("mine");
  EXPECT_EQ(added.next_text(), "mine");
}

TEST(LiveReload, ChangedSettingsTakeEffectForClientsThatAreConnected) {
  GatewayOptions options{.limits = "max_message_size = \"1 KiB\"", .tables = echo_ws()};
  Gateway gw(options);
  WsClient client(gw.listener(), "/ws");
  options.limits = "max_message_size = 512";
  gw.write_config(options);
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  ASSERT_NO_FATAL_FAILURE(expect_echo(client, std::string(512, 'x')));
  client.send_text(std::string(513, 'x'));
  EXPECT_EQ(client.wait_close(), 1009);
}

// For each connect event one close event: clients leave before, during and after reloads, and a worker dies.
TEST(LiveReload, CloseEventsComeOnceOverReloadsAndACrash) {
  Fpm fpm(kApp);
  Gateway gw({.tables = app_ws() + fpm.backend()});
  std::deque<WsClient> clients;
  for (int i = 0; i < 20; ++i) clients.emplace_back(gw.listener(), "/ws");
  std::vector<std::string> ids;
  for (const WsClient& client : clients) ids.push_back(client.session());
  for (int i = 0; i < 5; ++i) clients.pop_front();
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  for (int i = 0; i < 5; ++i) clients.pop_front();
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  kill(gw.worker(0), SIGKILL);
  ASSERT_TRUE(eventually([&] {
    return gw.counter("events.close") + gw.counter("sessions.online") == 20;
  })) << gw.log();
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  clients.clear();
  ASSERT_EQ(gw.counter_becomes("events.close", 20), 20u) << gw.log();
  EXPECT_EQ(gw.counter("events.connect"), 20u);
  EXPECT_EQ(gw.counter("events.close_owed"), 0u);
  EXPECT_EQ(gw.counter("events.close_lost"), 0u);
  std::string log = fpm.app_log();
  for (const std::string& id : ids) EXPECT_EQ(lines_with(log, "close " + id), 1u) << id;
}

}  // namespace
}  // namespace holdfast::test
