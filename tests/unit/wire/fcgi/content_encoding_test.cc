// Answers that come compressed.
#include "wire/fcgi/content_encoding.h"

#include <gtest/gtest.h>
#include <zlib.h>

namespace holdfast::fcgi {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string deflated(const std::string& text, int window_bits) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string out(text.size() + 1'000, 0);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

TEST(ContentEncoding, GzipAndDeflateAreUndone) {
  std::string text(100'000, 'a');
  for (auto [name, bits] :
       {std::pair("gzip", 31), {"X-GZIP", 31}, {"deflate", 15}, {"deflate", -15}}) {
    Headers headers = {{"content-ENCODING", name}, {"Content-Length", "9"}, {"X", "1"}};
    std::string body = deflated(text, bits);
    EXPECT_EQ(undo_content_encoding(headers, body, text.size()), Decoding::undone) << name << bits;
    EXPECT_TRUE(body == text) << name << bits;
    EXPECT_EQ(headers, (Headers{{"X", "1"}}));
  }
}

TEST(ContentEncoding, SeveralGzipMembersAreOneBody) {
  Headers headers = {{"Content-Encoding", "gzip"}};
  std::string body = deflated("one ", 31) + deflated("two", 31);
  EXPECT_EQ(undo_content_encoding(headers, body, 100), Decoding::undone);
  EXPECT_EQ(body, "one two");
}

TEST(ContentEncoding, NoneAndIdentityLeaveAllAsItIs) {
  for (const Headers& given : {Headers{{"X", "1"}}, Headers{{"Content-Encoding", "identity"}},
                               Headers{{"Content-Encoding", ""}}}) {
    Headers headers = given;
    std::string body = "text";
    EXPECT_EQ(undo_content_encoding(headers, body, 1), Decoding::none);
    EXPECT_EQ(headers, given);
    EXPECT_EQ(body, "text");
  }
}

TEST(ContentEncoding, WhatCannotBeUndoneSaysWhy) {
  struct Case {
    std::string coding, body;
    Decoding result;
  };
  std::string gzip = deflated(std::string(1'000'000, 'a'), 31);
  for (const Case& c :
       {Case{"br", "x", Decoding::unknown}, Case{"gzip, gzip", gzip, Decoding::unknown},
        Case{"gzip", "no such bytes", Decoding::broken},
        Case{"gzip", gzip.substr(0, gzip.size() - 1), Decoding::broken},
        Case{"gzip", gzip + "x", Decoding::broken}, Case{"deflate", "\xff", Decoding::broken},
        Case{"gzip", gzip, Decoding::too_large}}) {
    Headers headers = {{"Content-Encoding", c.coding}};
    std::string body = c.body;
    EXPECT_EQ(
        undo_content_encoding(headers, body, c.result == Decoding::too_large ? 999'999 : 1'000'000),
        c.result)
        << c.coding;
    EXPECT_TRUE(body == c.body);
    EXPECT_EQ(headers.size(), 1u);
  }
}

}  // namespace
}  // namespace holdfast::fcgi
