#include "ctl/chunked.h"

#include <gtest/gtest.h>

namespace holdfast::ctl {
namespace {

constexpr std::string_view kBody =
    "5\r\nhello\r\n1A;x=\"y\"\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";

TEST(Chunked, ContentComesOutHoweverTheBytesAreCut) {
  for (size_t piece = 1; piece <= kBody.size(); ++piece) {
    ChunkedReader reader;
    std::string out;
    for (size_t at = 0; at < kBody.size(); at += piece)
      ASSERT_TRUE(reader.feed(kBody.substr(at, piece), out)) << piece;
    EXPECT_EQ(out, "helloabcdefghijklmnopqrstuvwxyz");
    EXPECT_TRUE(reader.at_end());
  }
}

TEST(Chunked, NothingIsAtItsEndBeforeTheLastChunk) {
  ChunkedReader reader;
  std::string out;
  ASSERT_TRUE(reader.feed(kBody.substr(0, kBody.size() - 5), out));
  EXPECT_FALSE(reader.at_end());
}

TEST(Chunked, WhatFollowsTheLastChunkIsPassedOver) {
  ChunkedReader reader;
  std::string out;
  ASSERT_TRUE(reader.feed("0\r\nTrailer: x\r\n\r\nHTTP/1.1", out));
  EXPECT_TRUE(reader.at_end());
  EXPECT_EQ(out, "");
}

TEST(Chunked, BytesThatAreNoChunksAreRefused) {
  for (const char* bytes : {"x\r\n", "\r\n", ";\r\n", "5\nhello", "5\r\nhelloX", "5\r\nhello\rX",
                            "123456789\r\n", "-1\r\n", " 5\r\n"}) {
    ChunkedReader reader;
    std::string out;
    EXPECT_FALSE(reader.feed(bytes, out)) << bytes;
  }
}

}  // namespace
}  // namespace holdfast::ctl
