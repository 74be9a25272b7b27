// What must be refused, call by call: body, status, code and a part of the message.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "worker/api/http/json_command.h"

namespace holdfast::api {
namespace {

constexpr size_t kMaxMessage = 1000;
const std::string kA = "0001000000070001aaaaaaaaaaaaaaaa";

std::string list_of(size_t count, const std::string& item) {
  std::string list;
  for (size_t i = 0; i < count; ++i) list += (i == 0 ? "\"" : ",\"") + item + "\"";
  return "[" + list + "]";
}

ApiError bad(std::string_view call, std::string_view body) {
  ParsedCommand parsed = parse_command(*op_named(call), body, kMaxMessage);
  if (auto* error = std::get_if<ApiError>(&parsed)) return *error;
  ADD_FAILURE() << call << " " << body.substr(0, 200) << " was accepted";
  return {0, "", ""};
}

struct BadBody {
  const char* call;
  std::string body;
  int status;
  const char* code;
  std::string says;  // part of the message
};

void PrintTo(const BadBody& c, std::ostream* out) {
  *out << c.call << " " << c.body.substr(0, 200);
}

class BadBodies : public testing::TestWithParam<BadBody> {};

TEST_P(BadBodies, IsRefusedWithAWordOnWhatIsWrong) {
  const BadBody& c = GetParam();
  ApiError error = bad(c.call, c.body);
  EXPECT_EQ(error.status, c.status) << c.body.substr(0, 200);
  EXPECT_EQ(error.code, c.code) << c.body.substr(0, 200);
  EXPECT_NE(error.message.find(c.says), std::string::npos) << error.message;
}

const BadBody kNoJson[] = {
    {"send", "", 400, "bad_json", "empty"},
    {"send", "   ", 400, "bad_json", "not JSON"},
    {"send", "{", 400, "bad_json", "not JSON"},
    {"send", "[]", 400, "bad_json", "must be a JSON object"},
    {"send", "\"x\"", 400, "bad_json", "must be a JSON object"},
    {"send-all", R"({"data":"x"} x)", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"x"}{"data":"y"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"x",})", 400, "bad_json", "not JSON"},
    {"send-all", R"({'data':'x'})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":tru})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":{"a":[1,2,}})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":{"a":01}})", 400, "bad_json", "not JSON"},
    {"send-all", "{\"data\":\"a\nb\"}", 400, "bad_json", "not JSON"},
    {"send-all", "{\"data\":\"\xff\"}", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\x"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\ud800"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\udc00"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\ude00\ud83d"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\ud83d\u0041"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\ud83dx"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":["\udc00"],"binary":true})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"\u00g0"})", 400, "bad_json", "not JSON"},
    {"publish", R"({"channels":["\udc00"],"data":"x"})", 400, "bad_json", "not JSON"},
    {"kick", R"({"users":["u"],"reason":"\udc00"})", 400, "bad_json", "not JSON"},
    // What is wrong with a key must not hide that there is no JSON behind it.
    {"send-all", R"({"colour":1,"data":tru})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"colour":"\x"})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"x"]})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":"x","binary":true)", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":12345678901234567890123})", 400, "bad_json", "not JSON"},
    {"send-all", R"({"data":[1e999]})", 400, "bad_json", "not JSON"},
    {"send-all", "{\"data\":" + std::string(5000, '[') + std::string(5000, ']') + "}", 400,
     "bad_json", "not JSON"},
};
INSTANTIATE_TEST_SUITE_P(NoJson, BadBodies, testing::ValuesIn(kNoJson));

