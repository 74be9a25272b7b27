// What the commands show of a segment: of a real one, mapped as holdfastctl maps it.
#include "tests/unit/ctl/view.h"
#include "ctl/session.h"
#include "ctl/sessions.h"
#include "ctl/stats.h"
#include "ctl/units.h"
#include "ctl/workers.h"

namespace holdfast::ctl {
namespace {

TEST_F(View, StatsAreSummedOverAllSlots) {
  master_->stats(0).messages_in.add(5);
  master_->stats(2).messages_in.add(7);
  master_->stats(1).backend_request_us.record(100);
  master_->stats(2).backend_request_us.record(100);
  std::string json = stats_json(take_snapshot(*guest_), nullptr);
  ASSERT_TRUE(is_json_line(json)) << json;
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
  std::string text = stats_text(now, &before, {.screen = {}, .hide_zeros = true});
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

TEST_F(View, AmountsAreInTheUnitOfTheirCounter) {
  master_->stats(0).ws_deflated_from.add(1536);
  master_->stats(0).limits_waiting_bytes.add(2000);
  std::string text =
      stats_text(take_snapshot(*guest_), nullptr, {.screen = {}, .hide_zeros = true});
  EXPECT_NE(text.find("1.5 KiB  Bytes of the messages"), std::string::npos) << text;
  EXPECT_NE(text.find("2,000  Times reading"), std::string::npos) << text;
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
  EXPECT_NE(workers_text(stale).find("not answering, 3.0 s"), std::string::npos);
  EXPECT_TRUE(is_json_line(workers_json(stale, true)));
}

TEST_F(View, DeadWorkerAnswersNothingAndHasNoProcess) {
  master_->slot(0).state = shm::SlotState::dead;
  auto workers = view_workers(*guest_, 99'999, 99'999);
  ASSERT_EQ(workers.size(), 1u);
  EXPECT_FALSE(workers[0].answering());
  std::string json = workers_json(workers, true);
  ASSERT_TRUE(is_json_line(json)) << json;
  EXPECT_NE(json.find("\"pid\":null"), std::string::npos) << json;
  EXPECT_NE(json.find("\"answering\":false"), std::string::npos) << json;
}

TEST_F(View, TablesOfWorkersAndStatsFitEightyColumns) {
  shm::SlotHead& head = master_->slot(1);
  head.pid = 4'194'303;
  head.restarts = 12'345;
  head.state = shm::SlotState::draining;
  std::string text = workers_text(view_workers(*guest_, 99'999'999, 99'999), {.width = 80}) +
                     stats_text(take_snapshot(*guest_), nullptr, {.screen = {.width = 80}});
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1) {
    std::string line = text.substr(at, text.find('\n', at) - at);
    EXPECT_LE(display_width(line), 80u) << line;
  }
}

std::vector<shm::SessionView> all_of(SessionWalk walk) {
  return walk.next(1'000);
}

std::string table_of(const std::vector<shm::SessionView>& sessions, size_t width = 0) {
  Table table = sessions_table();
  for (const shm::SessionView& session : sessions) add_session(table, session, 0);
  return table.text({.width = width});
}

TEST_F(View, SessionsOfEverySlabAreListed) {
  shm::Slab first = slab(0), last = slab(2);
  auto a = first.claim(from_ipv4("192.0.2.1", 4711));
  auto b = last.claim({});
  ASSERT_TRUE(a && b);
  first.set_state(*a, shm::SessionState::open);
  first.set_user(*a, "J\xc3\xbcrgen");
  std::vector<shm::SessionView> sessions = all_of({*guest_, "", 0});
  ASSERT_EQ(sessions.size(), 2u);
  EXPECT_EQ(sessions[0].id, *a);
  EXPECT_EQ(sessions[1].id, *b);
  std::string text = table_of(sessions);
  EXPECT_NE(text.find("192.0.2.1:4711"), std::string::npos) << text;
  EXPECT_NE(text.find("J\xc3\xbcrgen"), std::string::npos) << text;
  EXPECT_TRUE(is_json_line(session_json(sessions[0]) + "\n"));
}

TEST_F(View, SessionsAreReadInPagesUntilTheLimit) {
  shm::Slab own = slab(0), other = slab(1);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(own.claim({}) && other.claim({}));
  SessionWalk walk(*guest_, "", 5);
  EXPECT_EQ(walk.next(2).size(), 2u);
  EXPECT_EQ(walk.next(2).size(), 2u);
  EXPECT_EQ(walk.next(2).size(), 1u);
  EXPECT_TRUE(walk.more());
  EXPECT_EQ(walk.next(2).size(), 0u);
  SessionWalk whole(*guest_, "", 6);
  EXPECT_EQ(whole.next(100).size(), 6u);
  EXPECT_FALSE(whole.more());
}

TEST_F(View, OnlySessionsOfUsersWithThePrefixAreListed) {
  shm::Slab own = slab(0);
  auto ann = own.claim({}), bob = own.claim({}), nobody = own.claim({});
  ASSERT_TRUE(ann && bob && nobody);
  own.set_user(*ann, "ann");
  own.set_user(*bob, "bob");
  std::vector<shm::SessionView> sessions = all_of({*guest_, "a", 1});
  ASSERT_EQ(sessions.size(), 1u);
  EXPECT_EQ(sessions[0].id, *ann);
  SessionWalk walk(*guest_, "a", 1);
  EXPECT_EQ(walk.next(10).size(), 1u);
  EXPECT_FALSE(walk.more()) << "the others are not asked for";
}

TEST_F(View, SessionsFitEightyColumnsAndTheIdStaysWhole) {
  shm::Slab own = slab(0);
  auto id = own.claim(from_ipv4("192.168.100.200", 65'535));
  ASSERT_TRUE(id);
  own.set_user(*id, std::string(64, 'u'));
  own.set_counts(*id, UINT32_MAX, UINT32_MAX, UINT32_MAX);
  std::string text = table_of(all_of({*guest_, "", 0}), 80);
  for (size_t at = 0; at < text.size(); at = text.find('\n', at) + 1)
    EXPECT_LE(display_width(text.substr(at, text.find('\n', at) - at)), 80u) << text;
  EXPECT_NE(text.find(id->hex()), std::string::npos);
}

TEST_F(View, EntriesAboveTheHighWaterMarkAreNotRead) {
  shm::Slab own = slab(0);
  ASSERT_TRUE(own.claim({}));
  uint32_t used = master_->stats(0).slab_high_water;
  master_->stats(0).slab_high_water = 0;
  EXPECT_TRUE(all_of({*guest_, "", 0}).empty());
  master_->stats(0).slab_high_water = UINT32_MAX;  // nonsense must not lead past the slab
  EXPECT_EQ(all_of({*guest_, "", 0}).size(), 1u);
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
    EXPECT_TRUE(is_json_line(session_line(*found, nullptr)));
    EXPECT_NE(session_text(*found, nullptr, 0).find(id->hex()), std::string::npos);
  }
}

TEST_F(View, CloseEventIsOwedOnlyOfASessionThatIsClosing) {
  shm::Slab own = slab(0);
  auto id = own.claim({});
  ASSERT_TRUE(id);
  own.set_flags(*id, shm::kOwesClose);
  own.set_state(*id, shm::SessionState::open);
  auto open = find_session(*guest_, id->hex());
  EXPECT_EQ(session_text(*open, nullptr, 0).find("close event"), std::string::npos);
  EXPECT_NE(session_line(*open, nullptr).find("\"owes_close\":false"), std::string::npos);
  own.set_state(*id, shm::SessionState::closing);
  auto closing = find_session(*guest_, id->hex());
  EXPECT_NE(session_text(*closing, nullptr, 0).find("owed"), std::string::npos);
  EXPECT_NE(session_line(*closing, nullptr).find("\"owes_close\":true"), std::string::npos);
}

TEST_F(View, DetailOfTheApiIsShownWithTheDirectorysPart) {
  shm::Slab own = slab(0);
  auto id = own.claim({});
  ASSERT_TRUE(id);
  std::string asked;
  auto api = [&](const std::string& path) -> Result<HttpAnswer> {
    asked = path;
    return HttpAnswer{200,
                      R"({"listener":"0.0.0.0:80","channels":["a","b\u001b"],"data":{"k":"v=1"}})"};
  };
  Result<SessionDetail> detail = ask_detail(*id, api);
  ASSERT_TRUE(detail) << detail.error().text();
  EXPECT_EQ(asked, "/v1/sessions/" + id->hex());
  shm::SessionView session = *find_session(*guest_, id->hex());
  std::string text = session_text(session, &*detail, 0);
  for (const char* part : {"0.0.0.0:80\n", "channels      a\n", "b?\n", "k = v=1\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
  std::string line = session_line(session, &*detail);
  EXPECT_TRUE(is_json_line(line));
  EXPECT_NE(line.find(R"("channels":["a","b\u001b"],"data":{"k":"v=1"})"), std::string::npos)
      << line;
}

TEST_F(View, WhatItsWorkerDidNotTellIsLeftOut) {
  shm::Slab own = slab(0);
  auto id = own.claim({});
  ASSERT_TRUE(id);
  for (HttpAnswer answer : {HttpAnswer{200, R"({"partial":true})"}, HttpAnswer{200, "x"},
                            HttpAnswer{503, R"({"error":{"code":"a","message":"b"}})"}})
    EXPECT_FALSE(ask_detail(*id, [&](const std::string&) { return answer; })) << answer.body;
  Result<SessionDetail> ended = ask_detail(*id, [](const std::string&) {
    return HttpAnswer{404, "{}"};
  });
  EXPECT_EQ(ended.error().code, Errc::gone);
  shm::SessionView session = *find_session(*guest_, id->hex());
  EXPECT_NE(session_line(session, nullptr).find("\"partial\":true"), std::string::npos);
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
