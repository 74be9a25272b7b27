// What the commands show of a segment: of a real one, mapped as holdfastctl maps it.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include <cstring>

#include "ctl/sessions.h"
#include "ctl/stats.h"
#include "ctl/workers.h"

namespace holdfast::ctl {
namespace {

constexpr uint32_t kPerSlab = 8;

std::string own_name(const char* suffix) {
  return "ctltest-" + std::to_string(getpid()) + "-" + suffix;
}

class View : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = own_name("view");
    auto created = shm::Segment::create(
        {name, "/run/" + name, 7},
        {.max_workers = 3, .max_sessions = kPerSlab, .filter_buckets = 16, .mailbox_bytes = 4096});
    ASSERT_TRUE(created) << created.error().text();
    master_.emplace(std::move(*created));
    auto attached = shm::Segment::attach(name);
    ASSERT_TRUE(attached) << attached.error().text();
    guest_.emplace(std::move(*attached));
  }

  shm::Slab slab(uint16_t slot) {
    return {master_->directory(), slot, 7, master_->stats(slot).slab_high_water};
  }

  std::optional<shm::Segment> master_, guest_;
};

shm::SessionOrigin from_ipv4(const char* address, uint16_t port) {
  shm::SessionOrigin origin;
  origin.peer.s6_addr[10] = origin.peer.s6_addr[11] = 0xff;
  inet_pton(AF_INET, address, origin.peer.s6_addr + 12);
  origin.peer_port = port;
  return origin;
}

bool is_json(const std::string& line) {
  simdjson::dom::parser parser;
  simdjson::dom::element parsed;
  return parser.parse(line).get(parsed) == simdjson::SUCCESS && line.find('\n') == line.size() - 1;
}

TEST_F(View, StatsAreSummedOverAllSlots) {
  master_->stats(0).messages_in.add(5);
  master_->stats(2).messages_in.add(7);
  master_->stats(1).backend_request_us.record(100);
  master_->stats(2).backend_request_us.record(100);
  std::string json = stats_json(take_snapshot(*guest_), nullptr);
  ASSERT_TRUE(is_json(json)) << json;
  EXPECT_NE(json.find("\"messages.in\":12"), std::string::npos) << json;
  EXPECT_NE(json.find("\"backend.request_us\":{\"count\":2,\"sum\":200"), std::string::npos);
}

TEST_F(View, RatesAreIncreasePerSecondBetweenTwoSnapshots) {
  Snapshot before = take_snapshot(*guest_);
  master_->stats(0).messages_in.add(300);
  master_->stats(0).backend_request_us.record(7);
  Snapshot now = take_snapshot(*guest_);
  now.taken_ns = before.taken_ns + 2'000'000'000;
  std::string json = stats_json(now, &before);
  EXPECT_NE(json.find("\"rates\":{"), std::string::npos);
  EXPECT_NE(json.find("\"messages.in\":150.000"), std::string::npos) << json;
  std::string text = stats_text(now, &before, {.hide_zeros = true});
  EXPECT_NE(text.find("PER SECOND"), std::string::npos);
  EXPECT_EQ(text.find("messages.out"), std::string::npos) << "zeros are hidden";
}

TEST_F(View, HistogramsOfAWatchHoldOnlyWhatCameSince) {
  master_->stats(0).backend_request_us.record(1'000'000);
  Snapshot before = take_snapshot(*guest_);
  master_->stats(0).backend_request_us.record(5);
  Snapshot now = take_snapshot(*guest_);
  size_t index = 0;
  while (shm::all_stats()[index].name != "backend.request_us") ++index;
  HistogramSum since = now.histograms[index].since(before.histograms[index]);
  EXPECT_EQ(since.count, 1u);
  EXPECT_EQ(since.quantile(0.99), 5u);
  EXPECT_GE(now.histograms[index].quantile(0.99), 1'000'000u);
}

TEST_F(View, ADeadMasterIsSaid) {
  Snapshot snapshot = take_snapshot(*guest_);
  snapshot.master_alive = false;
  EXPECT_NE(instance_lines(snapshot, false).find("is dead"), std::string::npos);
  snapshot.master_alive = true;
  EXPECT_EQ(instance_lines(snapshot, false).find("is dead"), std::string::npos);
}