const BadBody kBadKeys[] = {
    {"send", "{}", 400, "bad_request", "sessions: missing"},
    {"send", R"({"data":"x"})", 400, "bad_request", "sessions: missing"},
    {"send", fmt::format(R"({{"sessions":["{}"]}})", kA), 400, "bad_request",
     "exactly one of data, data_base64"},
    {"send", fmt::format(R"({{"sessions":["{}"],"data":"x","data_base64":"eA=="}})", kA), 400,
     "bad_request", "exactly one of"},
    {"send", fmt::format(R"({{"sessions":["{}"],"data":"x","colour":1}})", kA), 400, "bad_request",
     "unknown key \"colour\""},
    {"send", fmt::format(R"({{"sessions":["{}"],"data":"x","exclude":[]}})", kA), 400,
     "bad_request", "unknown key \"exclude\""},
    {"send", fmt::format(R"({{"op":"send","sessions":["{}"],"data":"x"}})", kA), 400, "bad_request",
     "unknown key \"op\""},
    {"send-all", R"({"data":"x","data":"y"})", 400, "bad_request", "\"data\" is given twice"},
    {"send-all", R"({"data":"x","d\u0061ta":"y"})", 400, "bad_request", "given twice"},
    {"send-all", R"({"Data":"x"})", 400, "bad_request", "unknown key \"Data\""},
    {"send-all", R"({"data":"x","channels":["a"]})", 400, "bad_request", "\"channels\""},
    {"send-all", R"({"data":"x","":1})", 400, "bad_request", "unknown key \"\""},
    {"send-user", R"({"data":"x"})", 400, "bad_request", "users: missing"},
    {"publish", R"({"data":"x"})", 400, "bad_request", "channels: missing"},
    {"publish", R"({"channels":["a"]})", 400, "bad_request", "exactly one of"},
    {"join", fmt::format(R"({{"sessions":["{}"]}})", kA), 400, "bad_request", "channels: missing"},
    {"join", R"({"channels":["a"]})", 400, "bad_request", "exactly one of sessions, users"},
    {"leave", fmt::format(R"({{"sessions":["{}"],"users":["u"],"channels":["a"]}})", kA), 400,
     "bad_request", "exactly one of sessions, users"},
    {"leave", R"({"users":["u"],"channels":["a"],"data":"x"})", 400, "bad_request", "\"data\""},
    {"bind", fmt::format(R"({{"session":"{}"}})", kA), 400, "bad_request", "user: missing"},
    {"bind", R"({"user":"u"})", 400, "bad_request", "session: missing"},
    {"bind", "{}", 400, "bad_request", "session, user: missing"},
    {"unbind", "{}", 400, "bad_request", "session: missing"},
    {"unbind", fmt::format(R"({{"sessions":["{}"]}})", kA), 400, "bad_request", "\"sessions\""},
    {"kick", "{}", 400, "bad_request", "exactly one of sessions, users, channels"},
    {"kick", R"({"users":["u"],"channels":["a"]})", 400, "bad_request", "exactly one of"},
    {"kick", fmt::format(R"({{"sessions":["{}"],"exclude":[]}})", kA), 400, "bad_request",
     "exclude: goes with users or channels"},
    {"join", fmt::format(R"({{"sessions":["{}"],"channels":["a"],"exclude":[]}})", kA), 400,
     "bad_request", "exclude: goes with users or channels"},
    {"leave", fmt::format(R"({{"exclude":[],"sessions":["{}"],"channels":["a"]}})", kA), 400,
     "bad_request", "exclude: goes with users or channels"},
    {"bind", fmt::format(R"({{"session":"{}","user":"u","exclude":[]}})", kA), 400, "bad_request",
     "\"exclude\""},
    {"data", "{}", 400, "bad_request", "session: missing"},
    {"data", fmt::format(R"({{"session":"{}"}})", kA), 400, "bad_request",
     "exactly one of set, merge"},
    {"data", fmt::format(R"({{"session":"{}","set":{{}},"merge":{{}}}})", kA), 400, "bad_request",
     "exactly one of set, merge"},
    {"data", fmt::format(R"({{"session":"{}","data":"x"}})", kA), 400, "bad_request", "\"data\""},
};
INSTANTIATE_TEST_SUITE_P(BadKeys, BadBodies, testing::ValuesIn(kBadKeys));

