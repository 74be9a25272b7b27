#include "worker/api/http/queries.h"

#include "tests/unit/api/api_harness.h"

namespace holdfast::api {
namespace {

using shm::SessionId;
using shm::SessionState;

const SessionId kOne{0x0007000000000001, 0xaaaaaaaaaaaaaaaa};
const SessionId kTwo{0x0007000000010002, 0xbbbbbbbbbbbbbbbb};

using Handler = void (*)(const Exchange&, const http::Request&);
using Call = std::pair<Handler, std::string>;

class HttpQueries : public ApiTest {
 protected:
  HttpQueries() : slab(segment.directory(), 1, 7, segment.stats(1).slab_high_water) {
    config.listens.resize(1);
    config.listens[0].address.text = "127.0.0.1:0";
  }

  HttpAnswer query(Handler handler, const std::string& target) {
    http::Request request{.method = "GET", .target = target};
    size_t before = replies.size();
    handler(Exchange(context, request, Reply(desk, 1, ++asked)), request);
    if (replies.size() != before + 1) {
      ADD_FAILURE() << target << ": " << replies.size() - before << " answers";
      return {};
    }
    return parse_answer(replies.back());
  }
  // Of the last question but that for a channel's stream.
  const Page& page() {
    return std::find_if(router.seen.rbegin(), router.seen.rend(),
                        [](const Command& c) { return c.op != Op::history; })
        ->page;
  }

  // "" where there is none.
  static std::string cursor_in(const HttpAnswer& answer) {
    constexpr std::string_view kKey = R"("cursor":")";
    size_t at = answer.body.find(kKey);
    if (at == std::string::npos) return {};
    at += kKey.size();
    return answer.body.substr(at, answer.body.find('"', at) - at);
  }
  SessionId open(const std::string& user) {
    SessionId id = *slab.claim({});
    slab.set_state(id, SessionState::open);
    slab.set_user(id, user);
    return id;
  }

  shm::Slab slab;
};

// ---- /v1/users, /v1/channels

TEST_F(HttpQueries, ListNamesWithTheirCounts) {
  router.next_result.names = {{"a", 1, 0, 3}, {"room\"2", 0, 5, 0}};
  EXPECT_EQ(query(get_channels, "/v1/channels").body,
            R"({"channels":[{"name":"a","members":1,"subscribers":0,"published":3},)"
            R"({"name":"room\"2","members":0,"subscribers":5,"published":0}],"more":false})");
  EXPECT_EQ(router.seen.back().op, Op::list_channels);
  EXPECT_EQ(page().limit, 1000u);
  EXPECT_EQ(query(get_users, "/v1/users").body,
            R"({"users":[{"name":"a","members":1,"subscribers":0,"published":3},)"
            R"({"name":"room\"2","members":0,"subscribers":5,"published":0}],"more":false})");
  EXPECT_EQ(router.seen.back().op, Op::list_users);
  EXPECT_EQ(page().limit, 1000u);
}

