#include "worker/api/session_pages.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <set>

namespace holdfast::api {
namespace {

using shm::SessionId;
using shm::SessionState;

shm::Segment segment_of(uint32_t workers, uint32_t sessions) {
  static unsigned number = 0;
  shm::SegmentIdentity identity{
      .instance = fmt::format("pages-test-{}-{}", getpid(), ++number),
      .runtime_dir = "/nowhere",
      .node_id = 7,
  };
  shm::Capacities capacities{.max_workers = workers,
                             .max_sessions = sessions,
                             .filter_buckets = 64,
                             .mailbox_bytes = 64 * 1024};
  auto made = shm::Segment::create(identity, capacities);
  if (!made) throw std::runtime_error(made.error().text());
  return *std::move(made);
}

class SessionPages : public testing::Test {
 protected:
  explicit SessionPages(uint32_t per_slab = 16)
      : segment(segment_of(3, per_slab)),
        first(segment.directory(), 0, 7, segment.stats(0).slab_high_water),
        last(segment.directory(), 2, 7, segment.stats(2).slab_high_water) {}

  SessionId open(shm::Slab& slab, const std::string& user = "") {
    SessionId id = *slab.claim({});
    slab.set_state(id, SessionState::open);
    if (!user.empty()) slab.set_user(id, user);
    return id;
  }
  // The whole list, `limit` at a time; `between` runs after each page.
  std::vector<SessionId> all(
      uint32_t limit, const std::string& prefix = "",
      const std::function<void()>& between = [] {}) {
    std::vector<SessionId> ids;
    std::optional<uint64_t> from = 0;
    while (from) {
      SessionPage page = read_sessions(segment.directory(), *from, limit, prefix);
      EXPECT_LE(page.sessions.size(), limit);
      for (const shm::SessionView& view : page.sessions) ids.push_back(view.id);
      EXPECT_TRUE(!page.next || *page.next > *from);
      from = page.next;
      between();
    }
    return ids;
  }

