// Server-sent events of a real holdfastd, read by curl and by a client that shares nothing with it.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <algorithm>
#include <csignal>

#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr char kStreams[] = "streams = [\"sse\"]\n";

class EventSource {
 public:
  explicit EventSource(const std::string& address, const std::string& target = "/ws?channel=room",
                       const std::string& more = {}, const std::string& body = {})
      : stream_(address) {
    std::string length =
        body.empty() ? "" : "Content-Length: " + std::to_string(body.size()) + "\r\n";
    stream_.write((body.empty() ? "GET " : "POST ") + target +
                  " HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n" + more + length + "\r\n" +
                  body);
    head_ = stream_.read_until("\r\n\r\n");
    if (head_.starts_with("HTTP/1.1 200 ")) retry_ = stream_.read_until("\n\n");
  }
  const std::string& head() const { return head_; }
  const std::string& retry() const { return retry_; }
  int status() const { return std::stoi(head_.substr(9, 3)); }
  std::string session() const {
    const std::string name = "Holdfast-Session: ";
    return head_.substr(head_.find(name) + name.size(), 32);
  }
  // Up to the empty line, without it; comments are passed over.
  std::string next() {
    for (;;) {
      std::string event = stream_.read_until("\n\n");
      if (event != ":\n\n") return event.substr(0, event.size() - 2);
    }
  }
  Stream& stream() { return stream_; }

 private:
  Stream stream_;
  std::string head_, retry_;
};

void publish(Gateway& gw, const std::string& text, const std::string& channel = "room") {
  HttpClient api(gw.api());
  ASSERT_EQ(api.post("/v1/publish", publish_body({channel}, text)).status, 200);
}

void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

TEST(Sse, APublishReachesStreamsAndWebSocketsOfTheSameChannel) {
  Gateway gw({.tables = relay_ws(kStreams)});
  EventSource one(gw.listener()), both(gw.listener(), "/ws?channel=room&channel=other");
  EventSource posted(gw.listener(), "/ws", "Content-Type: application/x-www-form-urlencoded\r\n",
                     "channel=room&channel=b");
  WsClient web(gw.listener(), "/ws?channel=room");
  ASSERT_EQ(gw.counter_becomes("sessions.online", 4), 4u);
  publish(gw, "hello");
  for (EventSource* client : {&one, &both, &posted}) EXPECT_EQ(client->next(), "data: hello");
  EXPECT_EQ(web.next_text(), "hello");
  web.send_text("from a client\nin two lines");
  for (EventSource* client : {&one, &both, &posted})
    EXPECT_EQ(client->next(), "data: from a client\ndata: in two lines");
  web.send_binary("bytes");
  EXPECT_EQ(one.next(), "data: Ynl0ZXM=\nevent: holdfast.binary");
  publish(gw, "else", "other");
  EXPECT_EQ((both.next(), both.next()), "data: else");
  EXPECT_EQ(gw.counter("sse.opened"), 3u);
  one.stream().close();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 3), 3u);
}

TEST(Sse, CurlReadsAStream) {
  Gateway gw({.tables = relay_ws(kStreams)});
  TempDir dir;
  Process curl({"curl", "-sN", "-i", "-H", "Accept: text/event-stream",
                "http://" + gw.listener() + "/ws?channel=room"},
               dir / "out");
  ASSERT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
  publish(gw, "for curl");
  EXPECT_TRUE(eventually([&] {
    std::string out = read_file(dir / "out");
    return out.starts_with("HTTP/1.1 200 OK") && out.ends_with("\n\ndata: for curl\n\n");
  })) << read_file(dir / "out");
  Finished head = run({"curl", "-sI", "-H", "Accept: text/event-stream", "--max-time", "10",
                       "http://" + gw.listener() + "/ws"});
  EXPECT_EQ(head.status, 0) << head.output;
  EXPECT_TRUE(head.output.find("text/event-stream") != std::string::npos) << head.output;
  Finished put = run({"curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "PUT", "-H",
                      "Accept: text/event-stream", "http://" + gw.listener() + "/ws"});
  EXPECT_EQ(put.output, "405");
}