TEST_F(HttpQueries, AskForNamesByPrefixAndLimit) {
  query(get_channels, "/v1/channels?prefix=room+%C3%A4&limit=10000");
  EXPECT_EQ(page().prefix, "room ä");
  EXPECT_EQ(page().limit, 10'000u);
  EXPECT_EQ(page().after, "");
  query(get_users, "/v1/users?limit=1&prefix=");
  EXPECT_EQ(page().prefix, "");
  EXPECT_EQ(page().limit, 1u);
}

TEST_F(HttpQueries, GoOnWithNamesBehindTheLastOfThePage) {
  for (const auto& [handler, path] : {Call{get_channels, "/v1/channels?limit=2&prefix=r"},
                                      Call{get_users, "/v1/users?limit=2&prefix=r"}}) {
    router.next_result = {.names = {{"ra", 1, 0, 0}, {"rb", 1, 0, 0}}, .more = true};
    HttpAnswer answer = query(handler, path);
    EXPECT_NE(answer.body.find(R"("more":true,"cursor":")"), std::string::npos) << answer.body;
    router.next_result = {.names = {{"rc", 1, 0, 0}}};
    answer = query(handler, path + ("&cursor=" + cursor_in(answer)));
    EXPECT_EQ(page().after, "rb");
    EXPECT_EQ(page().prefix, "r");
    EXPECT_EQ(cursor_in(answer), "");
  }
}

TEST_F(HttpQueries, SayWhenAListLacksAWorker) {
  router.next_result = {.workers_failed = 1, .partial = true};
  EXPECT_EQ(query(get_channels, "/v1/channels").body,
            R"({"channels":[],"more":false,"workers_failed":1,"partial":true})");
  EXPECT_EQ(query(get_users, "/v1/users").status, 200);
  EXPECT_EQ(
      query(get_user, "/v1/users/u").body,
      R"({"user":"u","online":false,"members":0,"sessions":[],"workers_failed":1,"partial":true})");
}

// ---- /v1/users/ID, /v1/channels/NAME

TEST_F(HttpQueries, ListTheSessionsOfAUser) {
  router.next_result = {.listed = {{9, kOne, "42"}, {7, kTwo, "42"}}, .members = 2};
  EXPECT_EQ(query(get_user, "/v1/users/42").body,
            R"({"user":"42","online":true,"members":2,"sessions":[{"session":")" + kOne.hex() +
                R"(","user":"42"},{"session":")" + kTwo.hex() + R"(","user":"42"}]})");
  EXPECT_EQ(router.seen.back().op, Op::list_members);
  EXPECT_EQ(router.seen.back().users, (std::vector<std::string>{"42"}));
  EXPECT_TRUE(router.seen.back().channels.empty());
  EXPECT_EQ(page().limit, 100u);
  EXPECT_EQ(page().position, 0u);
}

TEST_F(HttpQueries, ListTheMembersOfAChannel) {
  router.next_result = {.listed = {{9, kOne, ""}}, .members = 1, .subscribers = 3};
  EXPECT_EQ(query(get_channel, "/v1/channels/room1").body,
            R"({"channel":"room1","members":1,"subscribers":3,"sessions":[{"session":")" +
                kOne.hex() + R"(","user":""}]})");
  EXPECT_EQ(router.seen.back().channels, (std::vector<std::string>{"room1"}));
  EXPECT_TRUE(router.seen.back().users.empty());
}

TEST_F(HttpQueries, OfSomebodyWhoIsNotThereAreNoError) {
  EXPECT_EQ(query(get_user, "/v1/users/nobody").body,
            R"({"user":"nobody","online":false,"members":0,"sessions":[]})");
  EXPECT_EQ(query(get_channel, "/v1/channels/none").body,
            R"({"channel":"none","members":0,"subscribers":0,"sessions":[]})");
}

TEST_F(HttpQueries, TakeTheNameOutOfThePath) {
  const std::pair<const char*, const char*> names[] = {{"a+b", "a+b"},
                                                       {"a%20b", "a b"},
                                                       {"%C3%A4%2Fb", "ä/b"},
                                                       {"a%2Bb%25", "a+b%"},
                                                       {"x?limit=5", "x"}};
  for (const auto& [written, name] : names) {
    query(get_channel, std::string("/v1/channels/") + written);
    EXPECT_EQ(router.seen.back().channels, (std::vector<std::string>{name})) << written;
    query(get_user, std::string("/v1/users/") + written);
    EXPECT_EQ(router.seen.back().users, (std::vector<std::string>{name})) << written;
  }
  query(get_channel, "http://host/v1/channels/abs");
  EXPECT_EQ(router.seen.back().channels, (std::vector<std::string>{"abs"}));
}

TEST_F(HttpQueries, GoOnWithMembersBehindTheLastOfThePage) {
  for (const auto& [handler, path] :
       {Call{get_channel, "/v1/channels/a?limit=1"}, Call{get_user, "/v1/users/a?limit=1"}}) {
    router.next_result = {
        .listed = {{uint64_t{3} << 32 | 17, kOne, "a"}}, .members = 2, .more = true};
    HttpAnswer answer = query(handler, path);
    EXPECT_EQ(page().position, 0u);
    router.next_result = {.listed = {{5, kTwo, "a"}}, .members = 2};
    answer = query(handler, path + ("&cursor=" + cursor_in(answer)));
    EXPECT_EQ(page().position, uint64_t{3} << 32 | 17);
    EXPECT_EQ(page().limit, 1u);
    EXPECT_EQ(cursor_in(answer), "");
  }
}

