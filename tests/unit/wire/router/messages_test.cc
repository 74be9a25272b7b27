#include "wire/router/messages.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace holdfast::api {
namespace {

constexpr size_t kMax = 1000;

std::string bytes_of(const RouterMessage& message) {
  return std::string(router_message(message).bytes());
}

std::string head(std::initializer_list<int> bytes) {
  std::string out;
  for (int byte : bytes) out += char(byte);
  return out;
}

struct Read {
  RouterRead status = RouterRead::need_more;
  RouterMessage message;
  size_t used = 0;
};

Read read_of(std::string_view bytes, size_t max_what = kMax) {
  Read read;
  read.status = read_router_message(bytes, max_what, &read.message, &read.used);
  return read;
}

TEST(RouterWire, IsBigEndianWithBothPartsBehindTheHead) {
  std::string bytes = head({0, 5, 0, 2, 0, 0, 0, 3}) + "idabc";
  EXPECT_EQ(bytes_of({5, "id", "abc"}), bytes);
  std::string behind = bytes + "more";
  Read read = read_of(behind);
  ASSERT_EQ(read.status, RouterRead::complete);
  EXPECT_EQ(read.message.type, 5);
  EXPECT_EQ(read.message.whom, "id");
  EXPECT_EQ(read.message.what, "abc");
  EXPECT_EQ(read.used, bytes.size());
}

TEST(RouterWire, TakesEveryTypeAndEmptyParts) {
  for (int type : {0, 1, 12, 255, 256, 65'535}) {
    Read read = read_of(bytes_of({uint16_t(type), {}, {}}));
    ASSERT_EQ(read.status, RouterRead::complete) << type;
    EXPECT_EQ(read.message.type, type);
    EXPECT_EQ(read.used, kRouterHeadBytes);
  }
}

TEST(RouterWire, TakesTheLongestParts) {
  std::string whom(65'535, 'w'), what(kMax, 'p');
  std::string bytes = bytes_of({9, whom, what});
  Read read = read_of(bytes);
  ASSERT_EQ(read.status, RouterRead::complete);
  EXPECT_EQ(read.message.whom, whom);
  EXPECT_EQ(read.message.what, what);
}

// Cut anywhere, it asks for more and has used nothing.
TEST(RouterWire, WaitsForTheWholeMessageAtEverySplit) {
  std::string first = bytes_of({7, "0123456789", "channel"}), second = bytes_of({6, {}, "hello"});
  std::string both = first + second;
  for (size_t cut = 0; cut < both.size(); ++cut) {
    Read read = read_of(std::string_view(both).substr(0, cut));
    EXPECT_EQ(read.status, cut < first.size() ? RouterRead::need_more : RouterRead::complete);
    EXPECT_EQ(read.used, cut < first.size() ? 0 : first.size()) << cut;
  }
  Read read = read_of(std::string_view(both).substr(first.size()));
  EXPECT_EQ(read.message.what, "hello");
}

TEST(RouterWire, RefusesALengthThatCannotBeAsSoonAsItIsThere) {
  struct Row {
    const char* name;
    std::string bytes;
    size_t max;
  };
  for (const Row& row : std::vector<Row>{
           {"one more than allowed", head({0, 5, 0, 0, 0, 0, 0x03, 0xe9}), kMax},
           {"-1", head({0, 5, 0, 0, 0xff, 0xff, 0xff, 0xff}), kMax},
           {"-1, allowed whatever fits", head({0, 5, 0, 0, 0xff, 0xff, 0xff, 0xff}), SIZE_MAX},
           {"the smallest", head({0, 5, 0, 0, 0x80, 0, 0, 0}), SIZE_MAX},
           {"the largest", head({0, 5, 0, 0, 0x7f, 0xff, 0xff, 0xff}), kMax},
           {"of an unknown type", head({0x12, 0x34, 0, 0, 0xff, 0, 0, 0}), kMax},
           {"with ids", head({0, 5, 0xff, 0xff, 0xff, 0, 0, 0}), kMax},
           {"HTTP POST", "POST / HTTP/1.1\r\n", SIZE_MAX},
           {"HTTP GET", "GET /v1/stats HTTP/1.1\r\n", SIZE_MAX},
           {"HTTP PUT", "PUT / HTTP/1.1\r\n", SIZE_MAX},
           {"RESP", "*1\r\n$4\r\nPING\r\n", kMax},
           {"a line", "hello, is anybody there?\n", SIZE_MAX},
           {"TLS", head({0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc}), kMax}}) {
    for (size_t cut = 0; cut <= row.bytes.size(); ++cut)
      EXPECT_EQ(read_of(std::string_view(row.bytes).substr(0, cut), row.max).status,
                cut < kRouterHeadBytes ? RouterRead::need_more : RouterRead::bad)
          << row.name << " cut at " << cut;
  }
}

TEST(RouterWire, AllowsExactlyTheBound) {
  EXPECT_EQ(read_of(bytes_of({5, {}, std::string(kMax, 'x')})).status, RouterRead::complete);
  EXPECT_EQ(read_of(bytes_of({5, {}, {}}), 0).status, RouterRead::complete);
  EXPECT_EQ(read_of(head({0, 5, 0, 0, 0x1f, 0xff, 0xff, 0xff}), SIZE_MAX).status,
            RouterRead::need_more);
}

}  // namespace
}  // namespace holdfast::api
