// Messages deflated and inflated, with zlib as the other side.
#include "wire/ws/deflate.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/harness/deflate_peer.h"
#include "tests/unit/every_division.h"

namespace holdfast::ws {
namespace {

using test::peer_inflate;
using test::PeerDeflater;

// Bytes that repeat over long distances: what zlib refers back for.
std::string far_repeating(size_t bytes) {
  std::minstd_rand random(7);
  std::string text;
  while (text.size() < bytes) {
    if (text.size() > 64 && random() % 2 == 0) {
      size_t at = random() % (text.size() < 20'000 ? text.size() : 20'000);
      text += text.substr(text.size() - at - 1, 20);
    } else {
      for (int i = 0; i < 20; ++i) text += char(random() % 256);
    }
  }
  text.resize(bytes);
  return text;
}

std::string noise(size_t bytes) {
  std::minstd_rand random(3);
  std::string text;
  while (text.size() < bytes) text += char(random() >> 8);
  return text;
}

TEST(Deflater, MessagesAreReadByEveryWindowThatIsAsLargeAsTheyAre) {
  Deflater deflater;
  for (int level : {1, 6, 9})
    for (int bits = 8; bits <= 15; ++bits) {
      std::string text = far_repeating(size_t{1} << bits);
      std::string made(deflater.deflate(text, level));
      ASSERT_FALSE(made.empty()) << bits;
      EXPECT_LT(made.size(), text.size());
      EXPECT_EQ(peer_inflate(made, bits), text) << level << " " << bits;
    }
}

TEST(Deflater, EachMessageStandsByItself) {
  Deflater deflater;
  std::string first(deflater.deflate("Hello Hello Hello Hello", 6));
  deflater.deflate(far_repeating(100'000), 9);
  EXPECT_EQ(deflater.deflate("Hello Hello Hello Hello", 6), first);
}

TEST(Deflater, WhatWouldNotBecomeShorterIsNotDeflated) {
  Deflater deflater;
  EXPECT_EQ(deflater.deflate("", 6), "");
  EXPECT_EQ(deflater.deflate("Hello", 6), "");  // 7 bytes
  for (size_t bytes : {1, 100, 10'000, 1'000'000})
    EXPECT_EQ(deflater.deflate(noise(bytes), 6), "") << bytes;
  // By a byte and more; at the border nothing is taken for shorter that is not.
  bool shorter = false, not_shorter = false;
  for (size_t zeros = 0; zeros < 60; ++zeros) {
    std::string text = noise(40) + std::string(zeros, '\0');
    std::string made(deflater.deflate(text, 6));
    (made.empty() ? not_shorter : shorter) = true;
    if (made.empty()) continue;
    EXPECT_LT(made.size(), text.size());
    EXPECT_EQ(peer_inflate(made), text);
  }
  EXPECT_TRUE(shorter && not_shorter);
}

// ---- from clients

struct Outcome {
  Inflated what;
  std::string text;
  bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << int(outcome.what) << " " << outcome.text.substr(0, 100);
}

Outcome inflated(std::string_view message, std::string_view before = {}, size_t most = 1 << 20) {
  static Inflater inflater;
  Outcome outcome;
  outcome.what = inflater.inflate(message, before, most, outcome.text);
  EXPECT_LE(outcome.text.size(), most + 1);
  if (outcome.what != Inflated::whole) outcome.text.clear();
  return outcome;
}

Outcome whole(std::string text) {
  return {Inflated::whole, std::move(text)};
}
const Outcome kBroken{Inflated::broken, {}};

std::string hex(std::string_view digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 3)
    bytes += char(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16));
  return bytes;
}

TEST(Inflater, ReadsTheExamplesOfRfc7692) {
  EXPECT_EQ(inflated(hex("f2 48 cd c9 c9 07 00")), whole("Hello"));
  EXPECT_EQ(inflated(hex("f2 00 11 00 00"), "Hello"), whole("Hello"));
  EXPECT_EQ(inflated(hex("f2 00 11 00 00")), kBroken) << "refers back to nothing";
  EXPECT_EQ(inflated(hex("00 05 00 fa ff 48 65 6c 6c 6f 00")), whole("Hello"));
  EXPECT_EQ(inflated(hex("f3 48 cd c9 c9 07 00 00")), whole("Hello")) << "BFINAL";
  EXPECT_EQ(inflated(hex("f2 48 05 00 00 00 ff ff ca c9 c9 07 00")), whole("Hello"));
  EXPECT_EQ(inflated(hex("00")), whole("")) << "an empty message";
}

TEST(Inflater, ReadsWhateverZlibWasTold) {
  std::string text = far_repeating(50'000) + noise(5'000) + std::string(5'000, 'x');
  for (int level : {0, 1, 6, 9})
    for (int strategy : {Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED})
      for (int bits : {9, 12, 15})
        EXPECT_EQ(inflated(PeerDeflater(bits, level, strategy).message(text)), whole(text))
            << level << " " << strategy << " " << bits;
}

TEST(Inflater, StreamsThatEndInsideAMessageGoOnIntoTheNext) {
  std::string first = far_repeating(3000);
  std::string ended = PeerDeflater().message(first, Z_FINISH);
  EXPECT_EQ(inflated(ended + '\0'), whole(first)) << "as the RFC wants it";
  EXPECT_EQ(inflated(ended), whole(first)) << "without the empty block behind it";
  std::string all;
  for (int i = 0; i < 5; ++i) all += ended;
  EXPECT_EQ(inflated(all + PeerDeflater().message("end")),
            whole(first + first + first + first + first + "end"));
  // The block behind the end refers back to what stands before it.
  EXPECT_EQ(inflated(hex("f3 48 cd c9 c9 07 00") + hex("f2 00 11 00 00")), whole("HelloHello"));
  EXPECT_EQ(inflated(hex("03 00") + hex("f2 00 11 00 00"), "Hello"), whole("Hello"))
      << "and to messages before this one";
}

TEST(Inflater, EmptyStreamsWithoutNumberCostNoMoreThanTheirBytes) {
  std::string all;
  for (int i = 0; i < 500'000; ++i) all += hex("03 00");
  EXPECT_EQ(inflated(all + '\0', far_repeating(32'768)), whole(""));
}

TEST(Inflater, MessagesThatAreCutAreBroken) {
  // (What zlib stores as it is may be cut into something right: an empty block.)
  for (const std::string& text : {std::string("Hello"), far_repeating(2000)}) {
    std::string good = PeerDeflater().message(text);
    ASSERT_EQ(inflated(good), whole(text));
    for (size_t at = 0; at < good.size(); ++at)
      EXPECT_EQ(inflated(good.substr(0, at)), kBroken) << at;
  }
  EXPECT_EQ(inflated(hex("f2 48 cd c9 c9 07 00 00")), kBroken) << "a byte too many";
  EXPECT_EQ(inflated(hex("f2 48 cd c9 c9 07 00 00 00 ff ff")), kBroken) << "with its tail";
  EXPECT_EQ(inflated(hex("07")), kBroken) << "a block of a kind that is none";
}

TEST(Inflater, BombsAreStoppedOneByteBehindTheBound) {
  std::string zeros(10 << 20, '\0');
  std::string bomb = PeerDeflater().message(zeros);
  EXPECT_LT(bomb.size(), 20'000u);
  for (size_t most : {size_t{0}, size_t{1}, size_t{65'536}, zeros.size() - 1}) {
    Inflater inflater;
    std::string out;
    EXPECT_EQ(inflater.inflate(bomb, {}, most, out), Inflated::too_long) << most;
    EXPECT_LE(out.size(), most + 1);
    EXPECT_LE(out.capacity(), std::max<size_t>(2 * (most + 1), 64));
  }
  EXPECT_EQ(inflated(bomb, {}, zeros.size()), whole(zeros));
}

TEST(Inflater, TheLongestMessagePassesAndOneByteMoreDoesNot) {
  for (size_t most : {1, 511, 512, 513, 4096, 70'000}) {
    std::string text = far_repeating(most);
    EXPECT_EQ(inflated(PeerDeflater().message(text), {}, most), whole(text));
    EXPECT_EQ(inflated(PeerDeflater().message(text + "x"), {}, most).what, Inflated::too_long);
  }
  EXPECT_EQ(inflated(hex("00"), {}, 0), whole(""));
}

TEST(Inflater, NothingStaysOfABrokenMessage) {
  for (const char* bad : {"07", "f2 48", "f2 00 11 00 00", "ff ff ff ff"}) {
    EXPECT_EQ(inflated(hex(bad)), kBroken) << bad;
    EXPECT_EQ(inflated(hex("f2 48 cd c9 c9 07 00")), whole("Hello"));
  }
}

TEST(Inflater, DamagedMessagesStayWithinBounds) {
  PeerDeflater peer;
  std::string before = far_repeating(5'000);
  peer.message(before);
  test::DamagedBytes damaged(peer.message(far_repeating(6'000)), std::string("\0\3\xff", 3));
  size_t counts[3] = {};
  for (int i = 0; i < 3000; ++i) ++counts[int(inflated(damaged.next(), before, 5'500).what)];
  EXPECT_GT(counts[int(Inflated::broken)], 0u);
  EXPECT_GT(counts[int(Inflated::too_long)], 0u);
}

TEST(Inflater, BoundOfDeflatedBytesIsAboveWhatZlibMakes) {
  for (uint32_t bytes : {0, 1, 1000, 65'536, 300'000})
    for (int level : {0, 1, 6})
      EXPECT_LT(PeerDeflater(9, level).message(noise(bytes)).size(), deflated_bound(bytes));
}

}  // namespace
}  // namespace holdfast::ws
