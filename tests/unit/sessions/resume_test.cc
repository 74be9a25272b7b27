// Sessions without a connection, and what is kept for those who come back: without a wire.

#include "worker/sessions/resume.h"

#include <gtest/gtest.h>

#include "tests/unit/room.h"
#include "tests/unit/sessions/fake_transport.h"

namespace holdfast {
namespace {

static_assert(sizeof(Session) == 120, "a session that cannot be resumed pays nothing");

constexpr std::string_view kDigits = "Holdfast-tests_000001A";

class ResumeTest : public ::testing::Test {
 protected:
  ResumeTest() {
    room_.web.resume_ms = 60'000;
    room_.web.resume_buffer = 1000;
  }
  Session& open(test::FakeTransport& transport, unsigned key = 0) {
    Session* session =
        room_.sessions.create(room_.web, 0, room_.backend, transport, shm::SessionOrigin{});
    HF_CHECK(session != nullptr);
    transport.session = session;
    HF_CHECK(resume().begin(*session, key_number(key)));
    transport.accept({});
    return *session;
  }
  static ResumeKey key_number(unsigned n) { return {uint8_t(n), uint8_t(n >> 8), 1}; }
  bool deliver(Session& session, std::string_view text) {
    Payload payload(text, false);
    return room_.sessions.deliver(session, payload, Urgency::urgent);
  }
  // The texts that one who has seen so many would get.
  std::vector<std::string> missed(const Session& session, uint64_t seen) {
    std::vector<std::string> texts;
    for (const BufferRef& frame : resume().missed(session, seen))
      texts.emplace_back(frame.bytes().substr(frame.size() < 128 ? 2 : 4));
    return texts;
  }
  Resume::Verdict judge(const Session& session, uint64_t seen) {
    return resume().judge(session, {.seen = seen});
  }
  bool named(unsigned key) {
    return instance_.segment.filter().maybe_member(0, Resume::filter_name(key_number(key)));
  }
  uint8_t flags(const Session& session) {
    return instance_.segment.directory().view(session.id.index())->control.flags;
  }
  Resume& resume() { return room_.sessions.resume(); }
  shm::StatsBlock& stats() { return room_.runtime.stats; }

