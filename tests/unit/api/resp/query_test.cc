// RESP commands that ask: sessions, users, channels, counters.

#include "tests/unit/api/resp/harness.h"

namespace holdfast::api {
namespace {

class RespQueries : public RespTest {
 protected:
  // In version 3, where a map is one.
  std::string answer3_of(std::string_view request) {
    RespLine client(context);
    client.say("HELLO 3\r\n");
    return client.say(request);
  }
  static std::string bulk(std::string_view text) {
    return fmt::format("${}\r\n{}\r\n", text.size(), text);
  }
  // The cursor in an answer that has one as its first element.
  static std::string first_bulk(const std::string& answer) {
    size_t size_at = answer.find('$') + 1, begin = answer.find("\r\n", size_at) + 2;
    return answer.substr(begin, std::stoul(answer.substr(size_at)));
  }
  const shm::SessionId id = shm::SessionId::make(7, 3);
};

TEST_F(RespQueries, ChannelsAreThoseThatMatch) {
  answer_with({.names = {{"a1"}, {"a2"}, {"ab"}}});
  EXPECT_EQ(answer_of("PUBSUB CHANNELS a[0-9]\r\n"), "*2\r\n$2\r\na1\r\n$2\r\na2\r\n");
  EXPECT_EQ(router.seen.back().op, Op::list_channels);
  EXPECT_EQ(router.seen.back().page.prefix, "a");
  EXPECT_EQ(router.seen.back().page.limit, 10'000u);
  EXPECT_EQ(answer_of("PUBSUB CHANNELS\r\n"), "*3\r\n$2\r\na1\r\n$2\r\na2\r\n$2\r\nab\r\n");
  EXPECT_EQ(answer_of("PUBSUB CHANNELS " + std::string(256, '*') + "\r\n"),
            "-ERR a pattern has 255 bytes at most\r\n");
}

TEST_F(RespQueries, AListThatIsNotWholeIsAnErrorAndNoShorterList) {
  answer_with({.names = {{"a"}}, .more = true});
  EXPECT_TRUE(
      answer_of("PUBSUB CHANNELS\r\n").starts_with("-ERR there are more than 10000 channels"));
  answer_with({.partial = true, .names = {{"a"}}});
  for (std::string_view request : {"PUBSUB CHANNELS", "PUBSUB NUMSUB a", "HF.CHANNELS", "HF.USERS"})
    EXPECT_EQ(answer_of(line(request)),
              "-ERR the other workers did not answer in time; try again\r\n");
}

TEST_F(RespQueries, NumsubCountsSessionsAndSubscribers) {
  router.hold = true;
  RespLine client(context);
  EXPECT_EQ(client.say("PUBSUB NUMSUB a b '' a\r\n"), "");
  ASSERT_EQ(router.seen.size(), 3u) << "what is no channel has nobody";
  EXPECT_EQ(router.seen[1].op, Op::list_members);
  EXPECT_EQ(router.seen[1].page.limit, 0u);
  for (uint64_t n : {1u, 2u, 3u}) router.release({.members = n, .subscribers = 10});
  EXPECT_EQ(client.take(),
            "*8\r\n$1\r\na\r\n:11\r\n$1\r\nb\r\n:12\r\n$0\r\n\r\n:0\r\n$1\r\na\r\n:13\r\n");
  std::string many = "PUBSUB NUMSUB";
  for (int i = 0; i < 1001; ++i) many += " c";
  EXPECT_EQ(answer_of(line(many)), "-ERR PUBSUB NUMSUB takes 1000 channels at most\r\n");
}

// A class is looked at again for each byte of a name.
TEST_F(RespQueries, APatternMayNotCostMoreThanATurn) {
  answer_with({.names = std::vector<NameCount>(5'000, NameCount{std::string(20, 'n')})});
  std::string pattern = "*[" + std::string(200, 'x') + "]";
  EXPECT_TRUE(
      answer_of(line("PUBSUB CHANNELS " + pattern)).starts_with("-ERR there are more than"));
  EXPECT_EQ(answer_of(line("PUBSUB CHANNELS m*")), "*0\r\n");
}

// Each may ask the other workers a thousand questions.
TEST_F(RespQueries, OneNumsubOfAConnectionIsUnderWayAtATime) {
  router.hold = true;
  RespLine client(context);
  client.say("PUBSUB NUMSUB a b\r\nPUBSUB NUMSUB c\r\n");
  EXPECT_EQ(router.seen.size(), 2u);
  router.release({});
  client.run();
  EXPECT_EQ(router.seen.size(), 2u);
  router.release({});
  client.run();
  EXPECT_EQ(router.seen.size(), 3u);
}

TEST_F(RespQueries, ASubscriberCanBeFound) {
  RespLine client(context);
  client.say("SUBSCRIBE a\r\n");
  EXPECT_EQ(answer_of("PUBLISH a m\r\n"), ":1\r\n");
}

// ---- sessions

class RespSession : public RespQueries {
 protected:
  RespSession() : slab(segment.directory(), 1, 7, segment.stats(1).slab_high_water) {
    session = *slab.claim({.peer_port = 4711});
    slab.set_state(session, shm::SessionState::open);
    slab.set_user(session, "ann");
  }
  shm::Slab slab;
  shm::SessionId session;
};

TEST_F(RespSession, IsAMapOfWhatIsKnown) {
  answer_with({.session = SessionDetail{{"c1", "c2"}, {{"k", "v"}}}});
  std::string fields = bulk("session") + bulk(session.hex()) + bulk("user") + bulk("ann") +
                       bulk("state") + bulk("open") + bulk("worker") + ":1\r\n";
  std::string detail = bulk("channels") + "*2\r\n" + bulk("c1") + bulk("c2") + bulk("data");
  std::string two = answer_of("HF.SESSION " + session.hex() + "\r\n");
  EXPECT_TRUE(two.starts_with("*26\r\n" + fields)) << two;
  EXPECT_TRUE(two.ends_with(detail + "*2\r\n" + bulk("k") + bulk("v"))) << two;
  EXPECT_NE(two.find(bulk("port") + ":4711\r\n"), std::string::npos);
  std::string three = answer3_of("HF.SESSION " + session.hex() + "\r\n");
  EXPECT_TRUE(three.starts_with("%13\r\n" + fields)) << three;
  EXPECT_TRUE(three.ends_with(detail + "%1\r\n" + bulk("k") + bulk("v"))) << three;
  EXPECT_EQ(router.seen.back().op, Op::get_session);
}

TEST_F(RespSession, ThatIsUnknownIsNull) {
  EXPECT_EQ(answer_of("HF.SESSION " + id.hex() + "\r\n"), "$-1\r\n");
  EXPECT_EQ(answer3_of("HF.SESSION " + id.hex() + "\r\n"), "_\r\n");
  EXPECT_TRUE(router.seen.empty());
  answer_with({.unknown = {session}});
  EXPECT_EQ(answer_of("HF.SESSION " + session.hex() + "\r\n"), "$-1\r\n") << "it went meanwhile";
  EXPECT_EQ(answer_of("HF.SESSION x\r\n"),
            "-ERR 'x' is no session id (32 hex digits or 22 base64url digits)\r\n");
}

TEST_F(RespSession, WhoseWorkerIsSilentIsMarked) {
  answer_with({.partial = true});
  std::string answer = answer3_of("HF.SESSION " + session.hex() + "\r\n");
  EXPECT_TRUE(answer.starts_with("%12\r\n")) << answer;
  EXPECT_TRUE(answer.ends_with(bulk("partial") + ":1\r\n")) << answer;
}

TEST_F(RespSession, IsInTheListOfAll) {
  shm::SessionId other = *slab.claim({});
  std::string first = answer_of("HF.SESSIONS COUNT 1\r\n");
  std::string cursor = first_bulk(first);
  EXPECT_EQ(first, "*2\r\n" + bulk(cursor) + "*2\r\n" + bulk(session.hex()) + bulk("ann"));
  EXPECT_EQ(answer_of("HF.SESSIONS CURSOR " + cursor + "\r\n"),
            "*2\r\n$1\r\n0\r\n*2\r\n" + bulk(other.hex()) + bulk(""));
  EXPECT_EQ(answer_of("HF.SESSIONS PREFIX an CURSOR 0\r\n"),
            "*2\r\n$1\r\n0\r\n*2\r\n" + bulk(session.hex()) + bulk("ann"));
}

// ---- users and channels

TEST_F(RespQueries, AUserIsAMapWithItsSessions) {
  answer_with({.listed = {{9, id, "ann"}}, .members = 3, .more = true});
  std::string answer = answer3_of("HF.USER ann COUNT 1\r\n");
  std::string begin = "%5\r\n" + bulk("user") + bulk("ann") + bulk("members") + ":3\r\n" +
                      bulk("online") + ":1\r\n" + bulk("sessions") + "*1\r\n" + bulk(id.hex()) +
                      bulk("cursor");
  ASSERT_TRUE(answer.starts_with(begin)) << answer;
  EXPECT_EQ(router.seen.back().op, Op::list_members);
  EXPECT_EQ(router.seen.back().users, std::vector<std::string>{"ann"});
  EXPECT_EQ(router.seen.back().page.limit, 1u);
  std::string cursor = first_bulk(answer.substr(begin.size()));
  answer_with({.members = 3});
  EXPECT_TRUE(answer_of("HF.USER ann CURSOR " + cursor + "\r\n").ends_with("$1\r\n0\r\n"));
  EXPECT_EQ(router.seen.back().page.position, 9u);
  EXPECT_TRUE(
      answer_of("HF.USER bob CURSOR " + cursor + "\r\n").starts_with("-ERR CURSOR is none"));
}

TEST_F(RespQueries, AChannelIsAMapWithItsSessionsAndTheirUsers) {
  answer_with({.partial = true, .listed = {{9, id, "ann"}}, .members = 1, .subscribers = 2});
  EXPECT_EQ(answer3_of("HF.CHANNEL news\r\n"),
            "%6\r\n" + bulk("channel") + bulk("news") + bulk("members") + ":1\r\n" +
                bulk("subscribers") + ":2\r\n" + bulk("sessions") + "%1\r\n" + bulk(id.hex()) +
                bulk("ann") + bulk("cursor") + bulk("0") + bulk("partial") + ":1\r\n");
  EXPECT_EQ(router.seen.back().channels, std::vector<std::string>{"news"});
}

TEST_F(RespQueries, NamesComeInPages) {
  answer_with({.names = {{"a", 1, 2, 3}, {"b", 4, 5, 6}}, .more = true});
  std::string answer = answer_of("HF.CHANNELS PREFIX r COUNT 2\r\n");
  std::string cursor = first_bulk(answer);
  EXPECT_EQ(answer,
            "*2\r\n" + bulk(cursor) +
                "*2\r\n*4\r\n$1\r\na\r\n:1\r\n:2\r\n:3\r\n*4\r\n$1\r\nb\r\n:4\r\n:5\r\n:6\r\n");
  EXPECT_EQ(router.seen.back().page.prefix, "r");
  EXPECT_EQ(router.seen.back().page.limit, 2u);
  answer_with({.names = {{"c", 1, 0, 3}}});
  EXPECT_EQ(answer_of("HF.CHANNELS cursor " + cursor + " prefix r\r\n"),
            "*2\r\n$1\r\n0\r\n*1\r\n*4\r\n$1\r\nc\r\n:1\r\n:0\r\n:3\r\n");
  EXPECT_EQ(router.seen.back().page.after, "b");
  EXPECT_EQ(answer_of("HF.USERS\r\n"), "*2\r\n$1\r\n0\r\n*1\r\n*3\r\n$1\r\nc\r\n:1\r\n:3\r\n");
  EXPECT_EQ(router.seen.back().op, Op::list_users);
}

TEST_F(RespQueries, BadOptionsAreErrors) {
  const std::pair<std::string, std::string> kCases[] = {
      {"HF.CHANNELS FOO 1",
       "-ERR syntax error: allowed are CURSOR c, COUNT n, PREFIX p, each once"},
      {"HF.CHANNELS COUNT",
       "-ERR syntax error: allowed are CURSOR c, COUNT n, PREFIX p, each once"},
      {"HF.CHANNELS COUNT 1 COUNT 2",
       "-ERR syntax error: allowed are CURSOR c, COUNT n, PREFIX p, each once"},
      {"HF.USER u PREFIX a", "-ERR syntax error: allowed are CURSOR c, COUNT n, each once"},
      {"HF.CHANNELS COUNT 0", "-ERR COUNT must be a whole number from 1 to 10000"},
      {"HF.CHANNELS COUNT x", "-ERR COUNT must be a whole number from 1 to 10000"},
      {"HF.CHANNEL c COUNT 1001", "-ERR COUNT must be a whole number from 0 to 1000"},
      {"HF.USERS PREFIX " + std::string(65, 'p'), "-ERR PREFIX must have at most 64 bytes"},
      {"HF.USERS CURSOR x", "-ERR CURSOR is none that this list has answered"},
      {"HF.USER ''", "-ERR '' is no user (1 to 64 bytes of UTF-8 without control characters)"},
      {"HF.CHANNEL ''",
       "-ERR '' is no channel (1 to 255 bytes of UTF-8 without control characters)"},
  };
  for (const auto& [request, answer] : kCases)
    EXPECT_EQ(answer_of(line(request)), line(answer)) << request;
  EXPECT_TRUE(router.seen.empty());
}

// ---- counters

TEST_F(RespQueries, InfoHasWhatClientsLookAt) {
  segment.stats(0).connections_open.set(2);
  segment.stats(1).connections_open.set(3);
  std::string all = answer_of("INFO\r\n");
  for (std::string_view field :
       {"# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\nholdfast_version:",
        "\r\n\r\n# Clients\r\nconnected_clients:5\r\n", "# Persistence\r\nloading:0\r\n",
        "# Replication\r\nrole:master\r\n", "\r\nsessions.online:0\r\n"})
    EXPECT_NE(all.find(field), std::string::npos) << field;
  EXPECT_EQ(answer_of("INFO replication\r\n"),
            bulk("# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"));
  EXPECT_EQ(answer_of("INFO Persistence replication\r\n"),
            bulk("# Persistence\r\nloading:0\r\n\r\n"
                 "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n"));
  EXPECT_EQ(answer_of("INFO everything\r\n").substr(0, 3), all.substr(0, 3));
  EXPECT_EQ(answer_of("INFO nosuch\r\n"), "$0\r\n\r\n");
  EXPECT_EQ(answer3_of("INFO nosuch\r\n"), "=4\r\ntxt:\r\n");
}

TEST_F(RespQueries, StatsAreTheSumsOverAllWorkers) {
  segment.stats(0).messages_out.set(2);
  segment.stats(1).messages_out.set(3);
  segment.stats(0).backend_request_us.record(100);
  std::string answer = answer3_of("HF.STATS\r\n");
  EXPECT_TRUE(answer.starts_with(fmt::format("%{}\r\n", shm::all_stats().size() + 2))) << answer;
  EXPECT_NE(answer.find(bulk("messages.out") + ":5\r\n"), std::string::npos);
  EXPECT_NE(answer.find(bulk("backend.request_us.count") + ":1\r\n"), std::string::npos);
  EXPECT_NE(answer.find(bulk("backend.request_us.p99") + ":103\r\n"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::api
