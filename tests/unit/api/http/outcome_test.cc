#include "worker/api/http/outcome.h"
#include "wire/json/writer.h"

#include <gtest/gtest.h>
#include <simdjson.h>

namespace holdfast::api {
namespace {

using shm::SessionId;

std::string outcome(const Command& command, const CommandResult& result, int status) {
  json::Writer json;
  json.begin_object();
  EXPECT_EQ(write_outcome(json, command, result), status);
  json.end_object();
  return json.take();
}

const Command kSendOne{.op = Op::send, .sessions = {{1, 2}}};
const std::string kId = "00000000000000010000000000000002";

TEST(Outcome, NamesUnknownSessionsWhereSessionsWereAddressed) {
  EXPECT_EQ(outcome(kSendOne, {.delivered = 1}, 200), R"({"delivered":1,"unknown":[]})");
  EXPECT_EQ(outcome(kSendOne, {.unknown = {{1, 2}}}, 200),
            R"({"delivered":0,"unknown":[")" + kId + R"("]})");
  EXPECT_EQ(outcome({.op = Op::publish}, {.delivered = 3}, 200), R"({"delivered":3})");
  EXPECT_EQ(outcome({.op = Op::kick, .users = {"u"}}, {}, 200), R"({"delivered":0})");
}

TEST(Outcome, TellsWhatIsMissingOfAPartlyDeliveredPush) {
  EXPECT_EQ(outcome(kSendOne, {.delivered = 1, .failed = {{1, 2}}, .workers_failed = 1}, 200),
            R"({"delivered":1,"unknown":[],"failed":[")" + kId + R"("],"workers_failed":1})");
  EXPECT_EQ(outcome({.op = Op::send_all}, {.delivered = 2, .partial = true}, 200),
            R"({"delivered":2,"partial":true})");
}

TEST(Outcome, IsOverloadedWhereNothingWasDeliveredAndAWorkerCouldNotBeTold) {
  std::string body = outcome(kSendOne, {.failed = {{1, 2}}, .workers_failed = 1}, 503);
  EXPECT_NE(body.find(R"("code":"overloaded")"), std::string::npos) << body;
  EXPECT_NE(body.find(R"("failed":[")" + kId), std::string::npos) << body;
  outcome({.op = Op::publish}, {.workers_failed = 2}, 503);
}

TEST(Outcome, OfDataThatDoesNotFitIs413AndSaysNothingElse) {
  std::string body = outcome({.op = Op::data, .sessions = {{1, 2}}}, {.refused = 1}, 413);
  EXPECT_EQ(body.find(R"({"error":{"code":"too_large","message":")"), 0u) << body;
  EXPECT_EQ(body.find("refused"), std::string::npos) << body;
  EXPECT_EQ(outcome({.op = Op::join, .users = {"u"}}, {.delivered = 1, .refused = 2}, 200),
            R"({"delivered":1,"refused":2})");
}

TEST(Outcome, OfBindToAnUnknownSessionIs404) {
  for (Op op : {Op::bind, Op::unbind, Op::data}) {
    std::string body = outcome({.op = op, .sessions = {{1, 2}}}, {.unknown = {{1, 2}}}, 404);
    EXPECT_EQ(body.find(R"({"error":{"code":"unknown_session","message":")"), 0u) << body;
    EXPECT_NE(body.find(kId), std::string::npos) << body;
    EXPECT_EQ(outcome({.op = op, .sessions = {{1, 2}}}, {.delivered = 1}, 200),
              R"({"delivered":1})");
  }
}

}  // namespace
}  // namespace holdfast::api
