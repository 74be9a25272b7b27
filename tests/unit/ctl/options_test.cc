#include "ctl/options.h"

#include <gtest/gtest.h>

namespace holdfast::ctl {
namespace {

using Parsed = std::variant<Options, ExitCode>;
using Strings = std::vector<std::string>;

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "holdfastctl");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Parsed parsed = parse_options(int(arguments.size()), arguments.data());
  testing::internal::GetCapturedStdout();
  testing::internal::GetCapturedStderr();
  return parsed;
}

Options accepted(std::vector<const char*> arguments) {
  Parsed parsed = parse(std::move(arguments));
  EXPECT_TRUE(std::holds_alternative<Options>(parsed));
  Options* options = std::get_if<Options>(&parsed);
  return options != nullptr ? *options : Options{};
}

ExitCode refused(std::vector<const char*> arguments) {
  Parsed parsed = parse(std::move(arguments));
  EXPECT_TRUE(std::holds_alternative<ExitCode>(parsed));
  ExitCode* code = std::get_if<ExitCode>(&parsed);
  return code != nullptr ? *code : kFailure;
}

TEST(CtlOptions, DefaultInstanceIsHoldfast) {
  Options options = accepted({"workers"});
  EXPECT_EQ(options.verb, Verb::workers);
  EXPECT_EQ(options.instance, "holdfast");
  EXPECT_FALSE(options.json);
}

TEST(CtlOptions, HistoryIsFollowedForwardsAndWhole) {
  Options options =
      accepted({"history", "room", "--since", "yQkMXkWu:2", "--limit", "3", "--reverse"});
  EXPECT_EQ(options.verb, Verb::history);
  EXPECT_EQ(options.channels, Strings{"room"});
  EXPECT_EQ(options.since, "yQkMXkWu:2");
  EXPECT_EQ(options.limit, 3u);
  EXPECT_TRUE(options.reverse);
  EXPECT_TRUE(accepted({"history", "room", "--follow"}).follow);
  EXPECT_EQ(refused({"history"}), kUsage);
  EXPECT_EQ(refused({"history", "room", "--follow", "--reverse"}), kUsage);
  EXPECT_EQ(refused({"history", "room", "--follow", "--limit", "3"}), kUsage);
}

TEST(CtlOptions, GeneralOptionsMayStandOnEitherSideOfTheCommand) {
  EXPECT_EQ(accepted({"-i", "demo", "stats"}).instance, "demo");
  EXPECT_EQ(accepted({"stats", "-i", "demo"}).instance, "demo");
  EXPECT_TRUE(accepted({"--json", "stats"}).json);
  EXPECT_TRUE(accepted({"stats", "--json"}).json);
}

TEST(CtlOptions, ConfigurationAndInstanceExcludeEachOther) {
  EXPECT_EQ(accepted({"-c", "a.toml", "stats"}).config_file, "a.toml");
  EXPECT_EQ(refused({"-c", "a.toml", "-i", "demo", "stats"}), kUsage);
}

TEST(CtlOptions, InstanceNamesThatCouldBePathsAreRefused) {
  EXPECT_EQ(refused({"-i", "../x", "stats"}), kUsage);
  EXPECT_EQ(refused({"-i", "", "stats"}), kUsage);
  EXPECT_EQ(refused({"-i", "abcdefghijklmnopqrstuvwxyz0123456789", "stats"}), kUsage);
}