  test::Instance instance_;
  test::Room room_{instance_};
  test::FakeTransport one_{room_.runtime, room_.connections, room_.sessions};
  test::FakeTransport other_{room_.runtime, room_.connections, room_.sessions};
};

TEST_F(ResumeTest, KeysAreWhole128Bits) {
  auto is_key = [&](std::string_view digits) {
    return resume().key_of(room_.web, digits).has_value();
  };
  EXPECT_TRUE(is_key(kDigits));
  EXPECT_FALSE(is_key(""));
  EXPECT_FALSE(is_key(kDigits.substr(1)));
  EXPECT_FALSE(is_key(std::string(kDigits) + "A"));
  for (char c : {'+', '/', '=', ' ', '\0', '\xff'})
    EXPECT_FALSE(is_key(c + std::string(kDigits.substr(1))));
  for (char c = 'A'; c <= 'z'; ++c)
    EXPECT_EQ(is_key(std::string(kDigits.substr(0, 21)) + c),
              c == 'A' || c == 'Q' || c == 'g' || c == 'w')
        << c;
}

TEST_F(ResumeTest, AKeyBelongsToAListener) {
  conf::Listen elsewhere = room_.web;
  EXPECT_EQ(resume().key_of(room_.web, kDigits), resume().key_of(elsewhere, kDigits));
  elsewhere.path = "/other";
  EXPECT_NE(resume().key_of(room_.web, kDigits), resume().key_of(elsewhere, kDigits));
  EXPECT_NE(resume().key_of(room_.web, kDigits),
            resume().key_of(room_.web, "Holdfast-tests_000002A"));
}

TEST_F(ResumeTest, OneSessionAKeyAndTheFilterKnowsIt) {
  EXPECT_FALSE(named(3));
  Session& session = open(one_, 3);
  EXPECT_TRUE(named(3));
  EXPECT_EQ(resume().find(key_number(3)), &session);
  EXPECT_EQ(resume().find(key_number(4)), nullptr);
  Session* second =
      room_.sessions.create(room_.web, 0, room_.backend, other_, shm::SessionOrigin{});
  EXPECT_FALSE(resume().begin(*second, key_number(3)));
  EXPECT_FALSE(second->resumable);
  one_.close(4000, "out", EndReason::kicked);
  EXPECT_FALSE(named(3));
  EXPECT_EQ(resume().find(key_number(3)), nullptr);
  EXPECT_EQ(stats().resume_sessions.get(), 0u);
}

TEST_F(ResumeTest, WhatWasSentIsKeptInOrderUpToTheBuffer) {
  Session& session = open(one_);
  EXPECT_EQ(judge(session, 0), Resume::Verdict::good);
  EXPECT_EQ(judge(session, 1), Resume::Verdict::ahead);
  for (int i = 1; i <= 200; ++i) {
    ASSERT_TRUE(deliver(session, std::string(70, char('a' + i % 26))));
    ASSERT_LE(stats().resume_kept_bytes.get(), room_.web.resume_buffer);
  }
  EXPECT_EQ(judge(session, 201), Resume::Verdict::ahead);
  EXPECT_EQ(judge(session, 200), Resume::Verdict::good);
  EXPECT_EQ(judge(session, 190), Resume::Verdict::good);
  EXPECT_EQ(judge(session, 189), Resume::Verdict::too_old);
  std::vector<std::string> expected;
  for (int i = 191; i <= 200; ++i) expected.emplace_back(70, char('a' + i % 26));
  EXPECT_EQ(missed(session, 190), expected);
  EXPECT_TRUE(missed(session, 200).empty());
}

TEST_F(ResumeTest, AMessageThatIsLongerThanTheBufferEmptiesIt) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, "short"));
  EXPECT_TRUE(deliver(session, std::string(1001, 'x')));
  EXPECT_EQ(stats().resume_kept_bytes.get(), 0u);
  EXPECT_EQ(judge(session, 1), Resume::Verdict::too_old);
  EXPECT_EQ(judge(session, 2), Resume::Verdict::good);
  EXPECT_TRUE(deliver(session, "next"));
  EXPECT_EQ(missed(session, 2), std::vector<std::string>{"next"});
}

TEST_F(ResumeTest, AMessageForManyIsKeptOnce) {
  Session &a = open(one_, 1), &b = open(other_, 2);
  Payload payload("for all", false);
  EXPECT_TRUE(room_.sessions.deliver(a, payload, Urgency::bulk));
  EXPECT_TRUE(room_.sessions.deliver(b, payload, Urgency::bulk));
  EXPECT_EQ(resume().missed(a, 0)[0].bytes().data(), resume().missed(b, 0)[0].bytes().data());
}

TEST_F(ResumeTest, MessagesThatTheTransportDropsHaveNoNumber) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, "one"));
  one_.takes = false;
  EXPECT_FALSE(deliver(session, "dropped"));
  one_.takes = true;
  EXPECT_TRUE(deliver(session, "two"));
  EXPECT_EQ(missed(session, 0), (std::vector<std::string>{"one", "two"}));
  resume().not_sent(session, 1);  // which, only the transport knows
  EXPECT_EQ(judge(session, 2), Resume::Verdict::ahead);
  EXPECT_EQ(judge(session, 1), Resume::Verdict::good);
  EXPECT_EQ(judge(session, 0), Resume::Verdict::too_old);
  EXPECT_EQ(stats().resume_kept_bytes.get(), 0u);
}

