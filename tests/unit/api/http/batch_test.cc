#include "worker/api/http/batch.h"

#include "tests/unit/api/api_harness.h"

namespace holdfast::api {
namespace {

const std::string kA = "0007000000000001aaaaaaaaaaaaaaaa";

using ApiBatch = ApiTest;

const std::string kThree = R"({"commands":[
    {"op":"send-all","data":"1"},{"op":"send-all"},{"op":"publish","channels":["c"],"data":"3"}]})";

TEST_F(ApiBatch, AnswersEachCommandInOrder) {
  router.next_result.delivered = 2;
  HttpAnswer answer = post("/v1/batch", kThree);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body,
            R"({"results":[{"status":200,"delivered":2},{"status":400,"error":{"code":)"
            R"("bad_request","message":"send-all needs exactly one of data, data_base64"}},)"
            R"({"status":200,"delivered":2}]})");
  ASSERT_EQ(router.seen.size(), 2u);
  EXPECT_EQ(router.seen[0].data, "1");
  EXPECT_EQ(router.seen[1].data, "3");
}

TEST_F(ApiBatch, StartsACommandOnlyWhenTheOneBeforeHasItsResult) {
  router.hold = true;
  ask({.method = "POST", .target = "/v1/batch", .body = kThree});
  EXPECT_EQ(router.seen.size(), 1u);
  router.release({.delivered = 1});
  EXPECT_EQ(router.seen.size(), 2u);
  EXPECT_TRUE(replies.empty());
  router.hold = false;  // what comes now is answered at once
  router.release({.delivered = 3});
  ASSERT_EQ(replies.size(), 1u);
  std::string body = parse_answer(replies[0]).body;
  EXPECT_TRUE(body.starts_with(R"({"results":[{"status":200,"delivered":1},)")) << body;
  EXPECT_TRUE(body.ends_with(R"({"status":200,"delivered":3}]})")) << body;
}

TEST_F(ApiBatch, MixesWaitingAndImmediateResults) {
  std::string commands;
  for (int i = 0; i < 9; ++i)
    commands += fmt::format(R"({}{{"op":"send-all","data":"{}"}})", i == 0 ? "" : ",", i);
  router.hold = true;
  ask({.method = "POST", .target = "/v1/batch", .body = "{\"commands\":[" + commands + "]}"});
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(router.seen.size(), size_t(i) + 1);
    router.release({.delivered = uint64_t(i)});
  }
  EXPECT_TRUE(replies.empty());
  router.release({.delivered = 8});
  ASSERT_EQ(replies.size(), 1u);
  for (int i = 0; i < 9; ++i) EXPECT_EQ(router.seen[size_t(i)].data, std::to_string(i));
}

TEST_F(ApiBatch, GivesFailuresTheirOwnStatus) {
  router.next_result.unknown = {*shm::SessionId::parse(kA)};
  HttpAnswer answer =
      post("/v1/batch", fmt::format(R"({{"commands":[{{"op":"bind","session":"{0}","user":"u"}},)"
                                    R"({{"op":"kick","sessions":["{0}"]}},)"
                                    R"({{"op":"send-all","data":"{1}"}}]}})",
                                    kA, std::string(1001, 'x')));
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.starts_with(R"({"results":[{"status":404,"error":{"code":)"
                                      R"("unknown_session")"))
      << answer.body;
  EXPECT_NE(answer.body.find(R"({"status":200,"delivered":0,"unknown":[")" + kA + R"("]})"),
            std::string::npos)
      << answer.body;
  EXPECT_NE(answer.body.find(R"({"status":413,"error":{"code":"too_large")"), std::string::npos)
      << answer.body;
}

const std::string kKeyed = R"({"commands":[{"op":"send-all","data":"1","id":"a"},
    {"op":"send-all","data":"2"},{"op":"send-all","data":"3","id":"b"}]})";

TEST_F(ApiBatch, RepeatedDoesOnlyWhatHasNoIdOrANewOne) {
  router.next_result.delivered = 5;
  post("/v1/batch", kKeyed);
  EXPECT_EQ(router.seen.size(), 3u);
  router.next_result.delivered = 7;
  EXPECT_EQ(post("/v1/batch", kKeyed).body,
            R"({"results":[{"status":200,"delivered":5,"repeated":true},)"
            R"({"status":200,"delivered":7},{"status":200,"delivered":5,"repeated":true}]})");
  ASSERT_EQ(router.seen.size(), 4u);
  EXPECT_EQ(router.seen[3].data, "2");
  EXPECT_EQ(segment.stats(1).api_repeated.get(), 2u);
}

TEST_F(ApiBatch, CarriesOutTheSameIdOnceWithinOne) {
  router.next_result.delivered = 1;
  HttpAnswer answer = post("/v1/batch", R"({"commands":[{"op":"send-all","data":"x","id":"a"},
          {"op":"send-all","data":"x","id":"a"},{"op":"send-all","data":"y","id":"a"}]})");
  EXPECT_EQ(router.seen.size(), 1u);
  EXPECT_TRUE(answer.body.starts_with(
      R"({"results":[{"status":200,"delivered":1},{"status":200,"delivered":1,"repeated":true},)"
      R"({"status":422,"error":{"code":"key_reused")"))
      << answer.body;
}

TEST_F(ApiBatch, GivesTheIdOfACommandThatDidNothingBack) {
  std::string bind =
      fmt::format(R"({{"commands":[{{"op":"bind","session":"{}","user":"u","id":"a"}}]}})", kA);
  router.next_result.unknown = {*shm::SessionId::parse(kA)};
  EXPECT_NE(post("/v1/batch", bind).body.find("unknown_session"), std::string::npos);
  router.next_result = {.delivered = 1};
  EXPECT_EQ(post("/v1/batch", bind).body, R"({"results":[{"status":200,"delivered":1}]})");
  EXPECT_EQ(router.seen.size(), 2u);
}

TEST_F(ApiBatch, OfAThousandIsCarriedOut) {
  std::string commands;
  for (int i = 0; i < 1000; ++i)
    commands += fmt::format(R"({}{{"op":"send-all","data":{}}})", i == 0 ? "" : ",", i);
  HttpAnswer answer = post("/v1/batch", "{\"commands\":[" + commands + "]}");
  EXPECT_EQ(answer.status, 200);
  ASSERT_EQ(router.seen.size(), 1000u);
  EXPECT_EQ(router.seen[999].data, "999");
}

TEST_F(ApiBatch, WithABadEnvelopeDoesNothing) {
  for (const std::string& body :
       {std::string("{}"), std::string(R"({"commands":[]})"), kThree + "x",
        kThree.substr(0, kThree.size() - 1) + R"(,"x":1})"}) {
    EXPECT_EQ(post("/v1/batch", body).status, 400) << body;
  }
  EXPECT_TRUE(router.seen.empty());
}

}  // namespace
}  // namespace holdfast::api