TEST(CtlOptions, UsageErrorsAreTwo) {
  EXPECT_EQ(refused({}), kUsage);
  EXPECT_EQ(refused({"frobnicate"}), kUsage);
  EXPECT_EQ(refused({"stats", "--nonsense"}), kUsage);
  EXPECT_EQ(refused({"session"}), kUsage);
  EXPECT_EQ(refused({"send", "abc"}), kUsage);
  EXPECT_EQ(refused({"publish", "room", "two", "words"}), kUsage);
  EXPECT_EQ(refused({"stats", "--interval", "2"}), kUsage);
  EXPECT_EQ(refused({"stats", "workers"}), kUsage);
  EXPECT_EQ(refused({"kick"}), kUsage);
  EXPECT_EQ(refused({"kick", "abc", "--channel", "room"}), kUsage);
  EXPECT_EQ(refused({"kick", "abc", "--user", "ann"}), kUsage);
  EXPECT_EQ(refused({"kick", "abc", "--code", "999"}), kUsage);
  EXPECT_EQ(refused({"join", "room"}), kUsage);
  EXPECT_EQ(refused({"leave", "room", "abc", "--user", "ann"}), kUsage);
  EXPECT_EQ(refused({"bind", "abc"}), kUsage);
  EXPECT_EQ(refused({"data", "abc", "replace", "a=b"}), kUsage);
  EXPECT_EQ(refused({"data", "abc", "merge"}), kUsage);
  EXPECT_EQ(refused({"data", "abc", "set", "novalue"}), kUsage);
  EXPECT_EQ(refused({"data", "abc", "set", "=v"}), kUsage);
  EXPECT_EQ(refused({"data", "abc", "set", "[a=b]"}), kUsage);
  EXPECT_EQ(refused({"trace", "room"}), kUsage);
  EXPECT_EQ(refused({"trace", "worker", "1"}), kUsage);
  EXPECT_EQ(refused({"top", "--interval", "10ms"}), kUsage);
  EXPECT_EQ(refused({"top", "--interval", "soon"}), kUsage);
  EXPECT_EQ(refused({"top", "--count", "0"}), kUsage);
  EXPECT_EQ(refused({"sessions", "--limit", "-1"}), kUsage);
}

// What is said on stdout and stderr.
std::pair<std::string, std::string> said(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "holdfastctl");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  parse_options(int(arguments.size()), arguments.data());
  std::string out = testing::internal::GetCapturedStdout();
  return {out, testing::internal::GetCapturedStderr()};
}

TEST(CtlOptions, UnknownCommandIsNamedWithTheNearestOne) {
  auto [out, err] = said({"sesions", "--limit", "3"});
  EXPECT_NE(err.find("\"sesions\", did you mean \"sessions\"?"), std::string::npos) << err;
  EXPECT_EQ(out, "");
  EXPECT_NE(said({"-i", "demo", "frobnicate"}).second.find("\"frobnicate\""), std::string::npos);
}

TEST(CtlOptions, UsageErrorIsALineOfJsonWhereThatWasAskedFor) {
  auto [out, err] = said({"kick", "--json"});
  EXPECT_TRUE(out.starts_with("{\"error\":{\"code\":\"usage\",")) << out;
  EXPECT_EQ(out.find('\n'), out.size() - 1);
  EXPECT_EQ(err, "");
  EXPECT_EQ(said({"publish", "--", "--json"}).first, "") << "behind -- it is a word";
}

TEST(CtlOptions, HelpAndVersionAreNoFailures) {
  EXPECT_EQ(refused({"--help"}), kOk);
  EXPECT_EQ(refused({"send", "--help"}), kOk);
  EXPECT_EQ(refused({"--version"}), kOk);
}

TEST(CtlOptions, SendTakesIdsSeparatedByCommas) {
  Options options = accepted({"send", "a1,b2", "hello, world"});
  EXPECT_EQ(options.sessions, (Strings{"a1", "b2"}));
  EXPECT_EQ(options.message, "hello, world");
}

TEST(CtlOptions, MessagesAreTakenLiterally) {
  for (const char* data : {"-", "[1,2]", "{\"a\":1}", "\"quoted\"", "a b", ""})
    EXPECT_EQ(accepted({"publish", "room", data}).message, data);
  EXPECT_EQ(accepted({"publish", "room", "--", "-5"}).message, "-5");
  EXPECT_EQ(accepted({"publish", "a,b[c]", "x"}).channels, std::vector<std::string>{"a,b[c]"});
}

