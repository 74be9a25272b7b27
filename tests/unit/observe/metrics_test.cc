#include "worker/observe/metrics.h"

#include <simdjson.h>

#include <set>
#include <sstream>

#include "tests/unit/api/api_harness.h"

namespace holdfast::api {
namespace {

class Metrics : public ApiTest {
 protected:
  Metrics() {
    for (uint32_t slot : {0u, 1u}) {
      segment.slot(slot).state = shm::SlotState::serving;
      segment.slot(slot).pid = 100 + slot;
    }
    segment.stats(0).push_publish.add(2);
    segment.stats(1).push_publish.add(3);
    segment.stats(0).sessions_online.set(10);
    segment.stats(1).sessions_online.set(5);
    segment.slot(1).restarts = 4;
  }

  // The number at a JSON pointer of stats_json().
  uint64_t stat(std::string_view pointer) {
    json = stats_json(segment);
    uint64_t value = 0;
    auto error = parser.parse(json).at_pointer(pointer).get(value);
    EXPECT_EQ(error, simdjson::SUCCESS) << pointer << "\n" << json;
    return value;
  }
  std::string text(std::string_view pointer) {
    json = stats_json(segment);
    std::string_view value;
    EXPECT_EQ(parser.parse(json).at_pointer(pointer).get(value), simdjson::SUCCESS) << json;
    return std::string(value);
  }

  bool exposes(const std::string& line) {
    std::string all = "\n" + prometheus_text(segment);
    return all.find("\n" + line + "\n") != std::string::npos;
  }

  std::string json;
  simdjson::dom::parser parser;
};

TEST_F(Metrics, JsonSumsCountersAndGaugesOverTheSlots) {
  EXPECT_EQ(stat("/counters/push.publish"), 5u);
  EXPECT_EQ(stat("/gauges/sessions.online"), 15u);
  EXPECT_EQ(stat("/counters/push.send"), 0u);
}

TEST_F(Metrics, JsonNamesTheInstanceAndItsWorkers) {
  EXPECT_TRUE(text("/instance").starts_with("api-test-"));
  EXPECT_EQ(text("/version"), HOLDFAST_VERSION);
  EXPECT_EQ(stat("/node"), 7u);
  EXPECT_EQ(stat("/workers/1/slot"), 1u);
  EXPECT_EQ(stat("/workers/1/pid"), 101u);
  EXPECT_EQ(stat("/workers/1/sessions"), 5u);
  EXPECT_EQ(stat("/workers/1/restarts"), 4u);
  EXPECT_EQ(text("/workers/0/state"), "serving");
}

TEST_F(Metrics, JsonKeepsTheCountsOfASlotWithoutProcessButDoesNotListIt) {
  segment.slot(0).state = shm::SlotState::free;
  EXPECT_EQ(stat("/workers/0/slot"), 1u);
  EXPECT_EQ(stat("/counters/push.publish"), 5u);
}

TEST_F(Metrics, JsonQuantilesOfNothingAreZero) {
  EXPECT_EQ(stat("/histograms/backend.request_us/count"), 0u);
  EXPECT_EQ(stat("/histograms/backend.request_us/p99"), 0u);
}

TEST_F(Metrics, JsonMergesHistograms) {
  for (int i = 0; i < 98; ++i) segment.stats(0).backend_request_us.record(5);
  segment.stats(1).backend_request_us.record(1000);
  segment.stats(1).backend_request_us.record(100'000);
  EXPECT_EQ(stat("/histograms/backend.request_us/count"), 100u);
  EXPECT_EQ(stat("/histograms/backend.request_us/sum"), 98u * 5 + 101'000);
  auto bound = [](uint64_t us) {
    return shm::Histogram::upper_bound(shm::Histogram::bucket_of(us));
  };
  EXPECT_EQ(stat("/histograms/backend.request_us/p50"), bound(5));
  EXPECT_EQ(stat("/histograms/backend.request_us/p99"), bound(1000));
  EXPECT_EQ(stat("/histograms/backend.request_us/p999"), bound(100'000));
}

TEST_F(Metrics, PrometheusHasOneSeriesForEachSlot) {
  EXPECT_TRUE(exposes("# TYPE holdfast_push_publish_total counter"));
  EXPECT_TRUE(exposes("# HELP holdfast_push_publish_total Pushes to a channel"));
  EXPECT_TRUE(exposes("holdfast_push_publish_total{slot=\"0\"} 2"));
  EXPECT_TRUE(exposes("holdfast_push_publish_total{slot=\"1\"} 3"));
  EXPECT_TRUE(exposes("# TYPE holdfast_sessions_online gauge"));
  EXPECT_TRUE(exposes("holdfast_sessions_online{slot=\"1\"} 5"));
  EXPECT_TRUE(exposes("holdfast_worker_up{slot=\"0\"} 1"));
  EXPECT_TRUE(exposes("holdfast_worker_restarts_total{slot=\"1\"} 4"));
}

// A counter that vanishes with its worker would look like a reset of the sum.
TEST_F(Metrics, PrometheusKeepsTheSeriesOfASlotThatHadAProcess) {
  segment.stats(0).loop_turns.add();
  segment.slot(0).state = shm::SlotState::free;
  EXPECT_TRUE(exposes("holdfast_push_publish_total{slot=\"0\"} 2"));
  EXPECT_TRUE(exposes("holdfast_worker_up{slot=\"0\"} 0"));
}

TEST_F(Metrics, PrometheusLeavesOutSlotsThatNeverHadAProcess) {
  segment.slot(0).state = shm::SlotState::free;
  EXPECT_EQ(prometheus_text(segment).find("slot=\"0\""), std::string::npos);
}

TEST_F(Metrics, PrometheusHistogramsAreCumulativeInSeconds) {
  for (uint64_t us : {1, 31, 32, 33, 1000, 2'000'000'000})
    segment.stats(1).backend_request_us.record(us);
  EXPECT_TRUE(exposes("# TYPE holdfast_backend_request_seconds histogram"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"3.2e-05\"} 2"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"6.4e-05\"} 4"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"0.000512\"} 4"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"0.001024\"} 5"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"16.777216\"} 5"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_bucket{slot=\"1\",le=\"+Inf\"} 6"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_count{slot=\"1\"} 6"));
  EXPECT_TRUE(exposes("holdfast_backend_request_seconds_sum{slot=\"1\"} 2000.001097"));
}

TEST_F(Metrics, PrometheusNamesEachMetricOnceAndEverySeriesBelongsToTheMetricAboveIt) {
  std::istringstream lines(prometheus_text(segment));
  std::set<std::string> seen;
  std::string current, explained;
  for (std::string line; std::getline(lines, line);) {
    std::string metric = line.substr(0, 2) == "# " ? line.substr(7, line.find(' ', 7) - 7) : "";
    if (line.starts_with("# HELP ")) {
      explained = metric;
      EXPECT_GT(line.size(), 8 + metric.size()) << "no help: " << line;
    } else if (line.starts_with("# TYPE ")) {
      current = metric;
      EXPECT_TRUE(seen.insert(current).second) << current;
      EXPECT_EQ(explained, current) << "without a HELP";
    } else {
      EXPECT_TRUE(line.starts_with(current)) << line;
    }
  }
  EXPECT_GE(seen.size(), shm::all_stats().size());
}

}  // namespace
}  // namespace holdfast::api
