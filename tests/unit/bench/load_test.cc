// What holdfast-bench concludes from what it sees: sequences, times, due times, the command line,
// /proc.
#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include "bench/load/accounting.h"
#include "bench/load/histogram.h"
#include "bench/load/pacer.h"
#include "bench/load/payload.h"
#include "bench/load/report.h"
#include "bench/load/sequence.h"

namespace holdfast::bench {
namespace {

TEST(SequenceCheck, InOrderFromOneMissesNothing) {
  SequenceCheck check;
  for (uint64_t n = 1; n <= 200; ++n) EXPECT_EQ(check.arrived(n), Arrival::in_order);
  EXPECT_EQ(check.missing_of(200), 0u);
}

TEST(SequenceCheck, SkippedNumbersAreMissing) {
  SequenceCheck check;
  check.arrived(1);
  EXPECT_EQ(check.arrived(5), Arrival::after_gap);
  EXPECT_EQ(check.missing_of(5), 3u);
}

TEST(SequenceCheck, FirstMessagesCountToo) {
  SequenceCheck check;
  EXPECT_EQ(check.arrived(3), Arrival::after_gap);
  EXPECT_EQ(check.missing_of(3), 2u);
}

TEST(SequenceCheck, WhatIsSentAndNeverComesIsMissing) {
  SequenceCheck check;
  EXPECT_EQ(check.missing_of(4), 4u);
  check.arrived(1);
  EXPECT_EQ(check.missing_of(4), 3u);
}

TEST(SequenceCheck, LateOneFillsItsGap) {
  SequenceCheck check;
  check.arrived(1);
  check.arrived(3);
  EXPECT_EQ(check.arrived(2), Arrival::late);
  EXPECT_EQ(check.missing_of(3), 0u);
  EXPECT_EQ(check.arrived(2), Arrival::duplicate);
}

TEST(SequenceCheck, SecondComingIsADuplicate) {
  SequenceCheck check;
  for (uint64_t n = 1; n <= 100; ++n) check.arrived(n);
  EXPECT_EQ(check.arrived(100), Arrival::duplicate);
  EXPECT_EQ(check.arrived(37), Arrival::duplicate);
  EXPECT_EQ(check.arrived(36), Arrival::late) << "beyond the 64 that are remembered";
  EXPECT_EQ(check.missing_of(100), 0u);
}

TEST(SequenceCheck, GapsWiderThanTheMemoryAreCounted) {
  SequenceCheck check;
  check.arrived(1);
  EXPECT_EQ(check.arrived(1000), Arrival::after_gap);
  EXPECT_EQ(check.missing_of(1000), 998u);
  EXPECT_EQ(check.arrived(999), Arrival::late);
  EXPECT_EQ(check.missing_of(1000), 997u);
}

TEST(LatencyHistogram, BucketsFollowEachOtherWithoutHoles) {
  unsigned last = 0;
  for (unsigned b = 0; b + 1 < LatencyHistogram::kBuckets; ++b) {
    uint64_t bound = LatencyHistogram::upper_bound(b);
    EXPECT_EQ(LatencyHistogram::bucket_of(bound), b);
    EXPECT_EQ(LatencyHistogram::bucket_of(bound + 1), b + 1);
    last = b;
  }
  EXPECT_EQ(last + 2, LatencyHistogram::kBuckets);
  EXPECT_EQ(LatencyHistogram::bucket_of(UINT64_MAX), LatencyHistogram::kBuckets - 1);
}

TEST(LatencyHistogram, QuantilesAreAtMostThreePercentOff) {
  LatencyHistogram h;
  for (uint64_t n = 1; n <= 1000; ++n) h.record(n * 1000);
  for (double q : {0.5, 0.99, 0.999}) {
    double exact = q * 1e6;
    EXPECT_GE(double(h.quantile(q)), exact * 0.999);
    EXPECT_LE(double(h.quantile(q)), exact * 1.032);
  }
  EXPECT_EQ(h.quantile(1), 1'000'000u) << "never above the largest record";
}

TEST(LatencyHistogram, MergingIsRecordingInOne) {
  LatencyHistogram a, b, both;
  for (uint64_t n : {5u, 70u, 900u}) a.record(n), both.record(n);
  for (uint64_t n : {1u, 100'000u}) b.record(n), both.record(n);
  a.merge(b);
  EXPECT_EQ(a.count(), both.count());
  EXPECT_EQ(a.max(), both.max());
  EXPECT_EQ(a.mean(), both.mean());
  EXPECT_EQ(a.quantile(0.5), both.quantile(0.5));
  EXPECT_EQ(LatencyHistogram().quantile(0.5), 0u);
}

TEST(Payload, ComesBackAsItWasWritten) {
  for (size_t bytes : {kMinPayloadBytes, kMinPayloadBytes + 1, size_t{4096}}) {
    std::string text;
    append_payload(text, {7, 123'456'789, 9'876'543'210'123}, bytes);
    EXPECT_EQ(text.size(), bytes);
    std::optional<Stamp> stamp = read_payload(text, 9'876'543'999'999);
    ASSERT_TRUE(stamp);
    EXPECT_EQ(stamp->addressee, 7u);
    EXPECT_EQ(stamp->sequence, 123'456'789u);
    EXPECT_EQ(stamp->due_ns, 9'876'543'210'123u);
    // Half a minute late, and early.
    EXPECT_EQ(read_payload(text, 9'906'543'210'123)->due_ns, 9'876'543'210'123u);
    EXPECT_EQ(read_payload(text, 9'876'543'000'000)->due_ns, 9'876'543'210'123u);
  }
}

TEST(Payload, DamagedOnesAreNotRead) {
  std::string text;
  append_payload(text, {7, 1, 2}, 100);
  EXPECT_FALSE(read_payload(text.substr(0, kMinPayloadBytes - 1), 3));
  for (size_t at : {size_t{0}, size_t{12}, size_t{30}, size_t{99}}) {
    std::string damaged = text;
    damaged[at] = '!';
    EXPECT_FALSE(read_payload(damaged, 3)) << at;
  }
  std::string zero;
  append_payload(zero, {7, 0, 2}, 100);
  EXPECT_FALSE(read_payload(zero, 3)) << "sequences start at 1";
}

TEST(Pacer, DueTimesDoNotDriftWhenSentLate) {
  Pacer pacer(1000, 0);
  EXPECT_TRUE(pacer.due(0));
  EXPECT_EQ(pacer.take(5'000'000), 0u);
  EXPECT_EQ(pacer.take(5'000'000), 1'000'000u);
  EXPECT_TRUE(pacer.due(2'000'000));
  EXPECT_FALSE(pacer.due(1'999'999));
  EXPECT_EQ(pacer.wake_ns(1'500'000), 1'500'000u);
  EXPECT_EQ(pacer.wake_ns(9'000'000), 2'000'000u);
}

TEST(Pacer, ABurstIsDueAtOnceAndTheRateIsTheSame) {
  Pacer pacer(1000, 0, 10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pacer.take(0), 0u);
  EXPECT_FALSE(pacer.due(9'999'999));
  EXPECT_EQ(pacer.take(10'000'000), 10'000'000u);
}

TEST(Pacer, WithoutARateEverythingIsDueNow) {
  Pacer pacer(0, 0);
  EXPECT_TRUE(pacer.due(0));
  EXPECT_EQ(pacer.take(77), 77u);
  EXPECT_EQ(pacer.wake_ns(99), 99u);
}

std::variant<Options, ExitCode> parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "holdfast-bench");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  auto parsed = parse_options(int(arguments.size()), arguments.data());
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return parsed;
}

TEST(BenchOptions, ProcessesAreAsManyAsTheirDescriptorsAllow) {
  auto parsed = parse({"idle", "100000", "-a", "127.0.0.1:1"});
  ASSERT_TRUE(std::holds_alternative<Options>(parsed));
  EXPECT_EQ(std::get<Options>(parsed).processes, 6u);
  EXPECT_EQ(std::get<Options>(parsed).connections, 100'000u);
  parsed = parse({"idle", "100000", "--processes", "2"});
  EXPECT_EQ(std::get<ExitCode>(parsed), kUsage);
}

TEST(BenchOptions, PushesGoOverHttpUnlessToldOtherwise) {
  auto options = std::get<Options>(parse({"unicast"}));
  EXPECT_EQ(options.push_protocol, PushProtocol::http);
  EXPECT_EQ(options.api->text, "127.0.0.1:8081");
  options = std::get<Options>(parse({"unicast", "--protocol", "resp", "--api", "127.0.0.1:1"}));
  EXPECT_EQ(options.push_protocol, PushProtocol::resp);
  options = std::get<Options>(parse({"resp-fanout", "-a", "127.0.0.1:2"}));
  EXPECT_EQ(options.push_protocol, PushProtocol::resp);
  EXPECT_EQ(options.api->text, "127.0.0.1:2");
  EXPECT_EQ(options.addressees(), 1u);
  options = std::get<Options>(parse({"resp-fanout", "--api", "127.0.0.1:3"}));
  EXPECT_EQ(options.address.text, "127.0.0.1:6379");
  EXPECT_EQ(options.api->text, "127.0.0.1:3");
}

TEST(BenchOptions, NonsenseIsAUsageError) {
  for (std::vector<const char*> arguments : {std::vector<const char*>{},
                                             {"connect"},
                                             {"connect", "0"},
                                             {"echo", "--payload", "10"},
                                             {"unicast", "--protocol", "nchan"},
                                             {"echo", "--duration", "999999"},
                                             {"echo", "-a", "localhost:80"},
                                             {"fanout", "-n", "2", "--channels", "3"},
                                             {"fanout", "--api", "nowhere"},
                                             {"fanout", "--protocol", "gopher"},
                                             {"resp-fanout", "-n", "2", "--channels", "3"}}) {
    auto parsed = parse(arguments);
    ASSERT_TRUE(std::holds_alternative<ExitCode>(parsed)) << testing::PrintToString(arguments);
    EXPECT_EQ(std::get<ExitCode>(parsed), kUsage);
  }
}

TEST(Accounting, ReadsAStatLineWhateverTheProgramIsCalled) {
  ProcStat stat;
  ASSERT_TRUE(parse_proc_stat(
      "42 (a) b (c)) S 7 42 42 0 -1 4194304 100 0 0 0 11 22 3 4 20 0 1 0 100 1000 10", &stat));
  EXPECT_EQ(stat.parent, 7);
  EXPECT_EQ(stat.cpu_ticks, 40u);
  EXPECT_FALSE(parse_proc_stat("42 (x) S 7 42", &stat));
  EXPECT_FALSE(parse_proc_stat("", &stat));
}

TEST(Accounting, ReadsTheRollup) {
  std::string text =
      "5500-5600 ---p 00000000 00:00 0 [rollup]\nRss:  900 kB\nPss:     12 kB\n"
      "Pss_Anon:        8 kB\n";
  EXPECT_EQ(parse_rollup(text, "Pss"), 12u * 1024);
  EXPECT_EQ(parse_rollup(text, "Pss_Anon"), 8u * 1024);
  EXPECT_EQ(parse_rollup(text, "Pss_Shmem"), 0u);
}

TEST(Accounting, CountsTheTreeBelowAProcess) {
  Result<Usage> usage = usage_of_tree(getpid());
  ASSERT_TRUE(usage) << usage.error().text();
  EXPECT_GE(usage->processes, 1u);
  EXPECT_GT(usage->pss_bytes, 0u);
  EXPECT_GT(usage->data_bytes, 0u);
  EXPECT_LE(usage->data_bytes, usage->pss_bytes);
}

TEST(Accounting, NoSuchProcessIsGone) {
  Result<Usage> usage = usage_of_tree(0x7fffffff);
  ASSERT_FALSE(usage);
  EXPECT_EQ(usage.error().code, Errc::gone);
}

Options fanout_options() {
  Options options;
  options.scenario = Scenario::fanout;
  options.connections = 10;
  options.processes = 1;
  return options;
}

TEST(Verdict, AnyLossIsBad) {
  Options options = fanout_options();
  Measured fine;
  fine.totals.connected = 10;
  fine.totals.received = 5;
  fine.published.delivered = 5;
  EXPECT_TRUE(fine.good(options));
  for (uint64_t Totals::*field :
       {&Totals::missing, &Totals::duplicates, &Totals::reordered, &Totals::misdirected,
        &Totals::malformed, &Totals::closed_early, &Totals::broken}) {
    Measured bad = fine;
    bad.totals.*field = 1;
    EXPECT_FALSE(bad.good(options));
  }
  Measured few = fine;
  few.totals.connected = 9;
  EXPECT_FALSE(few.good(options));
  Measured undelivered = fine;
  undelivered.published.delivered = 6;
  EXPECT_FALSE(undelivered.good(options));
  Measured refused = fine;
  refused.published.failures = 1;
  EXPECT_FALSE(refused.good(options));
}

TEST(Verdict, ASessionThatWasNotResumedIsBad) {
  Options options = fanout_options();
  options.scenario = Scenario::resume;
  Measured measured;
  measured.totals.connected = 10;
  measured.totals.resumed = 9;
  EXPECT_FALSE(measured.good(options));
  measured.totals.resumed = 10;
  EXPECT_TRUE(measured.good(options));
}

TEST(Report, JsonIsOneValidLine) {
  Measured measured;
  measured.totals.received = 1'000'000;
  measured.before = Usage{1, 0.5, 1000, 1000, 1};
  measured.connected = Usage{2, 1, 6000, 6000, 1};
  measured.loaded = Usage{4, 1.5, 6000, 6000, 1};
  measured.totals.connected = 10;
  std::string line = report_json(fanout_options(), measured);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  ASSERT_EQ(parser.parse(line).get(root), simdjson::SUCCESS) << line;
  double value = 0;
  ASSERT_EQ(root["server"]["cpu_us_per_message"].get(value), simdjson::SUCCESS);
  EXPECT_DOUBLE_EQ(value, 2.0);
  ASSERT_EQ(root["server"]["bytes_per_connection"].get(value), simdjson::SUCCESS);
  EXPECT_DOUBLE_EQ(value, 500.0);
  ASSERT_EQ(root["server"]["user_share"].get(value), simdjson::SUCCESS);
  EXPECT_DOUBLE_EQ(value, 0.25);
  ASSERT_EQ(root["server"]["cpu_us_per_connection"].get(value), simdjson::SUCCESS);
  EXPECT_DOUBLE_EQ(value, 100'000.0);
}

}  // namespace
}  // namespace holdfast::bench
