#include "worker/channels/payload.h"

#include <gtest/gtest.h>

#include "tests/harness/deflate_peer.h"
#include "tests/unit/room.h"

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

TEST(Payload, IsAnEventOnceForAllStreamsOfAChannel) {
  Payload payload("hello", false);
  EXPECT_EQ(payload.event().bytes(), "data: hello\n\n");
  EXPECT_EQ(payload.event(true).bytes(), "data: hello\n\n") << "it goes to no channel";
  payload.go_to(nullptr, 7, "room1");
  const BufferRef& plain = payload.event();
  const BufferRef& named = payload.event(true);
  EXPECT_EQ(named.bytes(), "data: hello\nevent: room1\n\n");
  EXPECT_EQ(named.tag(), 7u);
  EXPECT_EQ(payload.event().bytes().data(), plain.bytes().data());
  EXPECT_EQ(payload.event(true).bytes().data(), named.bytes().data());
  payload.go_to(nullptr, 7, "room2");
  EXPECT_EQ(payload.event().bytes().data(), plain.bytes().data());
  EXPECT_EQ(payload.event(true).bytes(), "data: hello\nevent: room2\n\n");
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

TEST(Payload, BinaryOneHasTheBinaryOpcodeAndTheFirstReservedBitWhenItIsDeflated) {
  test::Instance instance;
  test::Room room(instance);
  conf::Listen listen = web();
  listen.permessage_deflate.emplace();
  std::string text(1000, 'x');
  for (bool binary : {false, true}) {
    Payload payload(text, binary);
    const BufferRef& first =
        payload.deflated(listen, ws::DeflateTerms({}, 15, false), room.runtime);
    EXPECT_EQ(uint8_t(first.bytes()[0]), binary ? 0xc2 : 0xc1);
    EXPECT_EQ(test::peer_inflate(std::string(first.bytes().substr(2))), text);
    const BufferRef& again = payload.deflated(listen, ws::DeflateTerms(10, 9, true), room.runtime);
    EXPECT_EQ(again.bytes().data(), first.bytes().data());
    EXPECT_EQ(payload.framed(listen).size(), 1004u);
  }
}

}  // namespace
}  // namespace holdfast