TEST_F(HttpQueries, OfNoMembersAreTheCountOnly) {
  router.next_result = {.members = 5};
  EXPECT_EQ(query(get_user, "/v1/users/42?limit=0").body,
            R"({"user":"42","online":true,"members":5,"sessions":[]})");
  EXPECT_EQ(page().limit, 0u);
}

// ---- /v1/sessions/ID

TEST_F(HttpQueries, TellWhatIsKnownOfASession) {
  SessionId id = open("ann");
  slab.set_counts(id, 1, 2, 3);
  router.next_result.session = SessionDetail{{"a", "b"}, {{"lang", "de"}, {"plan", "g\"old"}}};
  HttpAnswer answer = query(get_session, "/v1/sessions/" + id.hex());
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.starts_with(R"({"session":")" + id.hex() +
                                      R"(","user":"ann","state":"open","worker":1,)"
                                      R"("listener":"127.0.0.1:0","peer":"unix","port":0,)"))
      << answer.body;
  EXPECT_TRUE(answer.body.ends_with(R"("messages_in":1,"messages_out":2,"unsent_bytes":3,)"
                                    R"("channels":["a","b"],)"
                                    R"("data":{"lang":"de","plan":"g\"old"}})"))
      << answer.body;
  EXPECT_EQ(router.seen.back().op, Op::get_session);
  EXPECT_EQ(router.seen.back().sessions, std::vector{id});
  EXPECT_EQ(query(get_session, "/v1/sessions/" + id.base64url()).status, 200);
}

TEST_F(HttpQueries, TellThatAWorkerDidNotAnswerForItsSession) {
  SessionId id = open("");
  CommandResult busy{.failed = {id}, .workers_failed = 1}, late{.partial = true};
  for (const CommandResult& result : {busy, late}) {
    router.next_result = result;
    HttpAnswer answer = query(get_session, "/v1/sessions/" + id.hex());
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body.ends_with(R"("unsent_bytes":0,"partial":true})")) << answer.body;
  }
}

TEST_F(HttpQueries, RefuseASessionThatIsNotThere) {
  SessionId id = open(""), closing = open("");
  slab.set_state(closing, SessionState::closing);
  SessionId other = id;
  other.lo ^= 1;
  for (const SessionId& unknown :
       {closing, other, SessionId{0x0007000000ff0000, 1}, SessionId{0x0007ffffffff0000, 1}}) {
    HttpAnswer answer = query(get_session, "/v1/sessions/" + unknown.hex());
    EXPECT_EQ(answer.status, 404) << unknown.hex();
    EXPECT_EQ(error_code(answer), "unknown_session");
  }
  EXPECT_TRUE(router.seen.empty());
  // It went between our look and its worker's.
  router.next_result.unknown = {id};
  EXPECT_EQ(query(get_session, "/v1/sessions/" + id.hex()).status, 404);
}

// ---- /v1/sessions

