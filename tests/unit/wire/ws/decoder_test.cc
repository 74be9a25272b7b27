#include <gtest/gtest.h>

#include "tests/unit/wire/ws/client_frames.h"

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

// I4, I5

// Wants to wait behind every `every`th frame, and skips from `skip_from` on.
class Waiting final : public ws::FrameSink {
 public:
  explicit Waiting(size_t every_frames, size_t skip = SIZE_MAX)
      : every(every_frames), skip_from(skip) {}
  bool on_message(ws::Opcode opcode, std::string_view payload) override {
    return notebook.on_message(opcode, payload);
  }
  bool on_ping(std::string_view payload) override { return notebook.on_ping(payload); }
  bool on_pong(std::string_view payload) override { return notebook.on_pong(payload); }
  void on_close(uint16_t code, std::string_view reason) override {
    notebook.on_close(code, reason);
  }
  void on_error(uint16_t code, std::string_view why) override { notebook.on_error(code, why); }
  void on_inflated(ws::Inflated, size_t, size_t) override { ++inflated; }
  ws::Next next() override {
    ++frames;
    if (frames % every == 0) return ws::Next::stop;
    return frames >= skip_from ? ws::Next::skip : ws::Next::decode;
  }
  size_t every, skip_from, frames = 0, inflated = 0;
  Notebook notebook;
};

// As a connection feeds it: what is left is fed again, in another place and perhaps in another process.
Told decode_in_steps(const Pieces& pieces, size_t every) {
  Waiting sink(every);
  Decoder decoder(1 << 20);
  for (const std::string& piece : pieces) {
    std::string rest = piece;
    while (!rest.empty()) {
      size_t used = decoder.feed({rest.data(), rest.size()}, sink);
      EXPECT_GT(used, 0u);
      rest.erase(0, used);
      decoder = moved(decoder, 1 << 20);
    }
  }
  return sink.notebook.told;
}

TEST(Decoder, StopsBetweenFramesAndGoesOnWithWhatItHasNotUsed) {
  std::string bytes = frame(1, "one") + part(2, "tw") + frame(9, "beat") + frame(0, "o") +
                      frame(1, "") + frame(2, std::string(300, 'x')) + close_frame(1000);
  Told expected{"text one",   "ping beat", "binary two", "text ", "binary " + std::string(300, 'x'),
                "close 1000 "};
  for (size_t every : {1, 2, 3})
    expect_told(bytes, expected,
                [every](const Pieces& pieces) { return decode_in_steps(pieces, every); });
}

TEST(Decoder, LeavesWhatItHasNotUsedAsItCame) {
  std::string first = frame(1, "one"), bytes = first + frame(1, "two"), before = bytes;
  Waiting sink(1);
  Decoder decoder(100);
  ASSERT_EQ(decoder.feed({bytes.data(), bytes.size()}, sink), first.size());
  EXPECT_EQ(bytes.substr(first.size()), before.substr(first.size()));
  EXPECT_FALSE(decoder.mid_message());
}

TEST(Decoder, SkipsMessagesAndTellsControlFrames) {
  std::string bytes = part(1, "begun") + frame(0, " and \xff ended") + frame(9, "ping") +
                      frame(1, "\xff") + part(2, std::string(500, 'x')) + frame(10, "pong") +
                      part(0, std::string(700, 'y')) + frame(0, "") + close_frame(4000, "why");
  Told expected{"ping ping", "pong pong", "close 4000 why"};
  expect_told(bytes, expected, [](const Pieces& pieces) {
    Decoder decoder(1000);
    Notebook notebook;
    decoder.skip_messages();
    for (const std::string& piece : pieces) {
      feed(decoder, piece, notebook);
      EXPECT_LE(decoder.held_bytes(), 400u);
      decoder = moved(decoder, 1000);
    }
    return notebook.told;
  });
}

TEST(Decoder, SkipsFromTheMiddleOfAMessageOn) {
  Decoder decoder(1000);
  Waiting sink(SIZE_MAX, 2);
  feed(decoder,
       part(1, std::string(900, 'x')) + frame(9, "") + frame(0, "y") + frame(1, "z") +
           close_frame(1000),
       sink);
  EXPECT_EQ(sink.notebook.told, (Told{"ping ", "close 1000 "}));
  EXPECT_EQ(decoder.held_bytes(), 0u);
}

}  // namespace
}  // namespace holdfast::test
