#include "worker/api/http/json_command.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <random>

namespace holdfast::api {
namespace {

constexpr size_t kMaxMessage = 1000;
const std::string kA = "0001000000070001aaaaaaaaaaaaaaaa";
const std::string kB = "0001000000080002bbbbbbbbbbbbbbbb";

std::string list_of(size_t count, const std::string& item) {
  std::string list;
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "\"" : ",\"") + item + "\"";
  return "[" + list + "]";
}

Asked asked(std::string_view call, std::string_view body) {
  ParsedCommand parsed = parse_command(*op_named(call), body, kMaxMessage);
  if (auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << call << " " << body.substr(0, 200) << ": " << error->message;
    return {};
  }
  return std::get<Asked>(parsed);
}

Command good(std::string_view call, std::string_view body) {
  return asked(call, body).command;
}

std::string data_of(std::string_view data_json) {
  return good("send-all", fmt::format("{{\"data\":{}}}", data_json)).data;
}

TEST(CommandFromJson, SendNamesSessionsInEitherForm) {
  shm::SessionId a = *shm::SessionId::parse(kA);
  Command c = good(
      "send", fmt::format(R"( {{ "sessions": ["{}", "{}"], "data": "hi" }} )", kA, a.base64url()));
  EXPECT_EQ(c.op, Op::send);
  EXPECT_EQ(c.sessions, (std::vector{a, a}));
  EXPECT_EQ(c.data, "hi");
  EXPECT_FALSE(c.binary);
}

TEST(CommandFromJson, SendUserAndSendAllAndPublishMayExclude) {
  std::vector<shm::SessionId> a = {*shm::SessionId::parse(kA)};
  Command c =
      good("send-user", fmt::format(R"({{"users":["u","ü"],"exclude":["{}"],"data":""}})", kA));
  EXPECT_EQ(c.op, Op::send_user);
  EXPECT_EQ(c.users, (std::vector<std::string>{"u", "ü"}));
  EXPECT_EQ(c.exclude, a);
  EXPECT_EQ(c.data, "");
  c = good("send-all", fmt::format(R"({{"data":"x","exclude":["{}"]}})", kA));
  EXPECT_EQ(c.op, Op::send_all);
  EXPECT_EQ(c.exclude, a);
  c = good("publish", R"({"channels":["a","b c"],"data":"x","exclude":[]})");
  EXPECT_EQ(c.op, Op::publish);
  EXPECT_EQ(c.channels, (std::vector<std::string>{"a", "b c"}));
  EXPECT_TRUE(c.exclude.empty());
}

TEST(CommandFromJson, JoinAndLeaveTakeSessionsOrUsers) {
  Command c = good("join", fmt::format(R"({{"sessions":["{}","{}"],"channels":["a"]}})", kA, kB));
  EXPECT_EQ(c.op, Op::join);
  EXPECT_EQ(c.sessions.size(), 2u);
  EXPECT_EQ(c.channels, (std::vector<std::string>{"a"}));
  c = good("leave", R"({"users":["u"],"channels":["a","b"]})");
  EXPECT_EQ(c.op, Op::leave);
  EXPECT_EQ(c.users, (std::vector<std::string>{"u"}));
}

TEST(CommandFromJson, BindAndUnbindNameOneSession) {
  Command c = good("bind", fmt::format(R"({{"session":"{}","user":"42"}})", kB));
  EXPECT_EQ(c.op, Op::bind);
  EXPECT_EQ(c.sessions, std::vector{*shm::SessionId::parse(kB)});
  EXPECT_EQ(c.users, (std::vector<std::string>{"42"}));
  c = good("unbind", fmt::format(R"({{"session":"{}"}})", kB));
  EXPECT_EQ(c.op, Op::unbind);
  EXPECT_TRUE(c.users.empty());
  EXPECT_EQ(good("unbind", fmt::format(R"({{"session":"{}","user":"42"}})", kB)).users,
            (std::vector<std::string>{"42"}));
}

TEST(CommandFromJson, KickHasACodeOfItsOwnAndTakesReasons) {
  Command c = good("kick", R"({"channels":["a"]})");
  EXPECT_EQ(c.op, Op::kick);
  EXPECT_EQ(c.code, kDefaultKickCode);
  EXPECT_EQ(c.reason, "");
  for (int code : {1000, 3000, 4999})
    EXPECT_EQ(good("kick", fmt::format(R"({{"users":["u"],"code":{}}})", code)).code, code);
  std::string longest(123, 'r');
  EXPECT_EQ(good("kick", fmt::format(R"({{"users":["u"],"reason":"{}"}})", longest)).reason,
            longest);
}

TEST(CommandFromJson, ExcludeGoesWithUsersAndChannelsOfChangesToo) {
  std::vector<shm::SessionId> a = {*shm::SessionId::parse(kA)};
  std::string exclude = fmt::format(R"("exclude":["{}"])", kA);
  for (const char* call : {"join", "leave"})
    EXPECT_EQ(good(call, R"({"users":["u"],"channels":["c"],)" + exclude + "}").exclude, a) << call;
  EXPECT_EQ(good("kick", R"({"users":["u"],)" + exclude + "}").exclude, a);
  EXPECT_EQ(good("kick", R"({"channels":["c"],)" + exclude + "}").exclude, a);
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

Command data_call(const std::string& how) {
  return good("data", fmt::format(R"({{"session":"{}",{}}})", kA, how));
}

TEST(CommandFromJson, DataIsSetOrMerged) {
  Command c = data_call(R"("set":{"b":"2","a":"ü\n","e":""})");
  EXPECT_EQ(c.op, Op::data);
  EXPECT_EQ(c.sessions, std::vector{*shm::SessionId::parse(kA)});
  EXPECT_FALSE(c.merge);
  EXPECT_EQ(c.pairs, (Pairs{{"b", "2"}, {"a", "ü\n"}, {"e", ""}}));
  c = data_call(R"("merge":{"\u0061":"1","gone":null,"too":""})");
  EXPECT_TRUE(c.merge);
  EXPECT_EQ(c.pairs, (Pairs{{"a", "1"}, {"gone", ""}, {"too", ""}}));
  EXPECT_TRUE(data_call(R"("set":{})").pairs.empty());
  EXPECT_TRUE(data_call(R"("merge":{})").pairs.empty());
}

TEST(CommandFromJson, DataMayFillASessionExactlyAndTakeAnyKeyAway) {
  EXPECT_EQ(data_call(fmt::format(R"("set":{{"key":"{}"}})", std::string(4093, 'v'))).pairs.size(),
            1u);
  std::string pairs;
  for (int i = 0; i < 1000; ++i) pairs += fmt::format(R"("{:0>20}":null,)", i);
  pairs.back() = '}';
  EXPECT_EQ(data_call(R"("merge":{)" + pairs).pairs.size(), 1000u);
}

TEST(CommandFromJson, EveryCallMayHaveAnIdOfItsOwn) {
  const std::pair<const char*, std::string> calls[] = {
      {"send", fmt::format(R"("sessions":["{}"],"data":"x")", kA)},
      {"send-user", R"("users":["u"],"data":"x")"},
      {"send-all", R"("data":"x")"},
      {"publish", R"("channels":["c"],"data":"x")"},
      {"join", R"("users":["u"],"channels":["c"])"},
      {"leave", R"("users":["u"],"channels":["c"])"},
      {"bind", fmt::format(R"("session":"{}","user":"u")", kA)},
      {"unbind", fmt::format(R"("session":"{}")", kA)},
      {"data", fmt::format(R"("session":"{}","set":{{}})", kA)},
      {"kick", R"("users":["u"])"},
  };
  for (const auto& [call, members] : calls) {
    EXPECT_EQ(asked(call, "{" + members + "}").id, "") << call;
    EXPECT_EQ(asked(call, "{" + members + R"(,"id":"order-\u00e9 1"})").id, "order-é 1") << call;
  }
  std::string longest(255, 'i');
  EXPECT_EQ(asked("send-all", fmt::format(R"({{"id":"{}","data":"x"}})", longest)).id, longest);
}

TEST(CommandFromJson, TakesExactlyTheLargestLists) {
  EXPECT_EQ(good("send", fmt::format(R"({{"sessions":{},"data":"x"}})", list_of(10'000, kA)))
                .sessions.size(),
            10'000u);
  EXPECT_EQ(good("publish", fmt::format(R"({{"channels":{},"data":"x"}})", list_of(1'000, "c")))
                .channels.size(),
            1'000u);
  std::string largest(kMaxMessage, 'x');
  EXPECT_EQ(data_of("\"" + largest + "\""), largest);
}

TEST(Payload, StringGoesOutUnescaped) {
  EXPECT_EQ(data_of(R"("a\"b\\\n\u00e9\ud83d\ude00")"), "a\"b\\\né😀");
  EXPECT_EQ(data_of(R"("a\u0000b")"), std::string("a\0b", 3));
}

TEST(Payload, OtherJsonGoesOutByteForByte) {
  for (const char* text :
       {"null", "true", "false", "0", "-1.50e+3", "[]", "{}", "[ 1 , 2 ]",
        "{ \"b\" : 1 ,\n\t\"a\":2 }", R"({"a":"\u00e9\/","a":[{"data":"inner"},"}","]\""]})",
        R"(["ü", "\ud83d\ude00"])"}) {
    EXPECT_EQ(data_of(text), text);
    EXPECT_EQ(data_of(std::string(" \n") + text + " \t\r\n"), text);
    Command c =
        good("send-all", fmt::format("{{\"binary\":true,\"data\":{} , \"exclude\":[]}}", text));
    EXPECT_EQ(c.data, text);
    EXPECT_TRUE(c.binary);
  }
}

TEST(Payload, IsTakenOutOfTheMiddleOfTheBody) {
  for (const char* text : {"-0", "1e5", "18446744073709551615", "\"\"", "[[[]],{}]", "null"}) {
    Command c =
        good("send-all", fmt::format(R"({{"binary":true , "data" :{} ,"exclude":[]}})", text));
    EXPECT_EQ(c.data, text == std::string("\"\"") ? "" : text);
    EXPECT_TRUE(c.binary);
  }
}

TEST(Payload, MayBeNestedDeeply) {
  std::string deep = std::string(1000, '[') + std::string(1000, ']');
  ParsedCommand parsed = parse_command(Op::send_all, "{\"data\":" + deep + "}", 10'000);
  ASSERT_TRUE(std::holds_alternative<Asked>(parsed)) << std::get<ApiError>(parsed).message;
  EXPECT_EQ(std::get<Asked>(parsed).command.data, deep);
}

TEST(Payload, IsFoundUnderAnEscapedKey) {
  EXPECT_EQ(good("send-all", R"({"d\u0061ta" : [1, 2]})").data, "[1, 2]");
}

TEST(Payload, Base64IsAnyBytesWhereBinaryIsSet) {
  Command c = good("send-all", R"({"data_base64":"AP/+gA==","binary":true})");
  EXPECT_EQ(c.data, std::string("\x00\xff\xfe\x80", 4));
  EXPECT_TRUE(c.binary);
  EXPECT_EQ(good("send-all", R"({"data_base64":""})").data, "");
  EXPECT_EQ(good("send-all", R"({"data_base64":"eA=="})").data, "x");
  EXPECT_EQ(good("send-all", R"({"data_base64":"eHk="})").data, "xy");
  EXPECT_EQ(good("send-all", R"({"data_base64":"w7x6"})").data, "üz");
}

std::vector<ParsedCommand> batch_of(std::string_view body) {
  ParsedBatch parsed = parse_batch(body, kMaxMessage);
  if (auto* error = std::get_if<ApiError>(&parsed)) {
    ADD_FAILURE() << error->message;
    return {};
  }
  return std::get<std::vector<ParsedCommand>>(std::move(parsed));
}

TEST(Batch, GivesEveryItemInOrderWithItsOwnError) {
  auto items = batch_of(R"({"commands":[
      {"op":"send-all","data":{"n": 1}},
      7,
      {"data":"no op"},
      {"op":"batch","commands":[]},
      {"op":"publish","data":[2],"channels":["c"]},
      {"op":"send-all","op":"publish","data":"x"},
      {"data":" three ","op":"send-all"},
      {"op":"send-all","data":"x","sessions":[]},
      {"op":"send-all","data":null},
      {"data":{"op":"kick"},"id":"tenth","op":"send-all"},
      {"op":{"op":"send-all"},"data":"x"},
      {"op":"send-al","data":"x"},
      {"op":"send-all ","data":"x"}]})");
  ASSERT_EQ(items.size(), 13u);
  EXPECT_EQ(std::get<Asked>(items[0]).command.data, R"({"n": 1})");
  EXPECT_EQ(std::get<Asked>(items[4]).command.data, "[2]");
  EXPECT_EQ(std::get<Asked>(items[4]).command.op, Op::publish);
  EXPECT_EQ(std::get<Asked>(items[6]).command.data, " three ");
  EXPECT_EQ(std::get<Asked>(items[8]).command.data, "null");
  EXPECT_EQ(std::get<Asked>(items[8]).id, "");
  EXPECT_EQ(std::get<Asked>(items[9]).command.data, R"({"op":"kick"})");
  EXPECT_EQ(std::get<Asked>(items[9]).id, "tenth");
  for (size_t wrong : {1, 2, 3, 5, 7, 10, 11, 12}) {
    ASSERT_TRUE(std::holds_alternative<ApiError>(items[wrong])) << wrong;
    EXPECT_EQ(std::get<ApiError>(items[wrong]).status, 400) << wrong;
  }
  EXPECT_NE(std::get<ApiError>(items[7]).message.find("\"sessions\""), std::string::npos);
}

TEST(Batch, ItemTooLargeIs413ForThatItem) {
  auto items = batch_of(fmt::format(
      R"({{"commands":[{{"op":"send-all","data":"{}"}},{{"op":"send-all","data":"y"}}]}})",
      std::string(kMaxMessage + 1, 'x')));
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(std::get<ApiError>(items[0]).status, 413);
  EXPECT_EQ(std::get<Asked>(items[1]).command.data, "y");
}

std::string repeated_items(size_t count) {
  std::string body = R"({"commands":[)";
  for (size_t i = 0; i < count; ++i)
    body += fmt::format(R"({}{{"op":"send-all","data":[{}]}})", i == 0 ? "" : ",", i);
  return body + "]}";
}

TEST(Batch, TakesAThousandCommandsAndNotOneMore) {
  auto items = batch_of(repeated_items(1'000));
  ASSERT_EQ(items.size(), 1'000u);
  EXPECT_EQ(std::get<Asked>(items[999]).command.data, "[999]");
  EXPECT_TRUE(std::holds_alternative<ApiError>(parse_batch(repeated_items(1'001), kMaxMessage)));
}

TEST(Batch, BadEnvelopeIsRefusedAsAWhole) {
  struct Case {
    const char* body;
    const char* code;
    const char* says;
  };
  const Case cases[] = {
      {"", "bad_json", "empty"},
      {"[]", "bad_json", "must be a JSON object"},
      {R"({"commands":[{"op":"send-all","data":"x"})", "bad_json", "not JSON"},
      {R"({"commands":[{"op":"send-all","data":"x"},{"op":"send-all","data":"\x"}]})", "bad_json",
       "not JSON"},
      // Behind an item with an error of its own.
      {R"({"commands":[{"op":"x"},{"op":"send-all","data":"\x"}]})", "bad_json", "not JSON"},
      {R"({"commands":[{"op":"send-all","colour":[tru],"data":"x"}]})", "bad_json", "not JSON"},
      {R"({"commands":[{"op":"send-all","data":"x"}]} {})", "bad_json", "not JSON"},
      {R"({"commands":[7 8]})", "bad_json", "not JSON"},
      {"{}", "bad_request", "commands: must be an array of 1 to 1000"},
      {R"({"commands":[]})", "bad_request", "commands: must be"},
      {R"({"commands":{}})", "bad_request", "commands: must be"},
      {R"({"commands":null})", "bad_request", "commands: must be"},
      {R"({"commands":[{"op":"send-all","data":"x"}],"mode":1})", "bad_request",
       "unknown key \"mode\""},
      {R"({"commands":[1],"commands":[1]})", "bad_request", "given twice"},
  };
  for (const Case& c : cases) {
    ParsedBatch parsed = parse_batch(c.body, kMaxMessage);
    ASSERT_TRUE(std::holds_alternative<ApiError>(parsed)) << c.body;
    EXPECT_EQ(std::get<ApiError>(parsed).status, 400);
    EXPECT_EQ(std::get<ApiError>(parsed).code, c.code) << c.body;
    EXPECT_NE(std::get<ApiError>(parsed).message.find(c.says), std::string::npos) << c.body;
  }
}

// What is accepted keeps the promises the router relies on, whatever the bytes were.
TEST(CommandFromJson, FromDamagedBytesIsAnErrorOrAValidCommand) {
  const std::string bodies[] = {
      fmt::format(R"({{"sessions":["{}","{}"],"data":{{"a":[1,"\u00e9"]}},"binary":false}})", kA,
                  kB),
      R"({"sessions":[],"data_base64":"w7x6/w==","binary":true})",
      R"({"channels":["a","b"],"users":["u"],"code":4000,"reason":"r","id":"i"})",
      R"({"channels":["a","b"],"users":["u"],"exclude":[]})",
      R"({"channels":["a"],"code":4000,"reason":"r\n","id":"i"})",
      R"({"channels":["a"],"data":[1.5,-7,{"k":"\u00e9"},null,true]})",
      fmt::format(R"({{"session":"{}","merge":{{"a":"\u00e9","b":null}}}})", kA),
  };
  simdjson::dom::parser strict;
  std::mt19937 random(4711);
  size_t accepted = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string body = bodies[random() % std::size(bodies)];
    for (auto changes = random() % 3; changes > 0; --changes)
      body[random() % body.size()] = char(random());
    Op op = Op(1 + random() % unsigned(Op::kick));
    ParsedCommand parsed = parse_command(op, body, kMaxMessage);
    auto* asked = std::get_if<Asked>(&parsed);
    if (asked == nullptr) continue;
    const Command* command = &asked->command;
    EXPECT_EQ(strict.parse(body).error(), simdjson::SUCCESS) << body;
    ++accepted;
    EXPECT_TRUE(command->binary || simdjson::validate_utf8(command->data)) << body;
    for (const std::string& channel : command->channels) EXPECT_TRUE(valid_channel(channel));
    for (const std::string& user : command->users) EXPECT_TRUE(valid_user(user));
  }
  EXPECT_GT(accepted, 0u);
}

}  // namespace
}  // namespace holdfast::api
