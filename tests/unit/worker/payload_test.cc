#include "worker/payload.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

conf::Listen web() {
  return {};
}

conf::Listen tcp(const conf::Framing& framing) {
  conf::Listen listen;
  listen.protocol = conf::Protocol::tcp;
  listen.framing = framing;
  return listen;
}

TEST(Payload, IsFramedOnceForAllWebSockets) {
  conf::Listen one = web(), other = web();
  Payload payload("hello", false);
  const BufferRef& first = payload.framed(one);
  EXPECT_EQ(first.bytes(), "\x81\x05hello");
  EXPECT_EQ(payload.framed(other).bytes().data(), first.bytes().data());
}

TEST(Payload, BinaryOneHasTheBinaryOpcode) {
  conf::Listen listen = web();
  EXPECT_EQ(Payload("\xff", true).framed(listen).bytes(), "\x82\x01\xff");
}

TEST(Payload, IsFramedOnceForEachTcpListener) {
  conf::Listen lengths = tcp({.size = 2}), lines = tcp({.kind = conf::FramingKind::delimiter});
  lines.framing->delimiter = "\r\n";
  Payload payload("hello", false);
  BufferRef first = payload.framed(lengths);
  EXPECT_EQ(first.bytes(), std::string_view("\0\5hello", 7));
  EXPECT_EQ(payload.framed(lines).bytes(), "hello\r\n");
  EXPECT_EQ(payload.framed(lengths).bytes().data(), first.bytes().data());
}

TEST(Payload, LongerThanTheLengthFieldCanSayIsNotFramed) {
  conf::Listen listen = tcp({.size = 1});
  std::string fits(255, 'x'), too_long(256, 'x');
  EXPECT_TRUE(Payload(fits, false).framed(listen));
  Payload payload(too_long, false);
  EXPECT_FALSE(payload.framed(listen));
  EXPECT_FALSE(payload.framed(listen));
}

TEST(Payload, EmptyMessageIsAFrameToo) {
  conf::Listen listen = web();
  EXPECT_EQ(Payload("", false).framed(listen).bytes(), std::string_view("\x81\0", 2));
}

}  // namespace
}  // namespace holdfast
