// API connections of those who have not said who they are, and of those who do not read.
#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "worker/api/connection.h"
#include "worker/api/http/face.h"
#include "worker/api/http/openapi.h"
#include "worker/api/resp/face.h"
#include "worker/sessions/shedding.h"

namespace holdfast {
namespace {

template <class Face>
std::unique_ptr<api::Face> make(const api::ApiContext& context, api::Wire& wire) {
  return std::make_unique<Face>(context, wire);
}

// A worker with an HTTP and a RESP listener that share a token file.
class ApiStrangers : public ::testing::Test {
 protected:
  ApiStrangers() {
    api_.tokens = {{"the right token", conf::kAllScopes}, {"asker", conf::kScopeQuery}};
  }
  void TearDown() override { room_.connections.clear(); }  // before their homes

  api::ApiContext context() {
    return {&room_.config,           &api_,      &instance_.segment, 0, &room_.router, &stats(),
            &room_.runtime.draining, &room_.hub, &room_.tracer};
  }
  static shm::SessionOrigin from(uint8_t last) {
    shm::SessionOrigin origin;
    origin.peer.s6_addr[10] = origin.peer.s6_addr[11] = 0xff;
    origin.peer.s6_addr[12] = 192;
    origin.peer.s6_addr[14] = 2;
    origin.peer.s6_addr[15] = last;
    origin.peer_port = 4711;
    return origin;
  }
  test::Peer connect(ApiHome& home, const shm::SessionOrigin& origin = from(1)) {
    auto [near, far] = test::socket_pair();
    auto made = std::make_unique<ApiConnection>(home, std::move(near));
    ApiConnection& started = *made;
    room_.connections.add(std::move(made));
    started.start(origin);
    return {std::move(far), nullptr};
  }
  bool ends(test::Peer& peer) {
    return room_.turn_until([&] { return peer.at_end(); });
  }
  bool gets(test::Peer& peer, std::string_view words) {
    return room_.turn_until([&] { return peer.received().find(words) != std::string::npos; });
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }
  static std::string header(std::string_view line, std::string_view more) {
    return fmt::format("{} HTTP/1.1\r\nHost: x\r\n{}\r\n", line, more);
  }