TEST_F(HttpQueries, ListSessionsPageByPage) {
  SessionId a = open("ann"), b = open("bob"), c = open("anton");
  HttpAnswer answer = query(get_sessions, "/v1/sessions");
  for (const SessionId& id : {a, b, c})
    EXPECT_NE(answer.body.find(R"({"session":")" + id.hex()), std::string::npos) << answer.body;
  EXPECT_EQ(cursor_in(answer), "");
  answer = query(get_sessions, "/v1/sessions?prefix=an&limit=1");
  EXPECT_NE(answer.body.find(a.hex()), std::string::npos);
  EXPECT_EQ(answer.body.find(c.hex()), std::string::npos);
  ASSERT_NE(cursor_in(answer), "");
  answer = query(get_sessions, "/v1/sessions?cursor=" + cursor_in(answer) + "&prefix=an&limit=1");
  EXPECT_EQ(answer.body.find(b.hex()), std::string::npos);
  EXPECT_NE(answer.body.find(c.hex()), std::string::npos);
  EXPECT_EQ(cursor_in(answer), "");
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(HttpQueries, OfAnEmptyInstanceListNothing) {
  EXPECT_EQ(query(get_sessions, "/v1/sessions").body, R"({"sessions":[]})");
}

// ---- What is refused

struct BadQuery {
  const char* what;
  Handler handler;
  std::string target;
};

class BadQueries : public HttpQueries, public testing::WithParamInterface<BadQuery> {};

TEST_P(BadQueries, AreRefusedAndReachNobody) {
  HttpAnswer answer = query(GetParam().handler, GetParam().target);
  EXPECT_EQ(answer.status, 400) << GetParam().target;
  EXPECT_EQ(error_code(answer), "bad_request");
  EXPECT_TRUE(router.seen.empty());
}

std::vector<BadQuery> bad_queries() {
  std::vector<BadQuery> all;
  auto add = [&](const char* what, Handler handler, const std::string& path,
                 std::initializer_list<const char*> queries) {
    for (const char* query : queries) all.push_back({what, handler, path + query});
  };
  const auto kAnywhere = {"?x=1",
                          "?limit=-1",
                          "?limit=1x",
                          "?limit=",
                          "?limit",
                          "?limit= 1",
                          "?limit=+1",
                          "?limit=1&limit=2",
                          "?limit=1&&",
                          "?limit=%zz",
                          "?cursor=",
                          "?cursor=x",
                          "?cursor=AAAAAAAAAAAAAAAAAAAAAA",
                          "?cursor=x&cursor=x",
                          "?prefix=%ff",
                          "?limit=99999999999999999999",
                          "?limit=4294967297"};
  const std::tuple<const char*, Handler, const char*> lists[] = {
      {"sessions", get_sessions, "/v1/sessions"}, {"users", get_users, "/v1/users"},
      {"channels", get_channels, "/v1/channels"}, {"user", get_user, "/v1/users/u"},
      {"channel", get_channel, "/v1/channels/c"},
  };
  for (const auto& [what, handler, path] : lists) add(what, handler, path, kAnywhere);
  add("sessions", get_sessions, "/v1/sessions", {"?limit=0", "?limit=1001"});
  add("users", get_users, "/v1/users", {"?limit=0", "?limit=10001"});
  add("channels", get_channels, "/v1/channels", {"?limit=0", "?limit=10001"});
  add("user", get_user, "/v1/users/u", {"?limit=1001", "?prefix=a", "?prefix="});
  add("channel", get_channel, "/v1/channels/c", {"?limit=1001", "?prefix=a", "?prefix="});
  add("session", get_session, "/v1/sessions/", {"", "x", "%zz", "0007000000000001aaaaaaaaaaaaaaa"});
  add("user", get_user, "/v1/users/", {"", "%", "%0a", "%ff", "a%7f"});
  add("channel", get_channel, "/v1/channels/", {"", "%2", "%00", "%ff", "a%0d"});
  all.push_back({"user", get_user, "/v1/users/" + std::string(65, 'u')});
  all.push_back({"channel", get_channel, "/v1/channels/" + std::string(256, 'c')});
  all.push_back({"sessions", get_sessions, "/v1/sessions?prefix=" + std::string(65, 'u')});
  all.push_back({"users", get_users, "/v1/users?prefix=" + std::string(65, 'u')});
  all.push_back({"channels", get_channels, "/v1/channels?prefix=" + std::string(256, 'c')});
  return all;
}
INSTANTIATE_TEST_SUITE_P(Table, BadQueries, testing::ValuesIn(bad_queries()));

// A cursor belongs to one list: another prefix, another name, another kind would misread it.
TEST_F(HttpQueries, RefuseACursorOfAnotherList) {
  router.next_result = {.names = {{"ra", 1, 0, 0}}, .listed = {{5, kOne, "a"}}, .more = true};
  std::string of_names = cursor_in(query(get_channels, "/v1/channels?prefix=r"));
  std::string of_members = cursor_in(query(get_channel, "/v1/channels/a"));
  ASSERT_NE(of_names, "");
  ASSERT_NE(of_members, "");
  EXPECT_EQ(query(get_channels, "/v1/channels?cursor=" + of_names).status, 400);
  EXPECT_EQ(query(get_channels, "/v1/channels?prefix=ra&cursor=" + of_names).status, 400);
  EXPECT_EQ(query(get_users, "/v1/users?prefix=r&cursor=" + of_names).status, 400);
  EXPECT_EQ(query(get_sessions, "/v1/sessions?prefix=r&cursor=" + of_names).status, 400);
  EXPECT_EQ(query(get_channel, "/v1/channels/b?cursor=" + of_members).status, 400);
  EXPECT_EQ(query(get_user, "/v1/users/a?cursor=" + of_members).status, 400);
  EXPECT_EQ(query(get_channel, "/v1/channels/a?cursor=" + of_members).status, 200);
}

}  // namespace
}  // namespace holdfast::api
