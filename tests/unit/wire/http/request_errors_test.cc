// What RequestReader refuses, and with which status.
#include <gtest/gtest.h>

#include "tests/unit/wire/http/read_requests.h"

namespace holdfast::test {
namespace {

struct Row {
  const char* what;
  std::string bytes;
  const char* told;
};

std::string get(const std::string& headers) {
  return "GET / HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
}

std::string chunked(const std::string& body) {
  return get("Transfer-Encoding: chunked\r\n") + body;
}

TEST(RequestErrors, MalformedHeadersCost400) {
  const char* const request = "400 malformed request";
  const char* const line = "400 malformed request line";
  const char* const control = "400 control character in the header";
  const Row rows[] = {
      {"HTTP/0.9", "GET /\r\n\r\n", line},
      {"no version", "GET / \r\n\r\n", line},
      {"version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", line},
      {"another protocol", "GET / SIP/2.0\r\nHost: h\r\n\r\n", line},
      {"long version", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", line},
      {"no method", " / HTTP/1.1\r\nHost: h\r\n\r\n", request},
      {"two blanks", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", request},
      {"blank in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", request},
      {"method no token", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", request},
      {"blank behind the version", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", line},
      {"no colon", get("Header\r\n"), request},
      {"no name", get(": x\r\n"), request},
      {"blank before the colon", get("X : y\r\n"), request},
      {"tabulator before the colon", get("Content-Length\t: 0\r\n"), request},
      {"name no token", get("X(y: z\r\n"), request},
      {"folded line", get("X: y\r\n z\r\n"), "400 folded header line"},
      {"folded by tabulator", get("X: y\r\n\tz\r\n"), "400 folded header line"},
      {"blank before the first header", "GET / HTTP/1.1\r\n Host: h\r\n\r\n",
       "400 folded header line"},
      {"LF alone", "GET / HTTP/1.1\nHost: h\n\n", "400 LF without CR in the header"},
      {"LF alone in a value", get("X: a\nContent-Length: 5\r\n"),
       "400 LF without CR in the header"},
      {"CR alone", get("X: a\rContent-Length: 5\r\n"), "400 CR without LF in the header"},
      {"CR CR LF", get("X: a\r\r\n"), "400 CR without LF in the header"},
      {"NUL in a value", get(std::string("X: a\0b\r\n", 8)), control},
      {"DEL in a value", get("X: a\x7f\r\n"), control},
      {"vertical tabulator",
       get("Transfer-Encoding:\x0b"
           "chunked\r\n"),
       control},
      {"TLS at the wrong port", std::string("\x16\x03\x01\x02\x00\x01", 6),
       "400 this is TLS, and the listener speaks plain HTTP: it has no tls"},
      {"RESP at the wrong port", "*1\r\n$4\r\nPING\r\n",
       "400 this is RESP (a Redis client), and the listener speaks HTTP"},
      {"a PROXY header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n",
       "400 this is a PROXY header, and the listener expects none"},
      {"no Host", "GET / HTTP/1.1\r\n\r\n", "400 no Host"},
      {"two Hosts", get("host: h\r\n"), "400 more than one Host"},
      {"bad Connection", get("Connection: (\r\n"), request},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    expect_read(row.bytes, {row.told});
  }
}

TEST(RequestErrors, DoubtfulBodyLengthsCost400) {
  const char* const length = "400 doubtful Content-Length";
  const char* const coding = "400 doubtful Transfer-Encoding";
  const char* const malformed = "400 malformed Transfer-Encoding";
  const Row rows[] = {
      {"two lengths", get("Content-Length: 3\r\nContent-Length: 4\r\n"), length},
      {"the same length twice", get("Content-Length: 3\r\nContent-Length: 3\r\n"),
       "400 more than one Content-Length"},
      {"list of lengths", get("Content-Length: 3, 4\r\n"), length},
      {"list of the same length", get("Content-Length: 3, 3\r\n"), "400 malformed Content-Length"},
      {"no digits", get("Content-Length: \r\n"), length},
      {"sign", get("Content-Length: +3\r\n"), length},
      {"minus", get("Content-Length: -1\r\n"), length},
      {"hex", get("Content-Length: 0x3\r\n"), length},
      {"fraction", get("Content-Length: 3.0\r\n"), length},
      {"blank inside", get("Content-Length: 3 3\r\n"), length},
      {"more than 64 bits", get("Content-Length: 18446744073709551616\r\n"), length},
      {"both, length first", get("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), coding},
      {"both, coding first", get("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), length},
      {"both, unknown coding", get("Transfer-Encoding: x\r\nContent-Length: 3\r\n"),
       "501 unknown transfer coding"},
      {"coding twice", get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), coding},
      {"chunked twice", get("Transfer-Encoding: chunked, chunked\r\n"), malformed},
      {"chunked not last", get("Transfer-Encoding: chunked, gzip\r\n"), malformed},
      {"empty coding", get("Transfer-Encoding:\r\n"), malformed},
      {"empty list", get("Transfer-Encoding: ,\r\n"), malformed},
      {"empty member", get("Transfer-Encoding: chunked,\r\n"), malformed},
      {"coding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
       "400 Transfer-Encoding in HTTP/1.0"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    expect_read(row.bytes + "abc", {row.told});
  }
}

TEST(RequestErrors, UnknownCodingsCost501) {
  for (const char* value :
       {"gzip", "gzip, chunked", "identity", "xchunked", "chunked;q=1", "\"chunked\""}) {
    SCOPED_TRACE(value);
    expect_read(get("Transfer-Encoding: " + std::string(value) + "\r\n"),
                {"501 unknown transfer coding"});
  }
  expect_read(get("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
              {"501 unknown transfer coding"});
}

TEST(RequestErrors, OtherVersionsCost505) {
  for (const char* version : {"HTTP/2.0", "HTTP/0.9", "HTTP/3.0", "HTTP/1.2", "HTTP/9.9"}) {
    SCOPED_TRACE(version);
    expect_read("GET / " + std::string(version) + "\r\nHost: h\r\n\r\n",
                {"505 only HTTP/1.0 and 1.1 are spoken here"});
  }
  expect_read("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {"505 only HTTP/1.0 and 1.1 are spoken here"});
}

TEST(RequestErrors, LongHeadersCost431) {
  std::string fits = get("X: " + std::string(100, 'x') + "\r\n");
  std::string told = "GET / 1.1 keep [X=" + std::string(100, 'x') + "]";
  expect_read(fits, {told}, {.max_header_bytes = fits.size()});
  expect_read(fits, {"431 header too large"}, {.max_header_bytes = fits.size() - 1});
  expect_read("\r\n" + fits + fits, {told, told}, {.max_header_bytes = fits.size()});
  expect_read(std::string(3000, 'x'), {"431 header too large"}, {.max_header_bytes = 2000});
}

TEST(RequestErrors, ManyHeadersCost431) {
  std::string headers;
  for (int i = 0; i < 9; ++i) headers += "A: \r\n";
  Told fits = read_requests({get(headers)}, {.max_headers = 10});
  ASSERT_EQ(fits.size(), 1u);
  EXPECT_EQ(fits[0].substr(0, 14), "GET / 1.1 keep");
  expect_read(get(headers + "A: \r\n"), {"431 too many headers"}, {.max_headers = 10});
}

TEST(RequestErrors, LongBodiesCost413) {
  expect_read(get("Content-Length: 3\r\n") + "abc", {"GET / 1.1 keep [Content-Length=3] {abc}"},
              {.max_body = 3});
  for (const char* length : {"4", "1000000", "18446744073709551615"}) {
    SCOPED_TRACE(length);
    expect_read(get("Content-Length: " + std::string(length) + "\r\n"), {"413 body too large"},
                {.max_body = 3});
  }
  expect_read(get("Content-Length: 1\r\n"), {"413 body too large"}, {.max_body = 0});
  expect_read(get("Content-Length: 0\r\n"), {"GET / 1.1 keep [Content-Length=0]"}, {.max_body = 0});
}

TEST(RequestErrors, LongChunksCost413BeforeTheyCome) {
  expect_read(chunked("4"), {"413 body too large"}, {.max_body = 3});
  expect_read(chunked("2\r\nab\r\n2"), {"413 body too large"}, {.max_body = 3});
  expect_read(chunked("ffffffffffffffffffff"), {"413 body too large"}, {.max_body = 3});
  expect_read(chunked("ffffffffffffffffffff"), {"413 body too large"}, {.max_body = SIZE_MAX / 2});
  expect_read(chunked("1"), {"413 body too large"}, {.max_body = 0});
  expect_read(chunked("2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"),
              {"GET / 1.1 keep [Transfer-Encoding=chunked] {abc}"}, {.max_body = 3});
}

TEST(RequestErrors, MalformedChunksCost400) {
  for (const std::string body :
       {"\r\n", "g\r\n", " 3\r\nabc\r\n", "3 \r\nabc\r\n", "-3\r\n", "0x3\r\nabc\r\n", "3\nabc\n",
        "3\rabc", "3\r\nabcd", "3\r\nabc\n", "3\r\nabc\rx", "3;x\ny\r\n", "3;a\x01\r\n",
        "0\r\nX: y\n", "0\r\n X: y\r\n", "0\r\n\rx", "0\r\nX\x7f\r\n", "3\r\nabc0\r\n"}) {
    SCOPED_TRACE(body);
    expect_read(chunked(body), {"400 malformed chunked body"});
  }
}

TEST(RequestErrors, LongChunkLinesAndTrailersCost431) {
  const char* const told = "431 chunk line or trailer too long";
  expect_read(chunked(std::string(2000, '0')), {told});
  expect_read(chunked("1;" + std::string(2000, 'x')), {told});
  std::string line = "X: " + std::string(97, 'y') + "\r\n";
  std::string trailer;
  for (int i = 0; i < 10; ++i) trailer += line;
  Told fits{"GET / 1.1 keep [Transfer-Encoding=chunked]"};
  expect_read(chunked("0\r\n" + trailer + "\r\n"), fits, {.max_header_bytes = 1100});
  expect_read(chunked("0\r\n" + trailer + trailer + "\r\n"), {told}, {.max_header_bytes = 1100});
}

TEST(RequestErrors, ABodyMayLookLikeARequest) {
  std::string inner = "GET /evil HTTP/1.1\r\nHost: h\r\n\r\n";
  expect_read(
      get("Content-Length: " + std::to_string(inner.size()) + "\r\n") + inner + get("X: y\r\n"),
      {"GET / 1.1 keep [Content-Length=" + std::to_string(inner.size()) + "] {" + inner + "}",
       "GET / 1.1 keep [X=y]"});
}

// I1
TEST(RequestErrors, DamagedBytesAreReadTheSameHoweverTheyAreCut) {
  const std::string good = get("X: y\r\nContent-Length: 4\r\n") + "body" +
                           chunked("3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n") +
                           get("A: b\r\n");
  DamagedBytes damaged(good, "\r\n :;0\t\x80");
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = damaged.next();
    http::RequestLimits limits{.max_header_bytes = 200, .max_body = 10};
    ASSERT_EQ(read_requests({bytes}, limits), read_requests(damaged.cut(bytes), limits))
        << testing::PrintToString(bytes);
  }
}

}  // namespace
}  // namespace holdfast::test