TEST(Sse, StreamsGoOnOverReloadsAndAnUpgrade) {
  Gateway gw({.tables = relay_ws(kStreams)});
  std::vector<EventSource> streams;
  for (int i = 0; i < 20; ++i) streams.emplace_back(gw.listener());
  ASSERT_EQ(gw.counter_becomes("sessions.online", 20), 20u);
  for (int round = 0; round < 5; ++round) {
    std::string text = "round " + std::to_string(round);
    publish(gw, text);
    ASSERT_NO_FATAL_FAILURE(reload(gw));
    for (EventSource& stream : streams) ASSERT_EQ(stream.next(), "data: " + text);
  }
  ASSERT_EQ(gw.ctl({"upgrade"}).status, 0) << gw.log();
  gw.attach();
  publish(gw, "after the upgrade");
  for (EventSource& stream : streams) ASSERT_EQ(stream.next(), "data: after the upgrade");
  EXPECT_EQ(gw.counter("sessions.opened"), 20u);
  EXPECT_EQ(gw.counter("sessions.closed"), 0u);
  streams.clear();
  EXPECT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw.counter("bytes.unsent"), 0u);
}

TEST(Sse, AKickIsToldAndTheEndOfTheServerIsNot) {
  Gateway gw({.tables = relay_ws(kStreams)});
  EventSource kicked(gw.listener()), stays(gw.listener());
  HttpClient api(gw.api());
  ASSERT_EQ(api.post("/v1/kick", "{\"sessions\":[\"" + kicked.session() + "\"]}").status, 200);
  EXPECT_TRUE(kicked.next().starts_with("event: holdfast.closed\ndata: {\"code\":4000,"));
  EXPECT_TRUE(kicked.stream().at_end());
  EXPECT_EQ(gw.stop(), 0);
  EXPECT_TRUE(stays.stream().at_end());
}