TEST_F(ResumeTest, DetachedItIsAMemberAndKeepsWhatComes) {
  Session& session = open(one_);
  room_.sessions.join(session, "room");
  room_.sessions.set_user(session, "alice");
  EXPECT_TRUE(deliver(session, "before"));
  ASSERT_TRUE(room_.sessions.detach(session));
  EXPECT_EQ(stats().sessions_online.get(), 0u);
  EXPECT_EQ(stats().sessions_detached.get(), 1u);
  EXPECT_EQ(flags(session) & shm::kDetached, shm::kDetached);
  room_.sessions.set_owes_close(session, true);
  EXPECT_EQ(flags(session), shm::kDetached | shm::kOwesClose);
  EXPECT_EQ(room_.sessions.find(session.id), &session);
  Command publish{.op = Op::publish, .channels = {"room"}};
  publish.data = "to the channel";
  EXPECT_EQ(room_.execute(publish).delivered, 1u);
  Command send{.op = Op::send_user, .users = {"alice"}};
  send.data = "to the user";
  EXPECT_EQ(room_.execute(send).delivered, 1u);
  EXPECT_EQ(session.messages_out, 3u);
  EXPECT_TRUE(room_.backend.endings.empty());
  EXPECT_EQ(missed(session, 1), (std::vector<std::string>{"to the channel", "to the user"}));
  shm::SessionOrigin elsewhere;
  elsewhere.peer_port = 4711;
  room_.sessions.attach(session, other_, elsewhere);
  EXPECT_EQ(stats().sessions_online.get(), 1u);
  EXPECT_EQ(stats().sessions_detached.get(), 0u);
  EXPECT_EQ(flags(session), shm::kOwesClose);
  EXPECT_EQ(instance_.segment.directory().view(session.id.index())->origin.peer_port, 4711);
  EXPECT_TRUE(deliver(session, "after"));
  EXPECT_EQ(other_.delivered, std::vector<std::string>{"after"});
  EXPECT_EQ(missed(session, 3), std::vector<std::string>{"after"});
}

TEST_F(ResumeTest, OnlyAnOpenResumableSessionOfAWindowIsDetached) {
  test::FakeTransport plain(room_.runtime, room_.connections, room_.sessions);
  plain.session = room_.sessions.create(room_.web, 0, room_.backend, plain, shm::SessionOrigin{});
  EXPECT_FALSE(room_.sessions.detach(*plain.session)) << "connecting";
  plain.accept({});
  EXPECT_FALSE(room_.sessions.detach(*plain.session)) << "without a key";
  Session& session = open(one_);
  room_.web.resume_ms = 0;
  EXPECT_FALSE(room_.sessions.detach(session)) << "a reload has taken the window away";
  room_.web.resume_ms = 60'000;
  room_.sessions.detach_no_more();
  EXPECT_FALSE(room_.sessions.detach(session)) << "the worker is on its way out";
  EXPECT_EQ(stats().sessions_online.get(), 2u);
}

TEST_F(ResumeTest, HangingUpEndsTheOneAndTellsTheOther) {
  Session &away = open(one_, 1), &here = open(other_, 2);
  ASSERT_TRUE(room_.sessions.detach(away));
  room_.sessions.hang_up(away, 4000, "out", EndReason::kicked);
  room_.sessions.hang_up(here, 4001, "you too", EndReason::kicked);
  EXPECT_TRUE(one_.closes.empty());
  EXPECT_EQ(other_.closes.size(), 1u);
  EXPECT_EQ(room_.backend.endings, (std::vector{EndReason::kicked, EndReason::kicked}));
  EXPECT_EQ(stats().sessions_detached.get(), 0u);
  EXPECT_EQ(stats().sessions_closed.get(), 2u);
  EXPECT_EQ(stats().sessions_closed_kicked.get(), 2u);
}

TEST_F(ResumeTest, TokensExpireAlsoWhileTheClientIsAway) {
  Session& session = open(one_);
  room_.sessions.set_expiry(session, 100);
  ASSERT_TRUE(room_.sessions.detach(session));
  EXPECT_FALSE(room_.sessions.end_expired(100));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::expired});
  EXPECT_EQ(room_.sessions.live(), 0u);
}

TEST_F(ResumeTest, TooMuchForTheBufferEndsItAfterTheWalk) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, std::string(400, 'a')));
  ASSERT_TRUE(room_.sessions.detach(session));
  EXPECT_TRUE(deliver(session, std::string(400, 'b')));  // "a" may have been seen
  EXPECT_TRUE(deliver(session, std::string(400, 'c')));
  EXPECT_FALSE(room_.sessions.end_overdue(room_.runtime.now_ms));
  EXPECT_TRUE(room_.backend.endings.empty());
  EXPECT_FALSE(deliver(session, std::string(400, 'd')));  // "b" has not
  EXPECT_TRUE(room_.backend.endings.empty()) << "not while a channel's members are walked";
  EXPECT_FALSE(room_.sessions.end_overdue(room_.runtime.now_ms));
  EXPECT_EQ(room_.backend.endings, std::vector{EndReason::connection_lost});
  EXPECT_EQ(stats().resume_overflowed.get(), 1u);
  EXPECT_EQ(stats().resume_expired.get(), 0u);
  EXPECT_EQ(stats().resume_kept_bytes.get(), 0u);
}