  test::Instance instance_;
  conf::Api api_;
  test::Room room_{instance_};
  Strangers strangers_;
  ApiHome http_{room_.runtime,       room_.connections, context(),
                make<api::HttpFace>, nullptr,           &strangers_};
  ApiHome resp_{room_.runtime,       room_.connections, context(),
                make<api::RespFace>, nullptr,           &strangers_};
};

constexpr std::string_view kToken = "Authorization: Bearer the right token\r\n";
constexpr std::string_view kLong = "Content-Length: 1000000\r\n";

// ---- judged by the header

TEST_F(ApiStrangers, AreRefusedBeforeTheirBodyComes) {
  const std::string asker = "Authorization: Bearer asker\r\n", long_body(kLong);
  const std::pair<std::string, std::string> rows[] = {
      {header("POST /v1/send-all", long_body), "401 Unauthorized"},
      {header("POST /v1/send-all", "Transfer-Encoding: chunked\r\n"), "401 Unauthorized"},
      {header("POST /v1/send-all", "Content-Length: 20\r\nExpect: 100-continue\r\n"),
       "401 Unauthorized"},
      {header("POST /v1/send-all", asker + long_body), "403 Forbidden"},
      {header("POST /v1/nothing", std::string(kToken) + long_body), "404 Not Found"},
      {header("PUT /v1/send-all", std::string(kToken) + long_body), "405 Method Not Allowed"},
      {header("POST /v1/send-all", std::string(kToken) + "Content-Length: 1048577\r\n"), "413 "},
      {header("GET /healthz", long_body), "413 "}};
  for (const auto& [sent, status] : rows) {
    test::Peer peer = connect(http_);
    peer.send(sent);
    EXPECT_TRUE(gets(peer, status)) << sent << peer.received();
    EXPECT_NE(peer.received().find("Connection: close"), std::string::npos) << sent;
    EXPECT_EQ(peer.received().find("100 Continue"), std::string::npos) << sent;
    EXPECT_TRUE(ends(peer)) << sent;
  }
}

TEST_F(ApiStrangers, ShortBodyOfARefusedRequestIsPassedOver) {
  test::Peer peer = connect(http_);
  peer.send(header("POST /v1/send-all", "Content-Length: 60000\r\n"));
  ASSERT_TRUE(gets(peer, "401 Unauthorized"));
  EXPECT_NE(peer.received().find("Connection: keep-alive"), std::string::npos);
  std::string rest(60'000, 'x');
  peer.send(rest.substr(0, 59'000));
  room_.turn();
  peer.send(rest.substr(59'000) + header("GET /healthz", ""));
  EXPECT_TRUE(gets(peer, "200 OK"));
  EXPECT_EQ(stats().api_requests.get(), 2u);
  EXPECT_EQ(stats().api_unauthorized.get(), 1u);
}

TEST_F(ApiStrangers, OneWithATokenIsAskedForItsBody) {
  test::Peer peer = connect(http_);
  std::string body = R"({"channels":["nobody is here"],"data":"x"})";
  peer.send(
      header("POST /v1/publish",
             fmt::format("{}Expect: 100-continue\r\nContent-Length: {}\r\n", kToken, body.size())));
  ASSERT_TRUE(gets(peer, "100 Continue"));
  peer.send(body);
  EXPECT_TRUE(gets(peer, "\"delivered\":0"));
}

TEST_F(ApiStrangers, BodyInChunksOfAGetMayHave64KiB) {
  test::Peer peer = connect(http_);
  peer.send(header("GET /healthz", "Transfer-Encoding: chunked\r\n") + "1\r\nx\r\n0\r\n\r\n");
  ASSERT_TRUE(gets(peer, "200 OK"));
  peer.send(header("GET /healthz", "Transfer-Encoding: chunked\r\n") + "10001\r\n");
  EXPECT_TRUE(gets(peer, "413 "));
}

// ---- deadlines

TEST_F(ApiStrangers, HaveTheHandshakeTimeoutToSayWhoTheyAre) {
  test::Peer silent = connect(resp_), guessing = connect(resp_), known = connect(resp_),
             half = connect(http_), idle = connect(http_), asker = connect(http_);
  known.send("AUTH asker\r\n");
  ASSERT_TRUE(gets(known, "+OK"));
  asker.send(header("GET /v1/stats", kToken));
  ASSERT_TRUE(gets(asker, "200 OK"));
  half.send("POST /v1/send-all HTTP/1.1\r\nHost:");
  for (int i = 0; i < 9; ++i) {
    guessing.send("AUTH a wrong one\r\n");
    room_.pass(1'000);
  }
  EXPECT_FALSE(silent.at_end() || guessing.at_end() || half.at_end() || idle.at_end());
  room_.pass(2'000);
  for (test::Peer* gone : {&silent, &guessing, &half, &idle}) EXPECT_TRUE(ends(*gone));
  EXPECT_EQ(stats().api_timed_out.get(), 4u);
  EXPECT_EQ(strangers_.size(), 0u);
  room_.pass(60'000);
  EXPECT_FALSE(known.at_end() || asker.at_end());
}

TEST_F(ApiStrangers, RequestThatNeedsNoTokenBeginsTheTimeAnew) {
  test::Peer peer = connect(http_);
  for (size_t n = 1; n <= 3; ++n) {
    room_.pass(7'000);
    peer.send(header("GET /healthz", ""));
    ASSERT_TRUE(room_.turn_until([&] { return stats().api_requests.get() == n; }));
  }
  EXPECT_FALSE(peer.at_end());
  room_.pass(11'000);
  EXPECT_TRUE(ends(peer));
}

TEST_F(ApiStrangers, WhoResetsIsOneAgain) {
  test::Peer peer = connect(resp_);
  peer.send("AUTH asker\r\n");
  ASSERT_TRUE(gets(peer, "+OK"));
  EXPECT_EQ(strangers_.size(), 0u);
  room_.pass(60'000);
  peer.send("RESET\r\n");
  ASSERT_TRUE(gets(peer, "+RESET"));
  EXPECT_EQ(strangers_.size(), 1u);
  room_.pass(11'000);
  EXPECT_TRUE(ends(peer));
}

TEST_F(ApiStrangers, ThereAreNoneWhereNoTokenIsNeeded) {
  api_.tokens.clear();
  test::Peer resp = connect(resp_), http = connect(http_);
  EXPECT_EQ(strangers_.size(), 0u);
  room_.pass(60'000);
  EXPECT_FALSE(resp.at_end() || http.at_end());
}

// ---- how many

TEST_F(ApiStrangers, OfOneAddressThereAre256) {
  std::vector<test::Peer> peers;
  for (unsigned i = 0; i < Strangers::kMaxOfAddress; ++i) peers.push_back(connect(resp_));
  test::Peer known = std::move(peers.back());
  EXPECT_EQ(strangers_.size(), Strangers::kMaxOfAddress);
  test::Peer refused = connect(http_), other = connect(http_, from(2)), local = connect(resp_, {});
  EXPECT_TRUE(ends(refused));
  EXPECT_EQ(stats().api_address_connections.get(), 1u);
  known.send("AUTH asker\r\n");
  ASSERT_TRUE(gets(known, "+OK"));
  test::Peer next = connect(http_);
  room_.turn();
  EXPECT_FALSE(next.at_end() || other.at_end() || local.at_end() || peers[0].at_end());
  EXPECT_EQ(strangers_.size(), Strangers::kMaxOfAddress + 2);
}

TEST(StrangersByPlace, OldestGoesWhereThereAreTooMany) {
  Strangers strangers;
  auto* nobody = reinterpret_cast<ApiConnection*>(16);  // only kept
  auto* first = reinterpret_cast<ApiConnection*>(32);
  ApiConnection* ended = nullptr;
  uint64_t its_place = strangers.enter(1, *first, &ended);
  for (unsigned i = 1; i < Strangers::kMax; ++i) {
    EXPECT_NE(strangers.enter(2 + i, *nobody, &ended), 0u);
    EXPECT_EQ(ended, nullptr);
  }
  EXPECT_NE(strangers.enter(1, *nobody, &ended), 0u);
  EXPECT_EQ(ended, first);
  strangers.leave(its_place);  // as the one that is gone does: nothing
  EXPECT_EQ(strangers.size(), Strangers::kMax);
}

TEST(StrangersByPlace, AddressesOfOneCustomerAreOne) {
  in6_addr a{}, b{}, c{}, local{};
  a.s6_addr[0] = b.s6_addr[0] = c.s6_addr[0] = 0x20;
  a.s6_addr[15] = 1;
  b.s6_addr[15] = 2;
  c.s6_addr[7] = 1;
  local.s6_addr[15] = 1;
  EXPECT_EQ(Strangers::key_of(a), Strangers::key_of(b));
  EXPECT_NE(Strangers::key_of(a), Strangers::key_of(c));
  EXPECT_NE(Strangers::key_of(local), Strangers::kNowhere);
}

// ---- who does not read

TEST_F(ApiStrangers, AreOwedLittle) {
  test::Peer peer = connect(http_);
  std::string many;
  for (int i = 0; i < 400; ++i) many += header("GET /v1/openapi.json", "");
  peer.send(many);
  for (int i = 0; i < 200; ++i) room_.turn();
  size_t one = api::openapi_json().size();
  EXPECT_LT(stats().bytes_unsent.get(), ApiConnection::kMaxUnsentOfStranger + 2 * one);
  EXPECT_GT(stats().bytes_unsent.get(), 0u);
  EXPECT_LT(stats().api_requests.get(), 400u);
  room_.pass(11'000);
  room_.pass(1'000);
  EXPECT_EQ(room_.connections.size(), 0u);
  EXPECT_EQ(stats().api_timed_out.get(), 1u);
  EXPECT_EQ(stats().bytes_unsent.get(), 0u);
}

TEST_F(ApiStrangers, WhoDoesNotReadIsGivenUp) {
  test::Peer peer = connect(http_);
  peer.send(header("GET /v1/stats", kToken));
  ASSERT_TRUE(gets(peer, "200 OK"));
  std::string many;
  for (int i = 0; i < 400; ++i) many += header("GET /v1/stats", kToken);
  peer.send(many);
  for (int i = 0; i < 200; ++i) room_.turn();
  EXPECT_LT(stats().bytes_unsent.get(), ApiConnection::kMaxUnsent + 2 * api::openapi_json().size());
  EXPECT_GT(stats().bytes_unsent.get(), ApiConnection::kMaxUnsentOfStranger);
  room_.pass(15'000);
  EXPECT_EQ(room_.connections.size(), 1u);
  for (int i = 0; i < 5; ++i) room_.pass(16'000);  // the kernel took some: that is 30 s more
  EXPECT_EQ(room_.connections.size(), 0u);
  EXPECT_EQ(stats().api_timed_out.get(), 1u);
}

// ---- who owes pays

class Debtors : public ApiStrangers {
 protected:
  Debtors() {
    api_.tokens.clear();
    api_.send_queue = 64 * 1024 * 1024;
    room_.lines.send_queue = 64 * 1024 * 1024;
    room_.config.limits.max_unsent_per_worker = 8 * 1024 * 1024;
  }
  // Two members of "c": a RESP connection and a session.
  void subscribe() {
    subscriber_.emplace(connect(resp_, {}));
    subscriber_->send("SUBSCRIBE c\r\n");
    ASSERT_TRUE(gets(*subscriber_, "subscribe"));
    client_.emplace(room_.connect());
    session_ = room_.session_of(*client_);
  }
  void publish(std::string_view channel, int times) {
    Command command;
    command.op = Op::publish;
    command.channels.emplace_back(channel);
    std::string text(1024 * 1024, 'x');
    command.data = text;
    for (int i = 0; i < times; ++i) room_.router.execute(command, {});
    room_.turn();
  }

  std::optional<test::Peer> subscriber_, client_;
  Session* session_ = nullptr;
};

TEST_F(Debtors, SubscriberThatDoesNotReadGoesAndNoSession) {
  subscribe();
  ASSERT_EQ(room_.sessions.join(*session_, "d"), Hub::Joined::joined);
  publish("d", 1);
  publish("c", 9);
  shed_debtors(room_.runtime, room_.connections);
  room_.turn();
  EXPECT_EQ(stats().api_shed.get(), 1u);
  EXPECT_EQ(stats().limits_shed.get(), 0u);
  EXPECT_EQ(room_.sessions.live(), 1u);
  EXPECT_TRUE(ends(*subscriber_));
}

TEST_F(Debtors, SessionThatOwesMostGoesAndNoSubscriber) {
  subscribe();
  ASSERT_EQ(room_.sessions.join(*session_, "d"), Hub::Joined::joined);
  publish("d", 9);
  publish("c", 1);
  shed_debtors(room_.runtime, room_.connections);
  room_.turn();
  EXPECT_EQ(stats().api_shed.get(), 0u);
  EXPECT_EQ(stats().limits_shed.get(), 1u);
  EXPECT_EQ(room_.sessions.live(), 0u);
  EXPECT_FALSE(subscriber_->at_end());
}

TEST_F(Debtors, NobodyGoesForWhatLeavesWithTheTurn) {
  subscribe();
  std::string text(1024 * 1024, 'x');
  Payload payload(text, false);
  for (int i = 0; i < 9; ++i) room_.sessions.deliver(*session_, payload, Urgency::urgent);
  EXPECT_GT(stats().bytes_unsent.get(), room_.config.limits.max_unsent_per_worker);
  shed_debtors(room_.runtime, room_.connections);
  EXPECT_EQ(stats().api_shed.get() + stats().limits_shed.get(), 0u);
}

// ---- what is counted

TEST_F(Debtors, MessagesOfOneByteCountWhatKeepingThemCosts) {
  room_.lines.send_queue = 64 * 1024;
  test::Peer peer = room_.connect();
  Session* session = room_.session_of(peer);
  uint64_t taken = 0;
  for (; taken < 100'000; ++taken) {
    Payload payload("x", false);
    if (!room_.sessions.deliver(*session, payload, Urgency::urgent)) break;
  }
  EXPECT_LE(taken, 64 * 1024 / OutputQueue::kEntryBytes + 1);
  EXPECT_GT(taken, 1'000u);
}

}  // namespace
}  // namespace holdfast
