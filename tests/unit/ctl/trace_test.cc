#include "ctl/trace.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace holdfast::ctl {
namespace {

std::string text_of(const std::string& line, bool session_known = false) {
  Result<std::string> text = trace_text(line, session_known);
  return text ? *text : "error: " + text.error().text();
}

class TraceText : public testing::Test {
 protected:
  void SetUp() override {
    setenv("TZ", "UTC", 1);
    tzset();
  }
};

TEST_F(TraceText, ShowsTimeWorkerEventAndAllThatApplies) {
  constexpr const char* kLine =
      R"({"at_ms":45296789,"worker":1,"event":"message",)"
      R"("session":"0001000000009c15f0b7b2f7b772a205","user":"ann","bytes":12,"detail":"d"})";
  EXPECT_EQ(text_of(kLine),
            "12:34:56.789 w1 message   0001000000009c15f0b7b2f7b772a205 (ann) 12 B  d\n");
  EXPECT_EQ(text_of(kLine, true), "12:34:56.789 w1 message   0001..05 (ann) 12 B  d\n");
}

TEST_F(TraceText, LeavesOutWhatDoesNotApply) {
  EXPECT_EQ(
      text_of(R"({"at_ms":45296005,"worker":0,"event":"publish","channel":"room","bytes":0})"),
      "12:34:56.005 w0 publish   #room 0 B\n");
  EXPECT_EQ(text_of(R"({"at_ms":45296005,"worker":0,"event":"open"})"), "12:34:56.005 w0 open\n");
}

TEST_F(TraceText, LinesThatAreMissingAreCounted) {
  EXPECT_EQ(text_of(R"({"at_ms":45296005,"worker":2,"event":"lost","lines":1234})"),
            "12:34:56.005 w2 lost      1,234 lines were left out\n");
}

TEST_F(TraceText, NothingFromOutsideSteersTheTerminal) {
  std::string text =
      text_of(R"({"at_ms":1,"worker":0,"event":"\u001b","session":"\u001b[2J","user":"\n",)"
              R"("channel":"\u009b",)"
              R"("detail":"\u001b]0;x\u0007"})");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\n'), text.size() - 1);
}

TEST_F(TraceText, LineThatIsNoObjectIsAnError) {
  for (const char* line : {"", "x", "[]", "{\"a\":"}) EXPECT_FALSE(trace_text(line, false)) << line;
}

TEST(TraceReader, LinesComeOutWholeHoweverTheBytesAreCut) {
  std::string_view bytes =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "8\r\n{\"a\":1}\n\r\n3\r\n{\"b\r\n6\r\n\":2}\n{\r\n0\r\n\r\n";
  for (size_t piece = 1; piece <= bytes.size(); ++piece) {
    TraceReader reader;
    std::string lines;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      std::string now;
      ASSERT_TRUE(reader.feed(bytes.substr(at, piece), now));
      EXPECT_TRUE(now.empty() || now.back() == '\n');
      lines += now;
    }
    EXPECT_EQ(lines, "{\"a\":1}\n{\"b\":2}\n") << piece;
    EXPECT_TRUE(reader.at_end());
    EXPECT_EQ(reader.status(), 200);
  }
}

TEST(TraceReader, AnswersThatAreNoTraceAreTold) {
  std::string lines;
  TraceReader refused;
  ASSERT_TRUE(refused.feed("HTTP/1.1 503 X\r\nContent-Length: 2\r\n\r\n{}", lines));
  EXPECT_EQ(refused.status(), 503);
  TraceReader plain;
  EXPECT_FALSE(plain.feed("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", lines));
  EXPECT_EQ(lines, "");
}

TEST(TraceReader, LineWithoutAnEndIsGivenUp) {
  TraceReader reader;
  std::string lines;
  ASSERT_TRUE(
      reader.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1ffffff\r\n", lines));
  EXPECT_FALSE(reader.feed(std::string(kMaxTraceLine + 1, 'x'), lines));
}

TEST(TracePath, NamesOneSubject) {
  Options options;
  options.sessions = {"ab"};
  EXPECT_EQ(trace_path(options), "/v1/trace?session=ab");
  options.subject = Subject::user;
  options.users = {"a b"};
  EXPECT_EQ(trace_path(options), "/v1/trace?user=a%20b");
  options.subject = Subject::channel;
  options.channels = {"x&y"};
  EXPECT_EQ(trace_path(options), "/v1/trace?channel=x%26y");
}

}  // namespace
}  // namespace holdfast::ctl
