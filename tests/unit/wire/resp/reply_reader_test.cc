// Replies of Redis servers, however the network cuts them.
#include "wire/resp/reply_reader.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/every_division.h"
#include "wire/resp/reply_writer.h"

namespace holdfast::resp {
namespace {

using Status = ReplyReader::Status;
using test::Pieces;
using test::Told;

constexpr ReplyBounds kBounds{.bytes = 300, .elements = 12, .depth = 3};

std::string text_of(const ReplyElement& element) {
  static constexpr const char* kNames[] = {"null", "status", "error", "integer",  "bulk",
                                           "real", "bool",   "big",   "verbatim", "array",
                                           "set",  "map",    "push",  "attribute"};
  std::string text = kNames[size_t(element.kind)];
  bool numeric = element.kind == ReplyKind::integer || element.kind == ReplyKind::boolean ||
                 element.kind >= ReplyKind::array;
  if (numeric) return text + ":" + std::to_string(element.number);
  return element.kind == ReplyKind::null ? text : text.append("=").append(element.text);
}

// Each reply as its elements, one behind the other. The reader gets the bytes at a new place in memory each time.
Told run(const Pieces& pieces) {
  Told told;
  ReplyReader reader(kBounds);
  std::string held;
  for (const std::string& piece : pieces) {
    held += piece;
    for (;;) {
      std::string copy = held;
      Status status = reader.read(copy);
      if (status == Status::need_more) break;
      if (status == Status::error) {
        told.push_back("error: " + std::string(reader.error_text()));
        return told;
      }
      std::string line;
      for (const ReplyElement& element : reader.elements())
        line += (line.empty() ? "" : " ") + text_of(element);
      told.push_back(line);
      held.erase(0, reader.used());
      reader.next();
    }
  }
  if (!held.empty()) told.emplace_back("unfinished");
  return told;
}

void expect_told(const std::string& bytes, const Told& told) {
  SCOPED_TRACE(bytes.substr(0, 80));
  test::expect_told(bytes, told, run);
}

TEST(RespReply, LinesAndNumbersAreRead) {
  expect_told("+OK\r\n-ERR no\r\n:12\r\n:-3\r\n:0\r\n+\r\n",
              {"status=OK", "error=ERR no", "integer:12", "integer:-3", "integer:0", "status="});
  expect_told(":9223372036854775807\r\n:-9223372036854775808\r\n",
              {"integer:9223372036854775807", "integer:-9223372036854775808"});
}

TEST(RespReply, BulksHaveAnyBytes) {
  expect_told("$0\r\n\r\n$6\r\n\r\n:1\r\n\r\n$-1\r\n", {"bulk=", "bulk=\r\n:1\r\n", "null"});
  expect_told(std::string("$3\r\na\0\xff\r\n", 9), {std::string("bulk=a\0\xff", 8)});
}

TEST(RespReply, AggregatesAreToldInTheOrderOfTheWire) {
  expect_told("*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n:1\r\n",
              {"array:3 bulk=message bulk=c bulk=hi", "integer:1"});
  expect_told("*2\r\n*2\r\n:1\r\n*0\r\n*1\r\n$-1\r\n*0\r\n*-1\r\n",
              {"array:2 array:2 integer:1 array:0 array:1 null", "array:0", "null"});
}

TEST(RespReply, VersionThreeIsReadToo) {
  expect_told("_\r\n#t\r\n#f\r\n,1.5\r\n,-inf\r\n,1e3\r\n(-123456789012345678901\r\n",
              {"null", "bool:1", "bool:0", "real=1.5", "real=-inf", "real=1e3",
               "big=-123456789012345678901"});
  expect_told("!5\r\nERR\r\n\r\n=8\r\ntxt:text\r\n", {"error=ERR\r\n", "verbatim=txt:text"});
  expect_told("%2\r\n+a\r\n:1\r\n+b\r\n~1\r\n_\r\n",
              {"map:4 status=a integer:1 status=b set:1 null"});
  expect_told(">3\r\n+message\r\n+c\r\n+hi\r\n", {"push:3 status=message status=c status=hi"});
}

TEST(RespReply, AttributesStandBeforeTheirElement) {
  expect_told("|1\r\n+ttl\r\n:3\r\n+OK\r\n", {"attribute:2 status=ttl integer:3 status=OK"});
  expect_told("*2\r\n|1\r\n+a\r\n_\r\n:1\r\n:2\r\n",
              {"array:2 attribute:2 status=a null integer:1 integer:2"});
}

TEST(RespReply, WhatNoServerSendsIsRefused) {
  struct Row {
    const char *bytes, *why;
  };
  const Row rows[] = {
      {"HTTP/1.1 400 Bad Request\r\n", "unknown kind of reply"},
      {"\r\n", "unknown kind of reply"},
      {"+a\nb\r\n", "LF without CR"},
      {"+a\rb\r\n", "CR without LF"},
      {":x\r\n", "malformed number"},
      {":\r\n", "malformed number"},
      {":+1\r\n", "malformed number"},
      {":01\r\n", "malformed number"},
      {":-0\r\n", "malformed number"},
      {":9223372036854775808\r\n", "malformed number"},
      {":99999999999999999999", "malformed number"},
      {",1.5x\r\n", "malformed number"},
      {",\r\n", "malformed number"},
      {"(1-2\r\n", "malformed number"},
      {"(\r\n", "malformed number"},
      {"_x\r\n", "malformed null or boolean"},
      {"#x\r\n", "malformed null or boolean"},
      {"$-2\r\n", "malformed length"},
      {"$x\r\n", "malformed length"},
      {"$?\r\n", "malformed length"},
      {"!-1\r\n", "malformed length"},
      {"%-1\r\n", "malformed length"},
      {"*x\r\n", "malformed length"},
      {"$2\r\nabc\r\n", "no CR LF behind a text"},
      {"$2\r\nab\rc", "no CR LF behind a text"},
      {"=3\r\ntxt\r\n", "verbatim text without kind"},
      {"=4\r\ntext\r\n", "verbatim text without kind"},
  };
  for (const Row& row : rows) expect_told(row.bytes, {std::string("error: ") + row.why});
}

TEST(RespReply, BoundsAreKept) {
  expect_told("$290\r\n" + std::string(290, 'x') + "\r\n", {"bulk=" + std::string(290, 'x')});
  expect_told("$293\r\n", {"error: too long a reply"});
  expect_told("+" + std::string(297, 'x') + "\r\n", {"status=" + std::string(297, 'x')});
  expect_told("+" + std::string(298, 'x'), {"error: too long a reply"});
  expect_told("*2\r\n$100\r\n" + std::string(100, 'x') + "\r\n$190\r\n",
              {"error: too long a reply"});
  expect_told("*12\r\n", {"error: too many elements"});
  expect_told("*11\r\n", {"unfinished"});
  expect_told("%6\r\n", {"error: too many elements"});
  expect_told("*10\r\n*2\r\n", {"error: too many elements"});
  expect_told("*1000000000000000000\r\n", {"error: malformed length"});
  expect_told("*100000000000000000\r\n", {"error: too many elements"});
  expect_told("*1\r\n*1\r\n*1\r\n:1\r\n", {"array:1 array:1 array:1 integer:1"});
  expect_told("*1\r\n*1\r\n*1\r\n*1\r\n", {"error: too deep a reply"});
}

// A reader that began anew with every piece would look at half a billion bytes here.
TEST(RespReply, ABigReplyInSmallPiecesIsLookedAtOnce) {
  std::string reply = "*1001\r\n";
  for (int i = 0; i < 1000; ++i) reply += "$1000\r\n" + std::string(1000, 'x') + "\r\n";
  ReplyReader reader({.bytes = 1 << 21});
  for (size_t have = 0; have < reply.size(); have += 1000)
    ASSERT_EQ(reader.read(std::string_view(reply).substr(0, have)), Status::need_more);
  reply += "$0\r\n\r\n";
  // Everything before the last element is not looked at again: it may even have become nonsense.
  std::fill(reply.begin() + 1, reply.end() - 1100, '?');
  EXPECT_EQ(reader.read(reply), Status::complete);
  EXPECT_EQ(reader.elements().size(), 1002u);
}

TEST(RespReply, ErrorStays) {
  ReplyReader reader;
  ASSERT_EQ(reader.read("x"), Status::error);
  reader.next();
  EXPECT_EQ(reader.read("+OK\r\n"), Status::error);
}

TEST(RespReply, ReadsWhatTheServerWrites) {
  for (int version : {2, 3}) {
    ReplyWriter out(version);
    out.map(1).bulk("k").set(1).null().text("# Server").push(1).error("ERR no\r\nway");
    Told told =
        version == 2
            ? Told{"array:2 bulk=k array:1 null", "bulk=# Server", "array:1 error=ERR no  way"}
            : Told{"map:2 bulk=k set:1 null", "verbatim=txt:# Server", "push:1 error=ERR no  way"};
    expect_told(std::string(out.bytes()), told);
  }
}

TEST(RespReply, DamagedBytesAreToldTheSameInAnyDivision) {
  test::DamagedBytes damaged(
      "*3\r\n$7\r\nmessage\r\n%1\r\n+a\r\n:12\r\n$-1\r\n-ERR x\r\n_\r\n#t\r\n,1.5\r\n"
      "=5\r\ntxt:a\r\n|1\r\n+a\r\n+b\r\n*0\r\n",
      "*$:+-%|>_#,(!=\r\n019");
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = damaged.next();
    ASSERT_EQ(run({bytes}), run(damaged.cut(bytes))) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace holdfast::resp
