// AppBackend over a carrier that is no FastCGI: the seam for other kinds of application servers.

#include "worker/backends/app_carrier.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>

#include "tests/unit/room.h"
#include "tests/unit/wire/ws/client_frames.h"
#include "worker/backends/app_backend.h"

namespace holdfast {
namespace {

// Keeps requests until the test answers them.
class FakeCarrier final : public AppCarrier {
 public:
  struct Taken {
    AppEvent event;
    std::string facts, body;
    AppCaller* caller;
    uint64_t ticket;
  };
  std::string session_facts(const Session& session, const Opening&) const override {
    return "facts of " + session.id.hex();
  }
  std::string orphan_facts(const shm::SessionView&) const override { return "orphan"; }
  void speak(std::string_view, std::string_view chosen, std::string& facts) const override {
    facts += " speaks " + std::string(chosen);
  }
  size_t submit(AppRequest&& request) override {
    if (full) return 0;
    taken.push_back(
        {request.event, request.facts, std::move(request.body), request.caller, request.ticket});
    return 1;
  }
  size_t queued() const override { return taken.size(); }
  void tick(uint64_t) override { ++ticks; }
  void keep_no_connections() override { keeps = false; }
  void requeue_unread() override {}
  std::string save() const override { return "luggage"; }
  std::vector<std::pair<std::string, int>> carried() const override { return {}; }
  bool restore(std::string_view record, AppCaller&) override { return record == "luggage"; }
  bool restore(std::string_view, UniqueFd, AppCaller&) override { return false; }