TEST(Sse, OneThatDoesNotReadIsEndedAsSlowAndOthersAreNot) {
  Gateway gw({.workers = 1, .tables = relay_ws(std::string(kStreams) + "send_queue = \"64 KiB\"")});
  EventSource stalled(gw.listener()), reader(gw.listener());
  ASSERT_EQ(gw.counter_becomes("sessions.online", 2), 2u);
  int small = 4096;
  setsockopt(stalled.stream().fd(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  std::string text(32'000, 'x');
  for (int i = 0; gw.counter("sessions.closed_slow") == 0; ++i) {
    ASSERT_LT(i, 5'000);
    publish(gw, text);
    ASSERT_EQ(reader.next(), "data: " + text);
  }
  EXPECT_EQ(gw.counter_becomes("sessions.online", 1), 1u);
}

TEST(Sse, PagesOfOtherOriginsAreLetInByTheList) {
  Gateway gw({.tables = relay_ws(std::string(kStreams) + "origins = [\"https://a.example\"]")});
  EventSource good(gw.listener(), "/ws?channel=a", "Origin: https://a.example\r\n");
  EXPECT_EQ(good.status(), 200);
  EXPECT_NE(good.head().find("\r\nAccess-Control-Allow-Origin: https://a.example\r\n"
                             "Access-Control-Allow-Credentials: true\r\n"),
            std::string::npos)
      << good.head();
  EventSource bad(gw.listener(), "/ws?channel=a", "Origin: https://b.example\r\n");
  EXPECT_EQ(bad.status(), 403);
  EXPECT_EQ(bad.head().find("Allow-Origin"), std::string::npos);
  EXPECT_EQ(gw.counter_becomes("handshakes.bad_origin", 1), 1u);
  HttpClient preflight(gw.listener());
  HttpAnswer answer =
      preflight.request("OPTIONS", "/ws", {},
                        "Origin: https://a.example\r\nAccess-Control-Request-Method: POST\r\n"
                        "Access-Control-Request-Headers: authorization\r\n");
  EXPECT_EQ(answer.status, 204);
  EXPECT_EQ(answer.header("Access-Control-Allow-Origin"), "https://a.example");
  EXPECT_EQ(answer.header("Vary"), "Origin");
}

TEST(Sse, TheApplicationOpensAnswersAndHearsOfTheEnd) {
  Fpm fpm(R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
$what = $event === 'close' ? $_SERVER['HOLDFAST_REASON'] : $_SERVER['HOLDFAST_TRANSPORT'] . ' ' . $_SERVER['QUERY_STRING'];
file_put_contents(LOGFILE, "$event $what\n", FILE_APPEND | LOCK_EX);
if ($event !== 'connect') exit;
parse_str($_SERVER['QUERY_STRING'], $q);
if (isset($q['no'])) { http_response_code(403); echo 'not you'; exit; }
header('Holdfast-User: ' . $q['name']);
header('Holdfast-Join: room');
setcookie('seen', '1');
echo "hello\n" . $q['name'];
)PHP");
  Gateway gw({.workers = 1, .tables = app_ws(kStreams) + fpm.backend()});
  EventSource refused(gw.listener(), "/ws?no=1");
  EXPECT_EQ(refused.status(), 403);
  EXPECT_EQ(refused.stream().read_until("not you\n"), "not you\n");
  EventSource ann(gw.listener(), "/ws?a=b", "Content-Type: application/x-www-form-urlencoded\r\n",
                  "name=ann");
  ASSERT_EQ(ann.status(), 200);
  EXPECT_NE(ann.head().find("Set-Cookie: seen=1"), std::string::npos) << ann.head();
  EXPECT_EQ(ann.next(), "data: hello\ndata: ann");
  publish(gw, "news");
  EXPECT_EQ(ann.next(), "data: news");
  HttpClient api(gw.api());
  ASSERT_EQ(api.post("/v1/send-user", "{\"users\":[\"ann\"],\"data\":\"for ann\"}").status, 200);
  EXPECT_EQ(ann.next(), "data: for ann");
  ann.stream().close();
  EXPECT_TRUE(eventually([&] {
    return fpm.app_log() == "connect sse no=1\nconnect sse a=b&name=ann\nclose client closed\n";
  })) << fpm.app_log();
}

TEST(Sse, RefusalsHaveTheirStatusAndATimeToComeBack) {
  Gateway gw({.limits = "max_connections_per_ip = 1", .tables = relay_ws(kStreams)});
  EventSource in(gw.listener());
  EXPECT_EQ(in.status(), 200);
  EventSource out(gw.listener());
  EXPECT_EQ(out.status(), 429);
  EXPECT_NE(out.head().find("\r\nRetry-After: "), std::string::npos) << out.head();
  in.stream().close();
  ASSERT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  EventSource unnamed(gw.listener(), "/ws");
  EXPECT_EQ(unnamed.status(), 400) << "the relay wants a channel";
}

constexpr char kHistory[] = "[[channel]]\npattern = \"room*\"\nhistory_size = 100\n";

std::string id_in(const std::string& event) {
  size_t at = event.find("\nid: ");
  return at == event.npos ? "" : event.substr(at + 5, event.find('\n', at + 1) - at - 5);
}

std::string last_id(const std::string& id) {
  return "Last-Event-ID: " + id + "\r\n";
}

TEST(Sse, AClientThatComesBackGetsWhatItHasMissed) {
  Gateway gw({.tables = relay_ws(kStreams) + kHistory});
  std::string begin, one;
  {
    EventSource first(gw.listener());
    begin = id_in(first.next());
    EXPECT_TRUE(begin.ends_with(":0")) << "it knows where it stands before there is a message";
    publish(gw, "1");
    one = first.next();
    EXPECT_EQ(one, "data: 1\nid: " + begin.substr(0, begin.size() - 1) + "1");
  }
  ASSERT_EQ(gw.counter_becomes("sessions.online", 0), 0u);
  for (const char* text : {"2", "3"}) publish(gw, text);
  ASSERT_NO_FATAL_FAILURE(reload(gw));
  EventSource back(gw.listener(), "/ws?channel=room", last_id(id_in(one)));
  EventSource since(gw.listener(), "/ws?channel=room&names=channel&since=" + begin);
  EXPECT_TRUE(back.next().starts_with(
      "event: holdfast.recovered\ndata: {\"channel\":\"room\",\"position\":\""));
  EXPECT_TRUE(since.next().starts_with("event: holdfast.recovered\n"));
  EXPECT_EQ(since.next(), "data: 1\nevent: room\nid: " + id_in(one));
  for (const char* text : {"2", "3"}) {
    EXPECT_TRUE(back.next().starts_with("data: " + std::string(text) + "\nid: "));
    EXPECT_TRUE(since.next().starts_with("data: " + std::string(text) + "\nevent: room\nid: "));
  }
  publish(gw, "4");
  EXPECT_TRUE(back.next().starts_with("data: 4\nid: "));
}

TEST(Sse, AClientOfSeveralChannelsComesBackWithOneId) {
  Gateway gw({.tables = relay_ws(kStreams) + kHistory});
  const std::string target = "/ws?channel=room+1&channel=room2&channel=other";
  std::string id;
  {
    EventSource first(gw.listener(), target);
    first.next(), first.next();  // where it stands in each
    publish(gw, "a", "room 1");
    EXPECT_TRUE(first.next().ends_with("\ndata: a"));
    publish(gw, "b", "room2");
    std::string event = "\n" + first.next();
    EXPECT_TRUE(event.ends_with("\ndata: b")) << event;
    id = id_in(event);
    publish(gw, "c", "other");
    EXPECT_EQ(first.next(), "data: c") << "a channel that keeps nothing";
  }
  EXPECT_NE(id.find("room%201="), id.npos) << id;
  EXPECT_NE(id.find("room2="), id.npos) << id;
  publish(gw, "d", "room 1");
  publish(gw, "e", "room2");
  EventSource back(gw.listener(), target, last_id(id));
  std::vector<std::string> heard;
  for (int i = 0; i < 4; ++i) {
    std::string event = "\n" + back.next();
    heard.push_back(event.starts_with("\nevent: ") ? "recovered" : event.substr(event.rfind('\n')));
  }
  std::sort(heard.begin(), heard.end());
  EXPECT_EQ(heard, (std::vector<std::string>{"\ndata: d", "\ndata: e", "recovered", "recovered"}));
}

TEST(Sse, OneThatCannotBeServedIsToldAndStandsWhereTheChannelDoes) {
  Gateway gw({.tables = relay_ws(kStreams) + kHistory});
  publish(gw, "1");
  EventSource lost(gw.listener(), "/ws?channel=room&since=AAAAAAAB:7");
  std::string event = lost.next();
  EXPECT_TRUE(event.starts_with("event: holdfast.missed\ndata: {\"channel\":\"room\",")) << event;
  std::string id = id_in(event);
  EXPECT_TRUE(id.ends_with(":1")) << event;
  EventSource back(gw.listener(), "/ws?channel=room", last_id(id));
  EXPECT_TRUE(back.next().starts_with("event: holdfast.recovered\n"));
  EventSource nothing_kept(gw.listener(), "/ws?channel=other", last_id(id));
  EXPECT_EQ(nothing_kept.next(),
            "event: holdfast.missed\ndata: {\"channel\":\"other\",\"position\":null}");
  for (const char* bad : {"x", "a=b", "AAAAAAAB:7&"})
    EXPECT_EQ(EventSource(gw.listener(), "/ws?channel=room", last_id(bad)).status(), 400) << bad;
}

TEST(Sse, CommentsKeepAQuietStreamAwake) {
  Gateway gw({.tables = relay_ws(std::string(kStreams) +
                                 "ping_interval = \"200ms\"\nidle_timeout = \"1s\"")});
  EventSource quiet(gw.listener());
  for (int i = 0; i < 12; ++i) EXPECT_EQ(quiet.stream().read_until("\n\n"), ":\n\n");
  EXPECT_EQ(gw.counter("sessions.closed"), 0u) << "it owes no sign of life";
}

}  // namespace
}  // namespace holdfast::test