TEST_F(ResumeTest, AWorkerThatKeepsTooMuchKeepsNoMore) {
  room_.config.limits.max_unsent_per_worker = 1500;
  Session &a = open(one_, 1), &b = open(other_, 2);
  EXPECT_TRUE(deliver(a, std::string(900, 'a')));
  EXPECT_TRUE(deliver(b, std::string(900, 'b')));
  EXPECT_EQ(stats().resume_forgotten.get(), 1u);
  EXPECT_EQ(judge(a, 0), Resume::Verdict::good);
  EXPECT_EQ(judge(b, 0), Resume::Verdict::too_old);
  EXPECT_LE(stats().resume_kept_bytes.get(), 1500u);
}

TEST_F(ResumeTest, ASessionOfAnotherNameHasSeenNothingOfThisOne) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, "one"));
  ResumeWish wish{.seen = 7, .of_session = session.id};
  EXPECT_EQ(Resume::seen_of(session, wish), 7u);
  wish.of_session->lo ^= 1;
  EXPECT_EQ(Resume::seen_of(session, wish), 0u);
  EXPECT_EQ(resume().judge(session, wish), Resume::Verdict::good);
}

TEST_F(ResumeTest, ThoseWhoseTimeIsOverEndInSlices) {
  constexpr size_t kSessions = Sessions::kEndSlice + 40;
  test::Instance instance(64 * 1024, 1024);
  test::Room room(instance);
  room.web.resume_ms = 1000;
  std::deque<test::FakeTransport> all;
  for (unsigned i = 0; i < kSessions; ++i) {
    test::FakeTransport& t = all.emplace_back(room.runtime, room.connections, room.sessions);
    t.session = room.sessions.create(room.web, 0, room.backend, t, shm::SessionOrigin{});
    ASSERT_TRUE(room.sessions.resume().begin(*t.session, key_number(i)));
    t.accept({});
    ASSERT_TRUE(room.sessions.detach(*t.session));
  }
  uint64_t due = room.runtime.now_ms + 1000;
  EXPECT_FALSE(room.sessions.end_overdue(due - 1));
  EXPECT_EQ(room.sessions.live(), kSessions);
  EXPECT_TRUE(room.sessions.end_overdue(due));
  EXPECT_EQ(room.sessions.live(), 40u);
  EXPECT_FALSE(room.sessions.end_overdue(due));
  EXPECT_EQ(room.sessions.live(), 0u);
  EXPECT_EQ(room.runtime.stats.resume_expired.get(), kSessions);
  EXPECT_EQ(room.backend.endings, std::vector(kSessions, EndReason::connection_lost));
}

TEST_F(ResumeTest, RecordsThatMakeNoSenseAreRefused) {
  Session& session = open(one_);
  EXPECT_TRUE(deliver(session, "kept"));
  ASSERT_TRUE(room_.sessions.detach(session));
  handover::SessionRecord good = room_.sessions.save(session);
  EXPECT_EQ(good.resume_tail.size(), 1u);
  auto refused = [&](auto change) {
    handover::SessionRecord record;
    EXPECT_TRUE(handover::load(handover::save(good), record));
    change(record);
    test::Room to(instance_, 0, {}, true);
    return to.sessions.restore(std::move(record), to.web, 0, to.backend) == nullptr;
  };
  EXPECT_FALSE(refused([](auto&) {}));
  EXPECT_TRUE(refused([](auto& r) { r.phase = 4; }));
  EXPECT_TRUE(refused([](auto& r) { r.detached_until_ms = 0; }));
  EXPECT_TRUE(refused([](auto& r) { r.phase = uint8_t(SessionPhase::open); }));
  EXPECT_TRUE(refused([](auto& r) { r.resume_key.clear(); }));
  EXPECT_TRUE(refused([](auto& r) { r.resume_key += 'x'; }));
  EXPECT_TRUE(refused([](auto& r) { r.resume_sent = 0; }));
  EXPECT_TRUE(refused([](auto& r) { r.resume_tail[0].shared = 9; }));
}

}  // namespace
}  // namespace holdfast
