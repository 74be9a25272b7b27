// Sessions and what carries them, without a wire: only calls of the port Transport.

#include "worker/sessions/transport.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "tests/unit/sessions/fake_transport.h"

namespace holdfast {
namespace {

class SessionsAndTransports : public ::testing::Test {
 protected:
  Session& open(test::FakeTransport& transport) {
    transport.session =
        room_.sessions.create(room_.lines, 0, room_.backend, transport, shm::SessionOrigin{});
    HF_CHECK(transport.session != nullptr);
    transport.accept({});
    return *transport.session;
  }
  bool deliver(Session& session, std::string_view text) {
    Payload payload(text, false);
    return room_.sessions.deliver(session, payload, Urgency::urgent);
  }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
  test::FakeTransport one_{room_.runtime, room_.connections, room_.sessions};
  test::FakeTransport other_{room_.runtime, room_.connections, room_.sessions};
};

TEST_F(SessionsAndTransports, AMessageCountsIfTheTransportTakesIt) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, "taken"));
  one_.takes = false;
  EXPECT_FALSE(deliver(session, "dropped by the transport, which counts it"));
  EXPECT_EQ(one_.delivered, std::vector<std::string>{"taken"});
  EXPECT_EQ(session.messages_out, 1u);
  EXPECT_EQ(stats().messages_out.get(), 1u);
  EXPECT_EQ(stats().messages_dropped.get(), 0u);
}

TEST_F(SessionsAndTransports, AMessageForASessionWithoutATransportIsDropped) {
  Session& session = open(one_);
  session.transport = nullptr;
  EXPECT_FALSE(deliver(session, "late"));
  EXPECT_EQ(stats().messages_dropped.get(), 1u);
  EXPECT_TRUE(one_.delivered.empty());
}

TEST_F(SessionsAndTransports, ExpiryClosesWithCodeAndTextOfItsReason) {
  room_.sessions.set_expiry(open(one_), 100);
  room_.sessions.set_expiry(open(other_), 101);
  EXPECT_FALSE(room_.sessions.end_expired(100));
  EXPECT_EQ(
      one_.closes,
      (std::vector<test::FakeTransport::Closed>{{4401, "token expired", EndReason::expired}}));
  EXPECT_TRUE(other_.closes.empty());
  EXPECT_EQ(stats().tokens_expired.get(), 1u);
}

TEST_F(SessionsAndTransports, EveryEndIsCountedByItsReasonAndToldTheBackend) {
  open(one_);
  open(other_);
  one_.close(EndReason::idle);
  other_.close(4002, "not you", EndReason::kicked);
  EXPECT_EQ(room_.backend.endings, (std::vector{EndReason::idle, EndReason::kicked}));
  EXPECT_EQ(stats().sessions_closed_idle.get(), 1u);
  EXPECT_EQ(stats().sessions_closed_kicked.get(), 1u);
  EXPECT_EQ(stats().sessions_closed.get(), 2u);
  EXPECT_EQ(stats().sessions_online.get(), 0u);
  EXPECT_EQ(room_.sessions.size(), 0u);
}

TEST_F(SessionsAndTransports, ARefusedSessionWasNeverOnline) {
  one_.session = room_.sessions.create(room_.lines, 0, room_.backend, one_, shm::SessionOrigin{});
  one_.refuse(403, "no");
  EXPECT_EQ(one_.refusals,
            (std::vector<test::FakeTransport::Refused>{{403, "no", EndReason::refused}}));
  EXPECT_EQ(stats().sessions_closed.get(), 0u);
  EXPECT_EQ(stats().sessions_online.get(), 0u);
  EXPECT_EQ(room_.sessions.size(), 0u);
}

}  // namespace
}  // namespace holdfast
