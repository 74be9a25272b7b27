#include "ctl/options.h"

#include <gtest/gtest.h>

namespace holdfast::ctl {
namespace {

using Parsed = std::variant<Options, ExitCode>;

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
  EXPECT_EQ(refused({"kick", "abc", "--code", "999"}), kUsage);
  EXPECT_EQ(refused({"sessions", "--limit", "-1"}), kUsage);
}

TEST(CtlOptions, HelpAndVersionAreNoFailures) {
  EXPECT_EQ(refused({"--help"}), kOk);
  EXPECT_EQ(refused({"send", "--help"}), kOk);
  EXPECT_EQ(refused({"--version"}), kOk);
}

TEST(CtlOptions, SendTakesIdsSeparatedByCommas) {
  Options options = accepted({"send", "a1,b2", "hello, world"});
  EXPECT_EQ(options.sessions, (std::vector<std::string>{"a1", "b2"}));
  EXPECT_EQ(options.data, "hello, world");
}

TEST(CtlOptions, MessagesAreTakenLiterally) {
  for (const char* data : {"-", "[1,2]", "{\"a\":1}", "\"quoted\"", "a b", ""})
    EXPECT_EQ(accepted({"publish", "room", data}).data, data);
  EXPECT_EQ(accepted({"publish", "room", "--", "-5"}).data, "-5");
  EXPECT_EQ(accepted({"publish", "a,b[c]", "x"}).channel, "a,b[c]");
}

TEST(CtlOptions, JoinTakesTheChannelFirst) {
  Options options = accepted({"join", "room", "a1", "b2"});
  EXPECT_EQ(options.verb, Verb::join);
  EXPECT_EQ(options.channel, "room");
  EXPECT_EQ(options.sessions, (std::vector<std::string>{"a1", "b2"}));
}

TEST(CtlOptions, KickCarriesCodeAndReason) {
  Options options = accepted({"kick", "a1", "--code", "4001", "--reason", "spam, twice"});
  EXPECT_EQ(options.code, 4001);
  EXPECT_EQ(options.reason, "spam, twice");
  EXPECT_EQ(accepted({"kick", "--channel", "room"}).channel, "room");
}

TEST(CtlOptions, StopIsGracefulOnlyWhenAsked) {
  EXPECT_FALSE(accepted({"stop"}).graceful);
  EXPECT_TRUE(accepted({"stop", "--graceful"}).graceful);
}

}  // namespace
}  // namespace holdfast::ctl