  void answer(int status, std::string body = {},
              std::vector<std::pair<std::string, std::string>> headers = {}) {
    Taken first = std::move(taken.front());
    taken.pop_front();
    first.caller->on_answer(first.ticket, {.outcome = AppOutcome::answered,
                                           .status = status,
                                           .headers = std::move(headers),
                                           .body = std::move(body),
                                           .may_have_run = true});
  }
  std::deque<Taken> taken;
  bool full = false, keeps = true;
  int ticks = 0;
};

class AppOverAnyCarrier : public ::testing::Test {
 protected:
  AppOverAnyCarrier() {
    conf_.name = "app";
    auto carrier = std::make_unique<FakeCarrier>();
    carrier_ = carrier.get();
    backend_ = std::make_unique<AppBackend>(room_.runtime, conf_, 100, room_.sessions, room_.router,
                                            std::move(carrier));
  }
  ~AppOverAnyCarrier() override {
    room_.connections.clear();
    room_.loop.bury();
    backend_.reset();
  }
  test::Peer client() { return room_.connect(room_.lines, *backend_); }
  // A WebSocket that names a key.
  test::Peer comes(const std::string& more) {
    room_.web.resume_ms = 60'000;
    test::Peer peer = room_.connect(room_.web, *backend_);
    peer.send("GET /ws?resume=Holdfast-tests_000001A" + more +
              " HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    return peer;
  }
  void expect_next(AppEvent event, std::string_view body) {
    ASSERT_TRUE(room_.turn_until([&] { return !carrier_->taken.empty(); }));
    EXPECT_EQ(carrier_->taken.front().event, event);
    EXPECT_EQ(carrier_->taken.front().body, body);
    EXPECT_TRUE(carrier_->taken.front().facts.starts_with("facts of "));
  }

  test::Instance instance_;
  test::Room room_{instance_};
  conf::Backend conf_;
  FakeCarrier* carrier_;
  std::unique_ptr<AppBackend> backend_;
};

TEST_F(AppOverAnyCarrier, EventsAndMessagesGoInOrderAndAnswersComeBack) {
  test::Peer peer = client();
  peer.send("hello\n");
  expect_next(AppEvent::connect, "");
  carrier_->answer(200);
  expect_next(AppEvent::message, "hello");
  carrier_->answer(200, "welcome");
  ASSERT_TRUE(room_.turn_until([&] { return peer.received() == "welcome\n"; }));
  peer.close();
  expect_next(AppEvent::close, "");
  carrier_->answer(200);
  EXPECT_EQ(room_.sessions.size(), 0u);
}

// A client that comes back by another connection is not read before the application has caught up with the first.
TEST_F(AppOverAnyCarrier, APausedClientIsPausedWhereItComesBack) {
  room_.web.max_pending = 2;
  test::Peer first = comes("");
  expect_next(AppEvent::connect, "");
  carrier_->answer(200);
  for (const char* text : {"one", "two", "never read"}) first.send(test::frame(1, text));
  ASSERT_TRUE(room_.turn_until([&] { return room_.runtime.stats.messages_in.get() == 2; }));
  test::Peer second = comes("&seen=0");
  ASSERT_TRUE(room_.turn_until([&] { return room_.session_of(second) != nullptr; }));
  second.send(test::frame(1, "three"));
  for (int i = 0; i < 5; ++i) room_.turn();
  EXPECT_EQ(room_.runtime.stats.messages_in.get(), 2u);
  for (const char* text : {"one", "two", "three"}) {
    expect_next(AppEvent::message, text);
    carrier_->answer(200);
  }
  EXPECT_EQ(room_.runtime.stats.events_connect.get(), 1u);
}

// What an answer asks for is done while the client is away, and a goodbye ends its session.
TEST_F(AppOverAnyCarrier, AnswersAreCarriedOutWhileTheClientIsAway) {
  test::Peer peer = comes("");
  expect_next(AppEvent::connect, "");
  carrier_->answer(200);
  peer.send(test::frame(1, "one"));
  expect_next(AppEvent::message, "one");
  peer.close();
  shm::StatsBlock& stats = room_.runtime.stats;
  ASSERT_TRUE(room_.turn_until([&] { return stats.sessions_detached.get() == 1; }));
  carrier_->answer(200, "kept", {{"Holdfast-Join", "room"}, {"Holdfast-User", "alice"}});
  EXPECT_EQ(room_.execute({.op = Op::send_user, .users = {"alice"}, .data = "x"}).delivered, 1u);
  EXPECT_EQ(room_.execute({.op = Op::publish, .channels = {"room"}, .data = "y"}).delivered, 1u);
  test::Peer back = comes("&seen=0");
  std::string missed = test::frame(1, "kept", {.masked = false}) + "\x81\x01x\x81\x01y";
  ASSERT_TRUE(room_.turn_until([&] { return back.received().ends_with(missed); }));
  back.send(test::frame(1, "two"));
  expect_next(AppEvent::message, "two");
  back.close();
  ASSERT_TRUE(room_.turn_until([&] { return stats.sessions_detached.get() == 1; }));
  carrier_->answer(200, {}, {{"Holdfast-Close", "4001 enough"}});
  EXPECT_EQ(stats.sessions_closed_kicked.get(), 1u);
  expect_next(AppEvent::close, "");
  carrier_->answer(200);
  EXPECT_EQ(room_.sessions.size(), 0u);
}

TEST_F(AppOverAnyCarrier, AFullCarrierRefusesANewcomer) {
  carrier_->full = true;
  test::Peer peer = client();
  peer.send("hello\n");
  ASSERT_TRUE(room_.turn_until([&] { return room_.sessions.size() == 0; }));
  EXPECT_EQ(room_.runtime.stats.sessions_closed.get(), 0u);
}

TEST_F(AppOverAnyCarrier, ItsRecordTravels) {
  std::string record = static_cast<const Backend&>(*backend_).save();
  Backend& backend = *backend_;
  auto none = [](const shm::SessionId&) -> Session* { return nullptr; };
  EXPECT_TRUE(backend.restore(record, none));
  backend.drain();
  EXPECT_FALSE(carrier_->keeps);
  backend.tick();
  EXPECT_EQ(carrier_->ticks, 1);
}

}  // namespace
}  // namespace holdfast