const BadBody kBadValues[] = {
    {"send", R"({"sessions":"x","data":"x"})", 400, "bad_request", "sessions: must be an array"},
    {"send", R"({"sessions":[],"data":"x"})", 400, "bad_request", "array of 1 to 10000"},
    {"send", R"({"sessions":[1],"data":"x"})", 400, "bad_request", "sessions: must be an array"},
    {"send", R"({"sessions":[null],"data":"x"})", 400, "bad_request", "sessions: must be"},
    {"send", R"({"sessions":["x"],"data":"x"})", 400, "bad_request", "\"x\" is no session id"},
    {"send", fmt::format(R"({{"sessions":["{}","{}0"],"data":"x"}})", kA, kA), 400, "bad_request",
     "is no session id"},
    {"send", fmt::format(R"({{"sessions":{},"data":"x"}})", list_of(10'001, kA)), 400,
     "bad_request", "array of 1 to 10000"},
    {"send-all", R"({"data":"x","exclude":["y"]})", 400, "bad_request", "exclude: \"y\""},
    {"send-all", R"({"data":"x","exclude":{}})", 400, "bad_request", "array of 0 to 10000"},
    {"send-user", R"({"users":[],"data":"x"})", 400, "bad_request", "users: must be"},
    {"send-user", R"({"users":[""],"data":"x"})", 400, "bad_request", "is no user"},
    {"send-user", R"({"users":["a\u0001"],"data":"x"})", 400, "bad_request", "is no user"},
    {"send-user", R"({"users":[42],"data":"x"})", 400, "bad_request",
     "users: must be an array of 1 to 10000 users; users[0] is a number (42), not a string"},
    {"send-user", R"({"users":["a", true ],"data":"x"})", 400, "bad_request",
     "; users[1] is a boolean, not a string"},
    {"send-user", R"({"users":"a","data":"x"})", 400, "bad_request",
     "; it is a string, not an array"},
    {"send-user", R"({"users":{"a":1},"data":"x"})", 400, "bad_request",
     "; it is an object, not an array"},
    {"send-user", R"({"users":["a",null],"data":"x"})", 400, "bad_request",
     "; users[1] is null, not a string"},
    {"kick", R"({"users":["u"],"code":"4000"})", 400, "bad_request",
     "; it is a string, not a whole number"},
    {"kick", R"({"users":["u"],"reason":["x"]})", 400, "bad_request",
     "; it is an array, not a string"},
    {"send-user", fmt::format(R"({{"users":["{}"],"data":"x"}})", std::string(65, 'u')), 400,
     "bad_request", "is no user"},
    {"send-user", fmt::format(R"({{"users":{},"data":"x"}})", list_of(10'001, "u")), 400,
     "bad_request", "array of 1 to 10000"},
    {"publish", R"({"channels":[],"data":"x"})", 400, "bad_request", "channels: must be"},
    {"publish", R"({"channels":["a",""],"data":"x"})", 400, "bad_request", "is no channel"},
    {"publish", R"({"channels":["\n"],"data":"x"})", 400, "bad_request", "is no channel"},
    {"publish", fmt::format(R"({{"channels":["{}"],"data":"x"}})", std::string(256, 'c')), 400,
     "bad_request", "is no channel"},
    {"publish", fmt::format(R"({{"channels":{},"data":"x"}})", list_of(1'001, "c")), 400,
     "bad_request", "array of 1 to 1000 channels"},
    {"bind", R"({"session":"x","user":"u"})", 400, "bad_request", "is no session id"},
    {"bind", R"({"session":7,"user":"u"})", 400, "bad_request", "session: must be"},
    {"bind", fmt::format(R"({{"session":"{}","user":7}})", kA), 400, "bad_request",
     "user: must be a string"},
    {"bind", fmt::format(R"({{"session":"{}","user":""}})", kA), 400, "bad_request", "is no user"},
    {"unbind", fmt::format(R"({{"session":["{}"]}})", kA), 400, "bad_request", "session: must be"},
    {"kick", R"({"users":["u"],"code":999})", 400, "bad_request", "code: must be 1000 or"},
    {"kick", R"({"users":["u"],"code":1001})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":2999})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":5000})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":-4000})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":4000.0})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":"4000"})", 400, "bad_request", "code: must be"},
    {"kick", R"({"users":["u"],"code":69536})", 400, "bad_request",
     "code: must be"},  // 4000 mod 2^16
    {"kick", R"({"users":["u"],"reason":1})", 400, "bad_request", "reason: must be"},
    {"kick", fmt::format(R"({{"users":["u"],"reason":"{}"}})", std::string(124, 'r')), 400,
     "bad_request", "at most 123 bytes"},
};
INSTANTIATE_TEST_SUITE_P(BadValues, BadBodies, testing::ValuesIn(kBadValues));

std::string data_call(const std::string& how) {
  return fmt::format(R"({{"session":"{}",{}}})", kA, how);
}

std::string many_pairs(size_t count) {
  std::string pairs;
  for (size_t i = 0; i < count; ++i) pairs += fmt::format("{}\"{}\":\"\"", i == 0 ? "" : ",", i);
  return data_call("\"merge\":{" + pairs + "}");
}

const BadBody kBadData[] = {
    {"data", data_call(R"("set":[])"), 400, "bad_request", "set: must be an object"},
    {"data", data_call(R"("set":"a=b")"), 400, "bad_request", "set: must be an object"},
    {"data", data_call(R"("set":{"a": 1 })"), 400, "bad_request",
     "; \"a\" is a number (1), not a string"},
    {"data", data_call(R"("set":{"a":1})"), 400, "bad_request", "set: must be an object"},
    {"data", data_call(R"("set":{"a":null})"), 400, "bad_request", "of at most 1000 strings, each"},
    {"data", data_call(R"("set":{"":"x"})"), 400, "bad_request", "keys that are not empty"},
    {"data", data_call(R"("merge":{"a":true})"), 400, "bad_request", "strings or nulls"},
    {"data", data_call(R"("merge":{"a":{}})"), 400, "bad_request", "merge: must be"},
    {"data", data_call(R"("merge":{"a":"1","b":"2","a":"3"})"), 400, "bad_request", "each once"},
    {"data", data_call(R"("merge":{"a":"1","\u0061":null})"), 400, "bad_request", "each once"},
    {"data", data_call(R"("merge":{"a":nul})"), 400, "bad_json", "not JSON"},
    {"data", data_call(R"("merge":{"a" "b"})"), 400, "bad_json", "not JSON"},
    {"data", many_pairs(1001), 400, "bad_request", "at most 1000"},
    {"data", data_call(fmt::format(R"("set":{{"key":"{}"}})", std::string(4094, 'v'))), 413,
     "too_large", "set: 4097 bytes of keys and values; a session holds 4096"},
    {"data", data_call(fmt::format(R"("merge":{{"{}":"v","b":"v"}})", std::string(4094, 'k'))), 413,
     "too_large", "merge: 4097 bytes"},
};
INSTANTIATE_TEST_SUITE_P(BadData, BadBodies, testing::ValuesIn(kBadData));

const BadBody kBadIds[] = {
    {"send-all", R"({"data":"x","id":""})", 400, "bad_request", "id: must be a string of 1 to 255"},
    {"send-all", R"({"data":"x","id":7})", 400, "bad_request", "id: must be a string"},
    {"send-all", R"({"data":"x","id":null})", 400, "bad_request", "id: must be a string"},
    {"send-all", R"({"data":"x","id":"a","id":"a"})", 400, "bad_request", "given twice"},
    {"send-all", fmt::format(R"({{"data":"x","id":"{}"}})", std::string(256, 'i')), 400,
     "bad_request", "1 to 255 bytes"},
};
INSTANTIATE_TEST_SUITE_P(BadIds, BadBodies, testing::ValuesIn(kBadIds));

const BadBody kBadPayloads[] = {
    {"send-all", R"({"data":"x","binary":1})", 400, "bad_request", "binary: must be true or false"},
    {"send-all", R"({"data":"x","binary":"true"})", 400, "bad_request", "binary: must be"},
    {"send-all", R"({"data_base64":"/w=="})", 400, "bad_request", "data_base64: is not UTF-8"},
    {"send-all", R"({"data_base64":"/w==","binary":false})", 400, "bad_request", "is not UTF-8"},
    {"send-all", R"({"data_base64":7})", 400, "bad_request", "data_base64: must be a string"},
    {"send-all", R"({"data_base64":"eA"})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"eA= "})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"eA==\n"})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":" eA=="})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"e==="})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"===="})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"e=A="})", 400, "bad_request", "base64 with padding"},
    {"send-all", R"({"data_base64":"_-_-"})", 400, "bad_request", "base64 with padding"},
    {"send-all", "{\"data\":" + std::string(1001, '[') + std::string(1001, ']') + "}", 400,
     "bad_request", "nested at most 1000 deep"},
    {"send-all", fmt::format(R"({{"data":"{}"}})", std::string(1001, 'x')), 413, "too_large",
     "1001 bytes; limits.max_message_size is 1000"},
    {"send-all", fmt::format(R"({{"data":["{}"]}})", std::string(997, 'x')), 413, "too_large",
     "1001 bytes"},
    {"send-all", fmt::format(R"({{"data_base64":"{}","binary":true}})", std::string(1336, 'A')),
     413, "too_large", "1002 bytes"},
};
INSTANTIATE_TEST_SUITE_P(BadPayloads, BadBodies, testing::ValuesIn(kBadPayloads));

// A message must not grow with what the caller sent.
TEST(ErrorMessage, QuotesAtMostAFewBytesOfTheRequest) {
  ApiError error = bad("send-all", fmt::format(R"({{"{}":1}})", std::string(100'000, 'k')));
  EXPECT_LT(error.message.size(), 300u);
}

}  // namespace
}  // namespace holdfast::api