TEST(CtlOptions, JoinTakesTheChannelFirst) {
  Options options = accepted({"join", "room", "a1", "b2"});
  EXPECT_EQ(options.verb, Verb::join);
  EXPECT_EQ(options.channels, std::vector<std::string>{"room"});
  EXPECT_EQ(options.sessions, (Strings{"a1", "b2"}));
}

TEST(CtlOptions, KickCarriesCodeAndReason) {
  Options options = accepted({"kick", "a1", "--code", "4001", "--reason", "spam, twice"});
  EXPECT_EQ(options.code, 4001);
  EXPECT_EQ(options.reason, "spam, twice");
  EXPECT_EQ(accepted({"kick", "--channel", "room"}).channels, std::vector<std::string>{"room"});
}

TEST(CtlOptions, AddresseesMayBeNamedAgainAndAgain) {
  Options options = accepted({"publish", "--channel", "[two]", "one", "--channel", "three", "text",
                              "--exclude", "a1,b2", "--exclude", "c3", "--id", "k"});
  EXPECT_EQ(options.channels, (Strings{"one", "[two]", "three"}));
  EXPECT_EQ(options.message, "text");
  EXPECT_EQ(options.exclude, (Strings{"a1", "b2", "c3"}));
  EXPECT_EQ(options.key, "k");
  EXPECT_EQ(accepted({"send-user", "a,b", "x", "--user", "c"}).users, (Strings{"a,b", "c"}));
  EXPECT_EQ(accepted({"join", "room", "--user", "ann"}).users, (Strings{"ann"}));
}

TEST(CtlOptions, DataTakesAnActionAndPairs) {
  EXPECT_EQ(accepted({"data", "a1"}).action, DataAction::get);
  Options options = accepted({"data", "a1", "merge", "k=v=w", "empty=", "list=[1,2]", "t=-5"});
  EXPECT_EQ(options.action, DataAction::merge);
  EXPECT_EQ(options.pairs, (std::vector<std::pair<std::string, std::string>>{
                               {"k", "v=w"}, {"empty", ""}, {"list", "[1,2]"}, {"t", "-5"}}));
  EXPECT_EQ(accepted({"data", "a1", "set"}).action, DataAction::set) << "no data any more";
}

TEST(CtlOptions, TraceNamesOneSubject) {
  Options options = accepted({"trace", "channel", "[room]", "--duration", "30s"});
  EXPECT_EQ(options.subject, Subject::channel);
  EXPECT_EQ(options.channels, (Strings{"[room]"}));
  EXPECT_EQ(options.duration_ms, 30'000u);
  EXPECT_EQ(accepted({"trace", "session", "a1"}).sessions, (Strings{"a1"}));
  EXPECT_EQ(accepted({"trace", "user", "ann"}).users, (Strings{"ann"}));
}

TEST(CtlOptions, IntervalsHaveUnitsOrAreSeconds) {
  EXPECT_EQ(parse_interval("500ms"), 500u);
  EXPECT_EQ(parse_interval("2s"), 2000u);
  EXPECT_EQ(parse_interval("0.5"), 500u);
  EXPECT_EQ(parse_interval("1m"), 60'000u);
  for (const char* wrong : {"", "s", "-1", "1x", "nan", "inf", "1e300"})
    EXPECT_FALSE(parse_interval(wrong)) << wrong;
  EXPECT_EQ(accepted({"top"}).interval_ms, 1000u);
  EXPECT_EQ(accepted({"stats", "--watch", "--interval", "0.5"}).interval_ms, 500u);
}

TEST(CtlOptions, CountersTakesAnyNumberOfNames) {
  EXPECT_EQ(accepted({"counters"}).verb, Verb::counters);
  EXPECT_EQ(accepted({"counters", "push", "pings.sent"}).names, (Strings{"push", "pings.sent"}));
}

TEST(CtlOptions, StopIsGracefulOnlyWhenAsked) {
  EXPECT_FALSE(accepted({"stop"}).graceful);
  EXPECT_TRUE(accepted({"stop", "--graceful"}).graceful);
}

}  // namespace
}  // namespace holdfast::ctl