TEST_F(View, WorkerWithAnOldHeartbeatIsNotAnswering) {
  shm::SlotHead& head = master_->slot(1);
  head.pid = 4711;
  head.generation = 2;
  head.heartbeat_ms = 10'000;
  head.started_wall_ms = 1'000'000;
  head.state = shm::SlotState::serving;
  auto fresh = view_workers(*guest_, 13'000, 1'090'000);
  ASSERT_EQ(fresh.size(), 1u) << "free slots are left out";
  EXPECT_TRUE(fresh[0].answering());
  EXPECT_EQ(fresh[0].uptime_ms, 90'000u);
  auto stale = view_workers(*guest_, 13'001, 1'090'000);
  EXPECT_FALSE(stale[0].answering());
  EXPECT_NE(workers_text(stale, false).find("not answering (3.0 s)"), std::string::npos);
  EXPECT_TRUE(is_json(workers_json(stale, true)));
}

TEST_F(View, DeadSlotHasNoHeartbeatToMiss) {
  master_->slot(0).state = shm::SlotState::dead;
  auto workers = view_workers(*guest_, 99'999, 99'999);
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_TRUE(workers[0].answering());
}

TEST_F(View, SessionsOfEverySlabAreListed) {
  shm::Slab first = slab(0), last = slab(2);
  auto a = first.claim(from_ipv4("192.0.2.1", 4711));
  auto b = last.claim({});
  ASSERT_TRUE(a && b);
  first.set_state(*a, shm::SessionState::open);
  first.set_user(*a, "J\xc3\xbcrgen");
  SessionList list = list_sessions(*guest_, 0);
  ASSERT_EQ(list.sessions.size(), 2u);
  EXPECT_FALSE(list.more);
  EXPECT_EQ(list.sessions[0].id, *a);
  EXPECT_EQ(list.sessions[1].id, *b);
  std::string text = sessions_text(list, 0, false);
  EXPECT_NE(text.find("192.0.2.1:4711"), std::string::npos) << text;
  EXPECT_NE(text.find("J\xc3\xbcrgen"), std::string::npos) << text;
  EXPECT_TRUE(is_json(sessions_json(list))) << sessions_json(list);
}

TEST_F(View, ListStopsAtTheLimitAndSaysSo) {
  shm::Slab own = slab(0);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(own.claim({}));
  EXPECT_EQ(list_sessions(*guest_, 2).sessions.size(), 2u);
  EXPECT_TRUE(list_sessions(*guest_, 2).more);
  EXPECT_FALSE(list_sessions(*guest_, 3).more);
}

TEST_F(View, EntriesAboveTheHighWaterMarkAreNotRead) {
  shm::Slab own = slab(0);
  ASSERT_TRUE(own.claim({}));
  uint32_t used = master_->stats(0).slab_high_water;
  master_->stats(0).slab_high_water = 0;
  EXPECT_TRUE(list_sessions(*guest_, 0).sessions.empty());
  master_->stats(0).slab_high_water = UINT32_MAX;  // nonsense must not lead past the slab
  EXPECT_EQ(list_sessions(*guest_, 0).sessions.size(), 1u);
  master_->stats(0).slab_high_water = used;
}

TEST_F(View, OneSessionIsFoundByEitherFormOfItsId) {
  shm::Slab own = slab(1);
  auto id = own.claim({});
  ASSERT_TRUE(id);
  for (const std::string& text : {id->hex(), id->base64url()}) {
    Result<shm::SessionView> found = find_session(*guest_, text);
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_EQ(found->control.owner, 1);
    EXPECT_TRUE(is_json(session_json(*found)));
    EXPECT_NE(session_text(*found, 0).find(id->hex()), std::string::npos);
  }
}

TEST_F(View, IdsThatNameNothingAreErrors) {
  shm::Slab own = slab(0);
  auto id = own.claim({});
  ASSERT_TRUE(id);
  shm::SessionId other = *id;
  other.lo ^= 1;
  EXPECT_EQ(find_session(*guest_, other.hex()).error().code, Errc::gone);
  EXPECT_EQ(find_session(*guest_, shm::SessionId::make(8, 0).hex()).error().code, Errc::gone);
  EXPECT_EQ(find_session(*guest_, shm::SessionId::make(7, UINT32_MAX).hex()).error().code,
            Errc::gone);
  EXPECT_EQ(find_session(*guest_, "nonsense").error().code, Errc::bad_input);
  own.release(*id);
  EXPECT_EQ(find_session(*guest_, id->hex()).error().code, Errc::gone);
}

TEST(PeerText, ShowsEachFamilyAsItIsWritten) {
  EXPECT_EQ(peer_text({}), "unix");
  EXPECT_EQ(peer_text(from_ipv4("127.0.0.1", 80)), "127.0.0.1:80");
  shm::SessionOrigin origin;
  inet_pton(AF_INET6, "2001:db8::1", &origin.peer);
  origin.peer_port = 443;
  EXPECT_EQ(peer_text(origin), "[2001:db8::1]:443");
}

}  // namespace
}  // namespace holdfast::ctl
