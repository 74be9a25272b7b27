#include "wire/http/request.h"

#include <gtest/gtest.h>

#include "tests/unit/wire/http/read_requests.h"

namespace holdfast::test {
namespace {

using http::Request;
using http::RequestReader;
using Status = RequestReader::Status;

Status feed(RequestReader& reader, std::string_view bytes, size_t* consumed = nullptr) {
  size_t unused = 0;
  return reader.feed(bytes, consumed == nullptr ? &unused : consumed);
}

TEST(RequestReader, ReadsTheHeader) {
  expect_read(
      "GET /ws?channel=a HTTP/1.1\r\nHost: h\r\nAccept:  a, b \r\nX-Empty:\r\naccept: c\r\n\r\n",
      {"GET /ws?channel=a 1.1 keep [Accept=a, b] [X-Empty=] [accept=c]"});
}

TEST(RequestReader, KeepsTheOrderOfRepeatedHeaders) {
  expect_read("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\nA: 3\r\nC: 4\r\nb: 5\r\n\r\n",
              {"GET / 1.1 keep [A=1] [B=2] [A=3] [C=4] [b=5]"});
}

TEST(RequestReader, ReadsAnyMethodAsSent) {
  expect_read("FROB * HTTP/1.1\r\nHost: h\r\n\r\nget / HTTP/1.1\r\nHost: h\r\n\r\n",
              {"FROB * 1.1 keep", "get / 1.1 keep"});
}

TEST(RequestReader, ReadsPipelinedRequestsOneByOne) {
  expect_read(
      "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"
      "GET /b HTTP/1.1\r\nHost: h\r\n\r\n"
      "POST /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
      "POST /d HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
      "GET /e HTTP/1.0\r\n\r\n",
      {"POST /a 1.1 keep [Content-Length=5] {hello}", "GET /b 1.1 keep",
       "POST /c 1.1 keep [Transfer-Encoding=chunked] {abc}", "POST /d 1.1 keep [Content-Length=0]",
       "GET /e 1.0 close"});
}

TEST(RequestReader, KnowsWhetherTheConnectionStays) {
  struct Row {
    const char* version;
    const char* connection;
    bool keep_alive;
  };
  const Row rows[] = {
      {"HTTP/1.1", "", true},
      {"HTTP/1.1", "Connection: close\r\n", false},
      {"HTTP/1.1", "Connection: x, CLOSE\r\n", false},
      {"HTTP/1.1", "Connection: upgrade\r\n", true},
      {"HTTP/1.0", "", false},
      {"HTTP/1.0", "Connection: Keep-Alive\r\n", true},
  };
  for (const Row& row : rows) {
    RequestReader reader({});
    std::string bytes =
        std::string("GET / ") + row.version + "\r\nHost: h\r\n" + row.connection + "\r\n";
    ASSERT_EQ(feed(reader, bytes), Status::complete);
    EXPECT_EQ(reader.request().keep_alive, row.keep_alive) << row.version << row.connection;
  }
}

// I2
TEST(RequestReader, LeavesWhatComesBehindTheRequest) {
  for (const std::string bytes :
       {"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
        "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"}) {
    for (const std::string behind : {"\x81\x85\x37\xfa", "\r\n", "GET", "x"}) {
      std::string all = bytes + behind;
      for (size_t at = 0; at < bytes.size(); ++at) {
        RequestReader reader({.max_body = 10});
        size_t consumed = 0;
        ASSERT_EQ(feed(reader, all.substr(0, at), &consumed), Status::need_more);
        ASSERT_EQ(consumed, at);
        ASSERT_EQ(feed(reader, all.substr(at), &consumed), Status::complete);
        ASSERT_EQ(at + consumed, bytes.size());
        ASSERT_EQ(feed(reader, behind, &consumed), Status::complete) << "until reset()";
        ASSERT_EQ(consumed, 0u);
      }
    }
  }
}

TEST(RequestReader, SkipsOneEmptyLineBeforeARequest) {
  expect_read("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n",
              {"GET / 1.1 keep", "GET /b 1.1 keep"});
  expect_read("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", {"400 no request line"});
}

TEST(RequestReader, KnowsWhetherARequestHasBegun) {
  RequestReader reader({.max_body = 10});
  EXPECT_FALSE(reader.started());
  feed(reader, "\r\n");
  EXPECT_FALSE(reader.started());
  feed(reader, "P");
  EXPECT_TRUE(reader.started());
  feed(reader, "OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n");
  EXPECT_TRUE(reader.started());
  feed(reader, "a");
  EXPECT_TRUE(reader.started());
  feed(reader, "b");
  EXPECT_FALSE(reader.started());
  reader.reset();
  EXPECT_FALSE(reader.started());
}

TEST(RequestReader, TellsThatAClientWaitsForContinue) {
  struct Row {
    const char* header;
    const char* body;
    bool waits;
  };
  const Row rows[] = {
      {"Content-Length: 5\r\nExpect: 100-continue\r\n", "", true},
      {"Content-Length: 5\r\nExpect: 100-Continue\r\n", "h", false},
      {"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "", true},
      {"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", "5", false},
      {"Content-Length: 0\r\nExpect: 100-continue\r\n", "", false},
      {"Content-Length: 5\r\n", "", false},
  };
  for (const Row& row : rows) {
    RequestReader reader({.max_body = 10});
    EXPECT_FALSE(reader.wants_continue());
    feed(reader, std::string("POST / HTTP/1.1\r\nHost: h\r\n") + row.header + "\r\n" + row.body);
    EXPECT_EQ(reader.wants_continue(), row.waits) << row.header << row.body;
  }
  RequestReader old({.max_body = 10});
  feed(old, "POST / HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_FALSE(old.wants_continue());
}

TEST(RequestReader, StaysFailed) {
  RequestReader reader({});
  size_t consumed = 0;
  ASSERT_EQ(feed(reader, "GET / HTTP/2.0\r\n\r\n"), Status::failed);
  ASSERT_EQ(feed(reader, "GET / HTTP/1.1\r\nHost: h\r\n\r\n", &consumed), Status::failed);
  EXPECT_EQ(consumed, 0u);
  EXPECT_EQ(reader.error_status(), 505);
}

TEST(RequestReader, GoesOnWhereItIsMoved) {
  RequestReader first({.max_body = 10});
  feed(first, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab");
  RequestReader second(std::move(first));
  ASSERT_EQ(feed(second, "cd"), Status::complete);
  EXPECT_EQ(second.request().body, "abcd");
}

// I3

TEST(RequestReader, TakesMemoryForTheBodyThatHasComeNotForWhatIsAnnounced) {
  RequestReader reader({.max_body = 64 << 20});
  feed(reader, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 67108864\r\n\r\n");
  EXPECT_LE(reader.held_bytes(), 100u);
  feed(reader, std::string(1000, 'x'));
  EXPECT_LE(reader.held_bytes(), 2100u);
}

TEST(RequestReader, NeverHoldsMoreThanItsLimits) {
  RequestReader reader({.max_header_bytes = 5000, .max_body = 10'000});
  std::string head = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX: ";
  head += std::string(4000, 'x') + "\r\n\r\n";
  for (char c : head) {
    ASSERT_EQ(feed(reader, {&c, 1}), Status::need_more);
    ASSERT_LE(reader.held_bytes(), 5000u + 16);
  }
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(feed(reader, "a\r\n0123456789\r\n"), Status::need_more);
    ASSERT_LE(reader.held_bytes(), 10'000u + 16);
  }
  ASSERT_EQ(feed(reader, "1"), Status::failed);
  EXPECT_EQ(reader.error_status(), 413);
  EXPECT_LE(reader.held_bytes(), 32u);
}

TEST(Request, SplitsItsTarget) {
  struct Row {
    const char *target, *path, *query;
  };
  const Row rows[] = {
      {"/ws?channel=a&b=c", "/ws", "channel=a&b=c"},
      {"/ws", "/ws", ""},
      {"/ws?", "/ws", ""},
      {"/?a?b", "/", "a?b"},
      {"http://h:8080/ws?x=1", "/ws", "x=1"},
      {"http://h?x=1", "/", "x=1"},
      {"http://h", "/", ""},
      {"*", "*", ""},
      {"/a?u=http://b/c", "/a", "u=http://b/c"},
  };
  for (const Row& row : rows) {
    Request request;
    request.target = row.target;
    EXPECT_EQ(request.path(), row.path) << row.target;
    EXPECT_EQ(request.query(), row.query) << row.target;
  }
}

TEST(Request, FindsHeadersInAnyCase) {
  Request request;
  request.headers = {{"X-One", "1"},
                     {"x-one", "2"},
                     {"Connection", "keep-alive ,\tUpgrade"},
                     {"CONNECTION", "close"}};
  EXPECT_EQ(request.header("x-ONE"), "1");
  EXPECT_EQ(request.header("X-Two"), std::nullopt);
  EXPECT_TRUE(request.header_has_token("connection", "upgrade"));
  EXPECT_TRUE(request.header_has_token("connection", "Close"));
  EXPECT_FALSE(request.header_has_token("connection", "up"));
  EXPECT_FALSE(request.header_has_token("connection", "keep-alive ,"));
  EXPECT_FALSE(request.header_has_token("x", "upgrade"));
}

TEST(Query, DecodesPercentsAndPluses) {
  EXPECT_EQ(http::percent_decode("a%20b+c%C3%a9"), "a b c\xc3\xa9");
  EXPECT_EQ(http::percent_decode(""), "");
  EXPECT_EQ(http::percent_decode("%00"), std::string(1, '\0'));
  for (const char* wrong : {"%", "%1", "a%g0", "%0g", "%%41"})
    EXPECT_EQ(http::percent_decode(wrong), std::nullopt) << wrong;
}

TEST(Query, FindsAllValuesOfAName) {
  using Values = std::vector<std::string>;
  EXPECT_EQ(http::query_values("channel=a&x=1&channel=b%20c&channel", "channel"),
            (Values{"a", "b c", ""}));
  EXPECT_EQ(http::query_values("&&x=%zz&%zz=1&ch%61nnel=d=e&", "channel"), Values{"d=e"});
  EXPECT_EQ(http::query_values("channel=a&channel=%zz", "channel"), std::nullopt);
  EXPECT_EQ(http::query_values("channel=%4", "channel"), std::nullopt);
  EXPECT_EQ(http::query_values("channels=a&xchannel=b", "channel"), Values{});
  EXPECT_EQ(http::query_values("", "channel"), Values{});
}

// ---- told of a header

http::RequestLimits reader_limits() {
  return {.max_body = 100, .tell_header = true};
}

constexpr std::string_view kPost = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n";

TEST(RequestHeader, IsToldOnceBeforeABodyThatHasNotAllCome) {
  RequestReader reader({.max_body = 100, .tell_header = true});
  size_t used = 0;
  EXPECT_EQ(reader.feed(std::string(kPost) + "bod", &used), Status::header);
  EXPECT_EQ(used, kPost.size());
  EXPECT_EQ(reader.body_announced(), 4u);
  EXPECT_EQ(reader.request().target, "/a");
  EXPECT_EQ(reader.feed("bod", &used), Status::need_more);
  EXPECT_EQ(reader.feed("y", &used), Status::complete);
  EXPECT_EQ(reader.request().body, "body");
  reader.reset();
  EXPECT_EQ(reader.feed(std::string(kPost) + "body", &used), Status::complete) << "all is there";
}

TEST(RequestHeader, BodyCanBePassedOverInAnyPieces) {
  for (size_t cut = 0; cut <= 4; ++cut) {
    RequestReader reader({.max_body = 100, .tell_header = true}), successor(reader_limits());
    size_t used = 0;
    ASSERT_EQ(reader.feed(kPost, &used), Status::header);
    reader.skip_body();
    EXPECT_TRUE(reader.started());
    EXPECT_EQ(reader.feed(std::string_view("body").substr(0, cut), &used), Status::need_more);
    EXPECT_EQ(used, cut);
    EXPECT_EQ(reader.skipping(), 4 - cut);
    EXPECT_EQ(reader.replay(), "");
    successor.skip(reader.skipping());
    for (RequestReader* one : {&reader, &successor}) {
      std::string rest = std::string("body").substr(cut) + "GET /b HTTP/1.0\r\n\r\n";
      ASSERT_EQ(one->feed(rest, &used), Status::complete) << cut;
      EXPECT_EQ(used, rest.size());
      EXPECT_EQ(one->request().target, "/b");
    }
  }
}

TEST(RequestHeader, AWholeRequestIsReplayedWhole) {
  for (std::string bytes :
       {std::string("GET /b HTTP/1.0\r\n\r\n"), std::string(kPost) + "body",
        std::string("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "2\r\nbo\r\n2\r\ndy\r\n0\r\nT: x\r\n\r\n"),
        std::string("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "0\r\n\r\n")}) {
    RequestReader reader({.max_body = 100}), successor({.max_body = 100});
    size_t used = 0;
    ASSERT_EQ(reader.feed(bytes, &used), Status::complete) << bytes;
    ASSERT_EQ(successor.feed(reader.replay(), &used), Status::complete) << reader.replay();
    EXPECT_EQ(used, reader.replay().size());
    EXPECT_EQ(successor.request().target, reader.request().target);
    EXPECT_EQ(successor.request().body, reader.request().body);
  }
}

TEST(RequestHeader, BodyCanBeLimitedFurther) {
  RequestReader fixed(reader_limits()), chunked(reader_limits());
  size_t used = 0;
  ASSERT_EQ(fixed.feed(kPost, &used), Status::header);
  EXPECT_TRUE(fixed.limit_body(4));
  EXPECT_FALSE(fixed.limit_body(3));
  ASSERT_EQ(
      chunked.feed("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", &used),
      Status::header);
  EXPECT_FALSE(chunked.body_announced());
  EXPECT_TRUE(chunked.limit_body(3));
  EXPECT_EQ(chunked.feed("4\r\n", &used), Status::failed);
  EXPECT_EQ(chunked.error_status(), 413);
}

}  // namespace
}  // namespace holdfast::test
