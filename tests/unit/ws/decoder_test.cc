#include <gtest/gtest.h>

#include "tests/unit/ws/client_frames.h"

namespace holdfast::test {
namespace {

using ws::Decoder;
using ws::Opcode;

TEST(Decoder, TellsTheExamplesOfRfc6455) {
  // Section 5.7, in the direction a server sees.
  expect_decoded("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"text Hello"});
  expect_decoded(part(1, "Hel") + frame(0, "lo"), {"text Hello"});
  expect_decoded("\x89\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"ping Hello"});
  expect_decoded("\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", {"pong Hello"});
  std::string bytes256(256, 'b'), bytes64k(65536, 'c');
  expect_decoded(frame(2, bytes256), {"binary " + bytes256});
  expect_decoded(frame(2, bytes64k), {"binary " + bytes64k});
}

TEST(Decoder, TellsEmptyMessagesAndEmptyFragments) {
  expect_decoded(frame(1, "") + frame(2, ""), {"text ", "binary "});
  expect_decoded(part(1, "") + part(0, "") + frame(0, ""), {"text "});
  expect_decoded(part(2, "") + frame(0, "x"), {"binary x"});
  expect_decoded(part(2, "x") + frame(0, ""), {"binary x"});
  expect_decoded(frame(9, "") + frame(10, ""), {"ping ", "pong "});
}

TEST(Decoder, TellsAnEmptyFrameWithItsLastHeaderByte) {
  Decoder decoder(100);
  Notebook notebook;
  feed(decoder, frame(1, ""), notebook);
  EXPECT_EQ(notebook.told, Told{"text "});
  EXPECT_FALSE(decoder.mid_message());
}

TEST(Decoder, TellsControlFramesBetweenFragmentsAtOnce) {
  expect_decoded(part(1, "one ") + frame(9, "p1") + part(0, "two ") + frame(10, "p2") +
                     frame(9, "") + frame(0, "three") + frame(1, "next"),
                 {"ping p1", "pong p2", "ping ", "text one two three", "text next"});
}

TEST(Decoder, StopsAtACloseFrameInsideAFragmentedMessage) {
  expect_decoded(part(1, "lost") + close_frame(1001, "away") + frame(0, "!"), {"close 1001 away"});
}

TEST(Decoder, TellsEveryLengthAroundTheBoundariesOfItsForms) {
  for (size_t length : {1u, 124u, 125u, 126u, 127u, 65535u, 65536u, 65537u}) {
    SCOPED_TRACE(length);
    std::string payload(length, '\0');
    for (size_t i = 0; i < length; ++i) payload[i] = char(i * 7);
    expect_decoded(frame(2, payload) + frame(1, "after"), {"binary " + payload, "text after"});
  }
}

TEST(Decoder, UnmasksEveryKeyAndOffset) {
  std::string payload = "The quick brown fox jumps over the lazy dog.";
  for (uint32_t key : {0u, 1u, 0xff000000u, 0x01020304u, 0xffffffffu}) {
    FrameSpec spec{.key = key};
    expect_decoded(frame(1, payload, spec), {"text " + payload});
  }
}

TEST(Decoder, UnmasksPiecesOfAnySize) {
  std::string payload(1000, '\0');
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = char(i ^ i >> 3);
  std::string bytes = frame(2, payload);
  for (size_t size = 1; size <= 40; ++size) {
    Pieces pieces;
    for (size_t at = 0; at < bytes.size(); at += size) pieces.push_back(bytes.substr(at, size));
    ASSERT_EQ(decode(pieces), Told{"binary " + payload}) << size;
  }
}

TEST(Decoder, ToleratesFeedsOfNothing) {
  Pieces pieces{""};
  for (const std::string& piece : one_byte_at_a_time(part(1, "a") + frame(0, "b"))) {
    pieces.push_back(piece);
    pieces.push_back("");
  }
  EXPECT_EQ(decode(pieces), Told{"text ab"});
}

TEST(Decoder, TellsManyFramesOfOneRead) {
  std::string bytes;
  Told expected;
  for (int i = 0; i < 200; ++i) {
    bytes += frame(1, std::to_string(i));
    expected.push_back("text " + std::to_string(i));
  }
  expect_decoded(bytes, expected);
}

TEST(Decoder, TellsAWholeFrameWithoutCopyingIt) {
  class Where final : public ws::FrameSink {
   public:
    bool on_message(Opcode, std::string_view payload) override {
      at = payload.data();
      return true;
    }
    bool on_ping(std::string_view) override { return true; }
    bool on_pong(std::string_view) override { return true; }
    void on_close(uint16_t, std::string_view) override {}
    void on_error(uint16_t, std::string_view) override {}
    const char* at = nullptr;
  } where;
  std::string bytes = frame(1, "Hello, world");
  Decoder decoder(100);
  decoder.feed({bytes.data(), bytes.size()}, where);
  EXPECT_EQ(where.at, bytes.data() + 6);
  EXPECT_EQ(decoder.held_bytes(), 0u);
}

// I2

TEST(Decoder, HoldsNothingBetweenMessages) {
  Decoder decoder(1000);
  Notebook notebook;
  for (const std::string& piece :
       one_byte_at_a_time(part(1, "abc") + frame(9, "d") + frame(0, "e")))
    feed(decoder, piece, notebook);
  EXPECT_EQ(notebook.told, (Told{"ping d", "text abce"}));
  EXPECT_EQ(decoder.held_bytes(), 0u);
  EXPECT_FALSE(decoder.mid_message());
}

TEST(Decoder, TakesMemoryForWhatHasComeNotForWhatIsAnnounced) {
  Decoder decoder(16 << 20);
  Notebook notebook;
  feed(decoder, frame_head(2, 16 << 20, 64, {}), notebook);
  EXPECT_TRUE(decoder.mid_message());
  EXPECT_EQ(decoder.held_bytes(), 0u);
  feed(decoder, std::string(100, 'x'), notebook);
  EXPECT_LE(decoder.held_bytes(), 300u);
  for (size_t got = 100; got < 1 << 20; got += 1000) {
    feed(decoder, std::string(1000, 'x'), notebook);
    ASSERT_LE(decoder.held_bytes(), 2 * (got + 1000) + 200);
  }
  EXPECT_TRUE(notebook.told.empty());
}

TEST(Decoder, NeverHoldsMoreThanTheLongestMessage) {
  constexpr uint32_t kMax = 10'000;
  Decoder decoder(kMax);
  Notebook notebook;
  for (int i = 0; i < 9999; ++i) {
    feed(decoder, part(i == 0 ? 2 : 0, "x"), notebook);
    ASSERT_LE(decoder.held_bytes(), kMax + 200);
  }
  feed(decoder, frame(0, "x"), notebook);
  EXPECT_EQ(notebook.told, Told{"binary " + std::string(kMax, 'x')});
}

TEST(Decoder, HoldsAControlFrameApartFromTheMessageAroundIt) {
  Decoder decoder(1000);
  Notebook notebook;
  feed(decoder, part(1, "abc"), notebook);
  std::string ping = frame(9, std::string(125, 'p'));
  feed(decoder, ping.substr(0, 60), notebook);
  EXPECT_LE(decoder.held_bytes(), 300u);
  feed(decoder, ping.substr(60) + frame(0, "def"), notebook);
  EXPECT_EQ(notebook.told, (Told{"ping " + std::string(125, 'p'), "text abcdef"}));
}

// I3

TEST(Decoder, IsDoneAfterACloseFrame) {
  Decoder decoder(100);
  Notebook notebook;
  feed(decoder, close_frame(1000) + frame(1, "late"), notebook);
  feed(decoder, frame(1, "later"), notebook);
  EXPECT_EQ(notebook.told, Told{"close 1000 "});
  EXPECT_TRUE(decoder.finished());
  EXPECT_FALSE(decoder.mid_message());
}

TEST(Decoder, IsDoneAfterAnError) {
  Decoder decoder(100);
  Notebook notebook;
  feed(decoder, part(1, "abc") + frame(3, "") + frame(1, "late"), notebook);
  feed(decoder, frame(1, "later"), notebook);
  EXPECT_EQ(notebook.told, Told{"error 1002 unknown opcode"});
  EXPECT_TRUE(decoder.finished());
  EXPECT_EQ(decoder.held_bytes(), 0u);
}

TEST(Decoder, IsDoneWhereTheSinkWantsNoMore) {
  std::string bytes = frame(1, "a") + frame(9, "b") + frame(10, "c") + frame(1, "d");
  Told all{"text a", "ping b", "pong c", "text d"};
  for (size_t stop = 1; stop <= all.size(); ++stop) {
    Decoder decoder(100);
    Notebook notebook;
    notebook.stop_after = stop;
    feed(decoder, bytes, notebook);
    feed(decoder, bytes, notebook);
    EXPECT_EQ(notebook.told, Told(all.begin(), all.begin() + ptrdiff_t(stop)));
    EXPECT_TRUE(decoder.finished());
  }
}

TEST(Decoder, KnowsWhetherItIsInsideAMessage) {
  Decoder decoder(100);
  Notebook notebook;
  std::string bytes = part(1, "ab") + frame(9, "p") + frame(0, "c");
  EXPECT_FALSE(decoder.mid_message());
  for (size_t i = 0; i + 1 < bytes.size(); ++i) {
    feed(decoder, bytes.substr(i, 1), notebook);
    ASSERT_TRUE(decoder.mid_message()) << i;
  }
  feed(decoder, bytes.substr(bytes.size() - 1), notebook);
  EXPECT_FALSE(decoder.mid_message());
}

TEST(Decoder, GoesOnWhereItIsMovedInTheMiddleOfAFrame) {
  std::string bytes = part(1, "ab") + frame(9, "ping") + frame(0, "cd");
  for (size_t at = 1; at < bytes.size(); ++at) {
    Decoder first(100);
    Notebook notebook;
    feed(first, bytes.substr(0, at), notebook);
    Decoder second(std::move(first));
    feed(second, bytes.substr(at), notebook);
    ASSERT_EQ(notebook.told, (Told{"ping ping", "text abcd"})) << at;
  }
}

}  // namespace
}  // namespace holdfast::test
