// Requests of Redis clients, however the network cuts them.

#include "wire/resp/request_reader.h"

#include <gtest/gtest.h>

#include "tests/unit/every_division.h"

namespace holdfast::resp {
namespace {

using Status = RequestReader::Status;
using test::Pieces;
using test::Told;

constexpr Bounds kBounds{.request_bytes = 1024 * 1024};

// What a connection would be told: requests as "[a|b]", "empty", "error: why". The reader gets the bytes
// at a new place in memory each time.
Told run(const Pieces& pieces, const Bounds& bounds = kBounds) {
  Told told;
  RequestReader reader;
  std::string held;
  for (const std::string& piece : pieces) {
    held += piece;
    for (;;) {
      std::string copy = held;
      Status status = reader.read(copy, bounds);
      if (status == Status::need_more) {
        held.erase(0, reader.skipped());
        break;
      }
      if (status == Status::error) {
        told.push_back("error: " + reader.error());
        return told;
      }
      std::string line = status == Status::too_long ? "too long: " + reader.error() : "empty";
      if (status == Status::complete) {
        line.clear();
        for (std::string_view a : reader.arguments()) (line += line.empty() ? '[' : '|') += a;
        line += ']';
      }
      told.push_back(line);
      held.erase(0, reader.used());
      reader.next();
    }
  }
  if (!held.empty() || reader.started())
    told.push_back(reader.started() ? "unfinished" : "forgotten");
  return told;
}

void expect_told(const std::string& bytes, const Told& told) {
  SCOPED_TRACE(bytes.substr(0, 80));
  test::expect_told(bytes, told, [](const Pieces& pieces) { return run(pieces); });
}

TEST(RespRequest, AnArrayOfBulkStringsIsOneRequest) {
  expect_told("*1\r\n$4\r\nPING\r\n", {"[PING]"});
  expect_told("*3\r\n$7\r\nPUBLISH\r\n$1\r\nc\r\n$0\r\n\r\n", {"[PUBLISH|c|]"});
  expect_told(std::string("*1\r\n$6\r\na\r\n\0\xff*\r\n", 16), {std::string("[a\r\n\0\xff*]", 8)});
}

TEST(RespRequest, ManyInOnePieceAreToldOneAfterTheOther) {
  expect_told("*1\r\n$4\r\nPING\r\nECHO a\r\n*2\r\n$4\r\nECHO\r\n$1\r\nb\r\nPING\n",
              {"[PING]", "[ECHO|a]", "[ECHO|b]", "[PING]"});
}

TEST(RespRequest, ArraysAndLinesWithoutAWordAreEmpty) {
  expect_told("*0\r\n*-1\r\n\r\n \t \r\n\nPING\r\n",
              {"empty", "empty", "empty", "empty", "empty", "[PING]"});
}

TEST(RespRequest, ALineIsSplitByRedisRules) {
  expect_told("PING a\tb\r\n", {"[PING|a|b]"});
  expect_told("  PING  a  \n", {"[PING|a]"});
  expect_told("PING ''\r\n", {"[PING|]"});
  expect_told("'' a\r\n", {"[|a]"});
  expect_told("PING 'a\\'b\\n'\r\n", {"[PING|a'b\\n]"});
  expect_told("PING \"a\\n\\x41\\q\\\"z\"\r\n", {"[PING|a\nAq\"z]"});
  expect_told("PING \"\\xzz\\r\\t\\b\\a\\\\\"\r\n", {"[PING|xzz\r\t\b\a\\]"});
  expect_told("PING foo\"b c\" d\r\n", {"[PING|foob c|d]"});
  expect_told("PING \va\r\n", {"[PING|a]"});
  expect_told("PING a\vb\r\n", {"[PING|a\vb]"});
}

struct BadCase {
  std::string bytes;
  std::string error;
};

// The words are those of redis-server 7.0.15, but where it would have accepted the bytes (the last two).
const BadCase kBad[] = {
    {"*x\r\n", "invalid multibulk length"},
    {"*\r\n", "invalid multibulk length"},
    {"*-0\r\n", "invalid multibulk length"},
    {"*01\r\n", "invalid multibulk length"},
    {"*+1\r\n", "invalid multibulk length"},
    {"*1048577\r\n", "invalid multibulk length: a request has 16384 arguments at most"},
    {"*2147483648\r\n", "invalid multibulk length: a request has 16384 arguments at most"},
    {"*99999999999999999999999\r\n", "invalid multibulk length"},
    {"*1\r\nx\r\n", "expected '$', got 'x'"},
    {"*1\r\n*1\r\n", "expected '$', got '*'"},
    {"*1\r\n$x\r\n", "invalid bulk length"},
    {"*1\r\n$-1\r\n", "invalid bulk length"},
    {"*1\r\n$01\r\n", "invalid bulk length"},
    {"*1\r\n$+4\r\nPING\r\n", "invalid bulk length"},
    {"*1\r\n$\r\n", "invalid bulk length"},
    {"*1\r\n$9999999999\r\n",
     "invalid bulk length: a request has 1048576 bytes at most (max_body)"},
    {"*1\r\n$99999999999999999999\r\n", "invalid bulk length"},
    {"'abc\r\n", "unbalanced quotes in request"},
    {"\"abc\\\"\r\n", "unbalanced quotes in request"},
    {"\"a\"b\r\n", "unbalanced quotes in request"},
    {"PING 'a'b\r\n", "unbalanced quotes in request"},
    {"*1\n$4\nPING\n", "invalid multibulk length"},
    {"*1\r\n$4\r\nPINGxx", "bulk string without CRLF at its end"},
};

TEST(RespRequest, WhatIsNoRequestIsAnErrorInRedisWords) {
  for (const BadCase& bad : kBad) expect_told(bad.bytes, {"error: " + bad.error});
}

TEST(RespRequest, ALineThatDoesNotEndIsNotKept) {
  Told told{"error: too big inline request"};
  EXPECT_EQ(run({std::string(70'000, 'x')}), told);
  EXPECT_EQ(run({std::string(kMaxLineBytes + 1, 'x') + "\n"}), told);
  EXPECT_EQ(run(Pieces(70, std::string(1'000, 'x'))), told);
  Pieces pieces{std::string(kMaxLineBytes, 'x'), "x", "\n"};
  EXPECT_EQ(run(pieces), told);
}

TEST(RespRequest, AnErrorComesBehindWhatWasGood) {
  expect_told("PING\r\n*1\r\n$4\r\nPING\r\n*1\r\n:4\r\n",
              {"[PING]", "[PING]", "error: expected '$', got ':'"});
}

TEST(RespRequest, BoundsHoldToTheByte) {
  std::string request = "*2\r\n$4\r\nECHO\r\n$10\r\n0123456789\r\n";
  Bounds fits{.request_bytes = request.size()};
  EXPECT_EQ(run({request}, fits), Told{"[ECHO|0123456789]"});
  EXPECT_EQ(run({request + request}, fits).size(), 2u) << "the bound is that of one request";
  fits.request_bytes -= 1;
  EXPECT_EQ(run({request}, fits), Told{"too long: a request of 31 bytes; 30 are taken (max_body)"});
  fits.request_bytes = 20;  // not even the head of the second
  EXPECT_EQ(run({request}, fits), Told{"too long: a request of 31 bytes; 20 are taken (max_body)"});
  EXPECT_EQ(run({"ECHO 0123456789abcd\r\n"}, fits), Told{"[ECHO|0123456789abcd]"});
  EXPECT_EQ(run({"ECHO 0123456789abcdef\r\n"}, fits), Told{"error: too big inline request"});
  EXPECT_EQ(run({std::string(kMaxLineBytes, 'x') + "\n"}).size(), 1u);
}

TEST(RespRequest, AsManyArgumentsAsTheBoundAllows) {
  std::string request = "*16384\r\n";
  for (size_t i = 0; i < kMaxArguments; ++i) request += "$0\r\n\r\n";
  RequestReader reader;
  ASSERT_EQ(reader.read(request, kBounds), Status::complete);
  EXPECT_EQ(reader.arguments().size(), kMaxArguments);
  EXPECT_EQ(reader.used(), request.size());
  std::string line;
  for (size_t i = 0; i < kMaxArguments + 1; ++i) line += "a ";
  EXPECT_EQ(run({line + "\n"}), Told{"error: too big inline request"});
}

// However it is cut; and of all that is passed over nothing is kept.
TEST(RespRequest, OneThatIsTooLongIsPassedOver) {
  Bounds bounds{.request_bytes = 100};
  std::string request =
      "*3\r\n$7\r\nPUBLISH\r\n$200\r\n" + std::string(200, '\r') + "\r\n$1\r\nx\r\n";
  Told told{"[PING]",
            "too long: a request of " + std::to_string(request.size()) +
                " bytes; 100 are taken (max_body)",
            "[PING]"};
  test::expect_told("PING\r\n" + request + "PING\r\n", told,
                    [&](const Pieces& pieces) { return run(pieces, bounds); });
  Told lost{"error: bulk string without CRLF at its end"};
  EXPECT_EQ(run({"*1\r\n$100\r\n", std::string(100, 'x'), "\r", "x"}, bounds), lost);
  EXPECT_EQ(run({"*2\r\n$100\r\n" + std::string(100, 'x') + "\r\n:"}, bounds),
            Told{"error: expected '$', got ':'"});
  EXPECT_EQ(run({"*2\r\n$100\r\n" + std::string(100, 'x') + "\r\n$-1\r\n"}, bounds),
            Told{"error: invalid bulk length"});
  EXPECT_EQ(run({"*2\r\n$100\r\n" + std::string(100, 'x')}, bounds), Told{"unfinished"});
}

TEST(RespRequest, OneOfTooManyArgumentsIsPassedOver) {
  std::string request = "*16385\r\n";
  for (size_t i = 0; i < kMaxArguments + 1; ++i) request += "$1\r\na\r\n";
  EXPECT_EQ(run({request + "PING\r\n"}),
            (Told{"too long: a request of 16385 arguments; 16384 are taken", "[PING]"}));
}

TEST(RespRequest, AsMuchIsPassedOverAsTheBoundAllows) {
  RequestReader reader;
  std::string head = "*1\r\n$67108847\r\n";  // 64 MiB with its head and its end
  ASSERT_EQ(reader.read(head, kBounds), Status::need_more);
  EXPECT_EQ(reader.skipped(), head.size());
  EXPECT_TRUE(reader.started());
  RequestReader other;  // of a process that goes on with it
  other.go_on_with(reader.skip());
  EXPECT_TRUE(other.started());
  std::string some(1024 * 1024, 'x');
  for (size_t left = 67'108'847; left > 0; left -= std::min(left, some.size())) {
    ASSERT_EQ(other.read(std::string_view(some).substr(0, left), kBounds), Status::need_more);
    ASSERT_EQ(other.skipped(), std::min(left, some.size()));
  }
  EXPECT_EQ(other.read("\r\nPING\r\n", kBounds), Status::too_long);
  EXPECT_EQ(other.used(), 2u);
  EXPECT_EQ(run({"*1\r\n$67108848\r\n"}),
            Told{"error: invalid bulk length: a request has 1048576 bytes at most (max_body)"});
}

TEST(RespRequest, AStrangerGetsLittleRoom) {
  Bounds bounds{.request_bytes = 1024 * 1024, .stranger = true};
  EXPECT_EQ(run({"*11\r\n"}, bounds), Told{"error: unauthenticated multibulk length"});
  EXPECT_EQ(run({"*1\r\n$16385\r\n"}, bounds), Told{"error: unauthenticated bulk length"});
  EXPECT_EQ(run({"*10\r\n$16384\r\n"}, bounds), Told{"unfinished"});
  bounds.request_bytes = 100;  // nothing of his is passed over
  EXPECT_EQ(run({"*1\r\n$200\r\n"}, bounds), Told{"error: invalid bulk length"});
}

TEST(RespRequest, TheSameRequestIsToldAgainUntilNext) {
  RequestReader reader;
  for (std::string bytes : {"*1\r\n$4\r\nPING\r\n", "PING\r\n"}) {
    ASSERT_EQ(reader.read(bytes, kBounds), Status::complete);
    std::string moved = bytes + "*1\r\n";
    bytes.assign(bytes.size(), '!');
    ASSERT_EQ(reader.read(moved, kBounds), Status::complete);
    ASSERT_EQ(reader.arguments().size(), 1u);
    EXPECT_EQ(reader.arguments()[0], "PING");
    reader.next();
  }
}

TEST(RespRequest, SaysWhetherOneHasBegun) {
  RequestReader reader;
  EXPECT_EQ(reader.read("", kBounds), Status::need_more);
  EXPECT_FALSE(reader.started());
  EXPECT_EQ(reader.read("*", kBounds), Status::need_more);
  EXPECT_TRUE(reader.started());
  EXPECT_EQ(reader.read("*1\r\n$1\r\na\r\n", kBounds), Status::complete);
  EXPECT_FALSE(reader.started());
  reader.next();
  EXPECT_FALSE(reader.started());
}

// A reader that began anew with every piece would look at half a billion bytes here.
TEST(RespRequest, ABigRequestInSmallPiecesIsLookedAtOnce) {
  std::string request = "*1001\r\n";
  for (int i = 0; i < 1000; ++i) request += "$1000\r\n" + std::string(1000, 'x') + "\r\n";
  RequestReader reader;
  size_t calls = 0;
  for (size_t have = 0; have < request.size(); have += 1000, ++calls)
    ASSERT_EQ(reader.read(std::string_view(request).substr(0, have), {.request_bytes = 1 << 21}),
              Status::need_more);
  request += "$0\r\n\r\n";
  // Everything before the last argument is not looked at again: it may even have become nonsense.
  std::fill(request.begin() + 1, request.end() - 1100, '?');
  EXPECT_EQ(reader.read(request, {.request_bytes = 1 << 21}), Status::complete);
  EXPECT_EQ(reader.arguments().size(), 1001u);
  EXPECT_GT(calls, 1000u);
}

TEST(RespRequest, ALongLineInSmallPiecesIsLookedAtOnce) {
  std::string line = "ECHO " + std::string(60'000, 'x');
  RequestReader reader;
  ASSERT_EQ(reader.read(line, kBounds), Status::need_more);
  line[100] = '\n';  // what has been looked at
  ASSERT_EQ(reader.read(line, kBounds), Status::need_more);
  line[100] = 'x';
  EXPECT_EQ(reader.read(line + "\r\n", kBounds), Status::complete);
}

TEST(RespRequest, DamagedBytesAreToldTheSameInAnyDivision) {
  test::DamagedBytes damaged(
      "*2\r\n$4\r\nECHO\r\n$3\r\nabc\r\nPING \"a b\" 'c'\r\n*1\r\n$4\r\nPING\r\n",
      "*$\r\n-019\"'\\ ");
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = damaged.next();
    ASSERT_EQ(run({bytes}), run(damaged.cut(bytes))) << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace holdfast::resp
