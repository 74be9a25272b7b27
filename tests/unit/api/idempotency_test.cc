#include "worker/api/idempotency.h"

#include "base/clock.h"
#include "shm/receipts.h"
#include "tests/unit/api/api_harness.h"

namespace holdfast::api {
namespace {

const std::string kA = "0007000000000001aaaaaaaaaaaaaaaa";
const std::string kAll = R"({"data":"x"})";

class Idempotency : public ApiTest {
 protected:
  using ApiTest::ApiTest;
  static http::Request keyed(std::string target, std::string key, std::string body) {
    return {.method = "POST",
            .target = std::move(target),
            .headers = {{"idempotency-key", std::move(key)}},
            .body = std::move(body)};
  }
  HttpAnswer send_all(std::string key, std::string body = kAll) {
    return answer_to(keyed("/v1/send-all", std::move(key), std::move(body)));
  }
  static bool repeated(const HttpAnswer& answer) { return answer.has("Holdfast-Repeated: true"); }
  shm::StatsBlock& stats() { return segment.stats(1); }
};

TEST_F(Idempotency, RepeatGetsTheFirstAnswerAndIsNotCarriedOut) {
  router.next_result.delivered = 3;
  HttpAnswer first = send_all("k");
  router.next_result.delivered = 4;
  HttpAnswer second = send_all("k");
  EXPECT_EQ(router.seen.size(), 1u);
  EXPECT_EQ(first.body, R"({"delivered":3})");
  EXPECT_FALSE(repeated(first));
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(second.body, first.body);
  EXPECT_TRUE(repeated(second)) << second.head;
  EXPECT_EQ(send_all("K").body, R"({"delivered":4})") << "another key";
  EXPECT_EQ(stats().api_repeated.get(), 1u);
  EXPECT_EQ(stats().api_errors.get(), 0u);
}

TEST_F(Idempotency, KeyInTheBodyIsTheSameAsInTheHeader) {
  router.next_result.delivered = 3;
  post("/v1/send-all", R"({"id":"k","data":"x"})");
  EXPECT_TRUE(repeated(send_all("k")));
  EXPECT_TRUE(repeated(send_all("k", R"({"data":"x","id":"k"})")));
  HttpAnswer answer = send_all("k", R"({"data":"x","id":"l"})");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(error_code(answer), "bad_request");
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(Idempotency, WithoutAKeyEverythingIsCarriedOut) {
  post("/v1/send-all", kAll);
  EXPECT_FALSE(repeated(post("/v1/send-all", kAll)));
  EXPECT_EQ(router.seen.size(), 2u);
}

TEST_F(Idempotency, RepeatWhileTheFirstIsUnderWayIsToldSo) {
  router.hold = true;
  ask(keyed("/v1/send-all", "k", kAll));
  HttpAnswer answer = send_all("k");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(error_code(answer), "in_progress");
  EXPECT_TRUE(answer.has("Retry-After: 1")) << answer.head;
  router.release({.delivered = 2});
  answer = send_all("k");
  EXPECT_EQ(answer.body, R"({"delivered":2})");
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(Idempotency, KeyOfAnotherRequestIsRefused) {
  send_all("k");
  for (const auto& [target, body] : {std::pair{"/v1/send-all", R"({"data":"y"})"},
                                     {"/v1/send-all", R"({"data":"x","binary":true})"},
                                     {"/v1/publish", R"({"channels":["x"],"data":"x"})"}}) {
    HttpAnswer answer = answer_to(keyed(target, "k", body));
    EXPECT_EQ(answer.status, 422) << target << body;
    EXPECT_EQ(error_code(answer), "key_reused");
  }
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(Idempotency, KeyOfAProcessThatDiedUnderWayIsNeverCarriedOutAgain) {
  router.hold = true;
  ask(keyed("/v1/send-all", "k", kAll));
  segment.slot(1).pid.store(uint32_t(getpid()) + 1);  // the slot's next process
  HttpAnswer answer = send_all("k");
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(error_code(answer), "outcome_unknown");
  EXPECT_EQ(router.seen.size(), 1u);
  router.release({});
}

// Key and fingerprints as commit 64a7ea7 has left them in the segment.
TEST_F(Idempotency, ReceiptsOf64a7ea7AreKnownAgain) {
  struct Left {
    std::string key;
    shm::ReceiptKey hashed;
    std::string target, body;
    uint64_t fingerprint;
  };
  const Left all[] = {
      {"k", {0xf65028a929c35482, 0xee16486f37dd39d5}, "/v1/send-all", kAll, 0x551913a66a02f10d},
      {"l",
       {0x90ca09e6c086acac, 0xb2ccac2d0e2b636f},
       "/v1/kick",
       fmt::format(R"({{"sessions":["{}"],"code":4001,"reason":"bye"}})", kA),
       0x3518d791da5b3ea5}};
  shm::ReceiptTable table = segment.receipts();
  for (const Left& left : all) {
    auto claim = table.claim(left.hashed, left.fingerprint, 1, monotonic_ms());
    ASSERT_EQ(claim.verdict, shm::ReceiptTable::Verdict::fresh);
    table.complete(claim, 200, R"({"delivered":7})");
    HttpAnswer answer = answer_to(keyed(left.target, left.key, left.body));
    EXPECT_EQ(answer.body, R"({"delivered":7})") << left.target;
    EXPECT_TRUE(repeated(answer)) << left.target;
  }
  EXPECT_EQ(router.seen.size(), 0u);
}

// ---- Nothing was done

TEST_F(Idempotency, KeyOfABadRequestCanBeUsedAgain) {
  EXPECT_EQ(send_all("k", "{").status, 400);
  EXPECT_EQ(send_all("k", fmt::format(R"({{"data":"{}"}})", std::string(1001, 'x'))).status, 413);
  std::string channels;
  for (int i = 0; i < 200; ++i) channels += fmt::format("{}\"{:0>200}\"", i == 0 ? "" : ",", i);
  std::string fits_no_record = fmt::format(R"({{"channels":[{}],"data":"x"}})", channels);
  EXPECT_EQ(answer_to(keyed("/v1/publish", "k", fits_no_record)).status, 413);
  EXPECT_EQ(send_all("k").status, 200);
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(Idempotency, KeyOfARequestThatDidNothingCanBeUsedAgain) {
  std::string bind = fmt::format(R"({{"session":"{}","user":"u"}})", kA);
  router.next_result.unknown = {*shm::SessionId::parse(kA)};
  EXPECT_EQ(answer_to(keyed("/v1/bind", "k", bind)).status, 404);
  router.next_result = {.workers_failed = 1};
  EXPECT_EQ(send_all("k").status, 503);
  router.next_result = {.delivered = 1};
  EXPECT_EQ(answer_to(keyed("/v1/bind", "k", bind)).status, 200);
  EXPECT_EQ(router.seen.size(), 3u);
}

TEST_F(Idempotency, FailureThatMayHaveReachedSomebodyIsKept) {
  router.next_result = {.workers_failed = 1, .partial = true};
  HttpAnswer first = send_all("k");
  EXPECT_EQ(first.status, 503);
  router.next_result = {.delivered = 1};
  HttpAnswer second = send_all("k");
  EXPECT_EQ(second.status, 503);
  EXPECT_TRUE(repeated(second));
  EXPECT_EQ(router.seen.size(), 1u);
}

TEST_F(Idempotency, UnbindThatIsRepeatedIsAnsweredBeforeItIsLookedAt) {
  shm::Slab slab(segment.directory(), 1, 7, segment.stats(1).slab_high_water);
  shm::SessionId mine = *slab.claim({});
  slab.set_state(mine, shm::SessionState::open);
  slab.set_user(mine, "alice");
  std::string body = fmt::format(R"({{"session":"{}","user":"alice"}})", mine.hex());
  router.next_result.delivered = 1;
  EXPECT_EQ(answer_to(keyed("/v1/unbind", "k", body)).status, 200);
  slab.set_user(mine, "");
  HttpAnswer answer = answer_to(keyed("/v1/unbind", "k", body));
  EXPECT_EQ(answer.status, 200) << answer.body;
  EXPECT_TRUE(repeated(answer));
}

// ---- Bounds

TEST_F(Idempotency, LongAnswerIsKeptWithoutItsLists) {
  router.next_result.delivered = 7;
  router.next_result.refused = 1;
  router.next_result.unknown.assign(20, *shm::SessionId::parse(kA));
  std::string body = fmt::format(R"({{"sessions":["{}"],"channels":["c"]}})", kA);
  HttpAnswer first = answer_to(keyed("/v1/join", "k", body));
  EXPECT_NE(first.body.find(R"("unknown":[")"), std::string::npos);
  HttpAnswer second = answer_to(keyed("/v1/join", "k", body));
  EXPECT_EQ(second.status, first.status);
  EXPECT_EQ(second.body, R"({"delivered":7,"refused":1,"shortened":true})");
}

TEST_F(Idempotency, ShortListsAreKept) {
  router.next_result.unknown = {*shm::SessionId::parse(kA)};
  std::string body = fmt::format(R"({{"sessions":["{}"],"data":"x"}})", kA);
  HttpAnswer first = answer_to(keyed("/v1/send", "k", body));
  EXPECT_EQ(answer_to(keyed("/v1/send", "k", body)).body, first.body);
  EXPECT_EQ(first.body, R"({"delivered":0,"unknown":[")" + kA + R"("]})");
}

TEST_F(Idempotency, AnyShortenedAnswerFits) {
  router.next_result = {.failed = std::vector<shm::SessionId>(20, *shm::SessionId::parse(kA)),
                        .workers_failed = UINT32_MAX,
                        .refused = UINT64_MAX,
                        .partial = true};
  std::string body = fmt::format(R"({{"sessions":["{}"],"data":"x"}})", kA);
  EXPECT_EQ(answer_to(keyed("/v1/send", "k", body)).status, 503);
  HttpAnswer answer = answer_to(keyed("/v1/send", "k", body));
  EXPECT_EQ(answer.status, 503);
  EXPECT_EQ(answer.body, R"({"error":{"code":"overloaded","message":""},"delivered":0,)"
                         R"("workers_failed":4294967295,"refused":18446744073709551615,)"
                         R"("partial":true,"shortened":true})");
  EXPECT_LE(answer.body.size(), shm::kMaxReceiptBytes);
}

TEST_F(Idempotency, ImpossibleKeysAreRefused) {
  for (const std::string& key : {std::string(), std::string(256, 'k'), std::string("a b"),
                                 std::string("a\tb"), std::string("caf\xc3\xa9")}) {
    HttpAnswer answer = send_all(key);
    EXPECT_EQ(answer.status, 400) << key;
    EXPECT_EQ(error_code(answer), "bad_request");
  }
  http::Request twice = keyed("/v1/send-all", "k", kAll);
  twice.headers.push_back(twice.headers[0]);
  EXPECT_EQ(answer_to(twice).status, 400);
  EXPECT_TRUE(router.seen.empty());
  EXPECT_EQ(send_all(std::string(255, '~')).status, 200);
}

TEST_F(Idempotency, BatchHasNoKeyAsAWhole) {
  HttpAnswer answer =
      answer_to(keyed("/v1/batch", "k", R"({"commands":[{"op":"send-all","data":"x"}]})"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find(R"(\"id\")"), std::string::npos) << answer.body;
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(Idempotency, FullTableRefusesNewKeysAndKnowsTheOldOnes) {
  std::vector<std::string> kept;
  unsigned refused = 0;
  for (int i = 0; i < 200; ++i) {
    HttpAnswer answer = send_all(std::to_string(i));
    if (answer.status == 200) {
      kept.push_back(std::to_string(i));
      continue;
    }
    EXPECT_EQ(answer.status, 503);
    EXPECT_EQ(error_code(answer), "keys_full");
    ++refused;
  }
  EXPECT_LE(kept.size(), 64u);
  EXPECT_GT(kept.size(), 8u);
  EXPECT_EQ(router.seen.size(), kept.size());
  EXPECT_EQ(stats().api_keys_full.get(), refused);
  for (const std::string& key : kept) EXPECT_TRUE(repeated(send_all(key))) << key;
}

class IdempotencyOff : public Idempotency {
 protected:
  IdempotencyOff() : Idempotency(0) {}
};

TEST_F(IdempotencyOff, RefusesKeysAndCarriesOutTheRest) {
  HttpAnswer answer = send_all("k");
  EXPECT_EQ(answer.status, 400);
  EXPECT_EQ(error_code(answer), "keys_off");
  EXPECT_EQ(post("/v1/send-all", kAll).status, 200);
  EXPECT_EQ(router.seen.size(), 1u);
}

}  // namespace
}  // namespace holdfast::api
