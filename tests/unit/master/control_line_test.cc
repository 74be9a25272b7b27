#include "master/control_line.h"

#include <gtest/gtest.h>

namespace holdfast::master {
namespace {

using State = RequestLine::State;

TEST(ControlLine, KnowsExactlyItsFiveRequests) {
  EXPECT_EQ(parse_request("reload"), Request::reload);
  EXPECT_EQ(parse_request("stop"), Request::stop);
  EXPECT_EQ(parse_request("quit"), Request::quit);
  EXPECT_EQ(parse_request("reopen-logs"), Request::reopen_logs);
  EXPECT_EQ(parse_request("ping"), Request::ping);
  for (const char* other : {"", "Reload", "reload ", "reloads", "stop now"})
    EXPECT_FALSE(parse_request(other)) << other;
}

TEST(ControlLine, IsWholeOnlyWithItsEndHoweverItArrives) {
  RequestLine line;
  for (char c : std::string("reload")) EXPECT_EQ(line.feed({&c, 1}), State::more);
  EXPECT_EQ(line.feed("\n"), State::whole);
  EXPECT_EQ(line.text(), "reload");
}

TEST(ControlLine, LeavesOutCarriageReturnAndWhatFollowsTheLine) {
  RequestLine line;
  EXPECT_EQ(line.feed("ping\r\nstop\n"), State::whole);
  EXPECT_EQ(line.text(), "ping");
}

TEST(ControlLine, TakesEndOfFileAsLineEnd) {
  RequestLine line;
  line.feed("ping");
  EXPECT_EQ(line.end(), State::whole);
  EXPECT_EQ(line.text(), "ping");
}

TEST(ControlLine, IsRefusedAbove256BytesWithItsEnd) {
  RequestLine fits, too_long, endless;
  EXPECT_EQ(fits.feed(std::string(255, 'x') + "\n"), State::whole);
  EXPECT_EQ(too_long.feed(std::string(256, 'x') + "\n"), State::too_long);
  EXPECT_EQ(endless.feed(std::string(100'000, 'x')), State::too_long);
}

TEST(ControlLine, AnswersStatusFirstThenDetailsALineEach) {
  EXPECT_EQ(wire_text({true, "done", {}}), "ok done\n");
  EXPECT_EQ(wire_text({false, "two\nproblems", {"a", "b"}}), "error two problems\na\nb\n");
}

}  // namespace
}  // namespace holdfast::master