  shm::Segment segment;
  shm::Slab first, last;
};

TEST_F(SessionPages, OfAnEmptyInstanceAreOneEmptyPage) {
  SessionPage page = read_sessions(segment.directory(), 0, 10, "");
  EXPECT_TRUE(page.sessions.empty());
  EXPECT_FALSE(page.next);
}

TEST_F(SessionPages, ListEverySessionOfEveryWorkerOnceForAnyLimit) {
  std::vector<SessionId> expected;
  for (int i = 0; i < 7; ++i) expected.push_back(open(first));
  for (int i = 0; i < 16; ++i) expected.push_back(open(last));
  for (uint32_t limit : {1u, 2u, 5u, 22u, 23u, 24u, 1000u})
    EXPECT_EQ(all(limit), expected) << limit;
}

TEST_F(SessionPages, ListWhoCanBePushedToOnly) {
  SessionId connecting = *first.claim({});
  SessionId closing = open(first), gone = open(first), stays = open(first);
  first.set_state(closing, SessionState::closing);
  first.release(gone);
  EXPECT_EQ(all(10), (std::vector{connecting, stays}));
}

TEST_F(SessionPages, ListSessionsOfUsersByPrefix) {
  SessionId a = open(first, "ann"), b = open(first, "anton"), c = open(last, "ann");
  open(first);
  open(last, "bob");
  EXPECT_EQ(all(10, "an"), (std::vector{a, b, c}));
  EXPECT_EQ(all(1, "ann"), (std::vector{a, c}));
  EXPECT_EQ(all(10, "anna"), (std::vector<SessionId>{}));
}

// What the API promises of cursors.
TEST_F(SessionPages, HaveWhoStaysExactlyOnceWhileOthersComeAndGo) {
  std::vector<SessionId> stay, go;
  for (int i = 0; i < 14; ++i) (i % 2 == 0 ? stay : go).push_back(open(i < 8 ? first : last));
  size_t left = 0;
  std::vector<SessionId> seen = all(2, "", [&] {
    if (left >= go.size()) return;
    shm::Slab& slab = go[left].index() < segment.directory().per_slab() ? first : last;
    slab.release(go[left++]);
    open(first);
    open(last);
  });
  EXPECT_EQ(left, go.size());
  for (const SessionId& id : stay) EXPECT_EQ(std::count(seen.begin(), seen.end(), id), 1);
  EXPECT_EQ(std::set<std::string>([&] {
              std::set<std::string> texts;
              for (const SessionId& id : seen) texts.insert(id.hex());
              return texts;
            }())
                .size(),
            seen.size());
}

TEST_F(SessionPages, BehindTheEndAreEmpty) {
  open(first);
  for (uint64_t from : {uint64_t{48}, uint64_t{49}, uint64_t{UINT32_MAX}, UINT64_MAX}) {
    SessionPage page = read_sessions(segment.directory(), from, 10, "");
    EXPECT_TRUE(page.sessions.empty()) << from;
    EXPECT_FALSE(page.next) << from;
  }
}

class ManySessionPages : public SessionPages {
 protected:
  ManySessionPages() : SessionPages(3 * kMaxScan) {}
};

TEST_F(ManySessionPages, LookAtABoundedNumberOfEntries) {
  std::vector<SessionId> ids;
  for (uint32_t i = 0; i < kMaxScan + 10; ++i) ids.push_back(open(first));
  SessionId far = open(last, "zoe");
  for (size_t i = 1; i < ids.size(); ++i) first.release(ids[i]);
  SessionPage page = read_sessions(segment.directory(), 0, 10, "");
  ASSERT_EQ(page.sessions.size(), 1u);
  EXPECT_EQ(page.next, kMaxScan);
  page = read_sessions(segment.directory(), 0, 10, "zoe");
  EXPECT_TRUE(page.sessions.empty());
  EXPECT_EQ(page.next, kMaxScan);
  EXPECT_EQ(all(10), (std::vector{ids[0], far}));
  EXPECT_EQ(all(10, "zoe"), (std::vector{far}));
}

// ---- What is said of one

std::string written(const shm::SessionView& view, std::string_view listener) {
  json::Writer json;
  json.begin_object();
  write_session(json, view, listener);
  json.end_object();
  return json.take();
}

TEST(SessionEntry, SaysWhatTheDirectoryKnows) {
  shm::SessionView view{.id = {0x0001000000070001, 0xaaaaaaaaaaaaaaaa},
                        .control = {.owner = 3, .state = SessionState::open},
                        .connected_wall_s = 1'800'000'000,
                        .messages_in = 1,
                        .messages_out = 2,
                        .unsent_bytes = 3,
                        .user = "a\"b"};
  view.origin.peer.s6_addr[10] = view.origin.peer.s6_addr[11] = 0xff;
  view.origin.peer.s6_addr[12] = 127;
  view.origin.peer.s6_addr[15] = 1;
  view.origin.peer_port = 4711;
  EXPECT_EQ(written(view, "0.0.0.0:8080"),
            R"({"session":"0001000000070001aaaaaaaaaaaaaaaa","user":"a\"b","state":"open",)"
            R"("worker":3,"listener":"0.0.0.0:8080","peer":"127.0.0.1","port":4711,)"
            R"("connected_s":1800000000,"messages_in":1,"messages_out":2,"unsent_bytes":3})");
}

TEST(SessionEntry, OfAUnixSocketOrAnUnknownListenerSaysSo) {
  shm::SessionView view{.id = {1, 2}, .control = {.state = SessionState::connecting}};
  std::string text = written(view, "");
  EXPECT_NE(text.find(R"("state":"connecting")"), std::string::npos) << text;
  EXPECT_NE(text.find(R"("peer":"unix","port":0)"), std::string::npos) << text;
  EXPECT_EQ(text.find("listener"), std::string::npos) << text;
}

TEST(SessionEntry, NamesTheListenerOnlyUnderOneConfiguration) {
  shm::Segment segment = segment_of(2, 4);
  conf::Config config;
  config.listens.resize(2);
  config.listens[1].address.text = "127.0.0.1:80";
  shm::SessionView view{.control = {.owner = 1}};
  view.origin.listener = 1;
  segment.slot(0).generation = segment.slot(1).generation = 4;
  EXPECT_EQ(listener_of(segment, config, 0, view), "127.0.0.1:80");
  segment.slot(1).generation = 5;
  EXPECT_EQ(listener_of(segment, config, 0, view), "");
  segment.slot(1).generation = 4;
  view.origin.listener = 2;
  EXPECT_EQ(listener_of(segment, config, 0, view), "");
  view.control.owner = 2;
  EXPECT_EQ(listener_of(segment, config, 0, view), "");
}

}  // namespace
}  // namespace holdfast::api
