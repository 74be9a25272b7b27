#include "wire/tcp/framer.h"

#include <gtest/gtest.h>

#include "tests/unit/every_division.h"

namespace holdfast::test {
namespace {

using conf::Framing;
using conf::FramingKind;
using tcp::FrameError;
using tcp::Framer;

class Notebook final : public tcp::MessageSink {
 public:
  bool on_message(std::string_view message) override {
    at = message.data();
    told.emplace_back(message);
    return told.size() < stop_after;
  }
  Told told;
  size_t stop_after = SIZE_MAX;
  const char* at = nullptr;
};

FrameError feed(Framer& framer, std::string_view bytes, tcp::MessageSink& sink) {
  EXPECT_EQ(framer.feed(bytes, sink), bytes.size());
  return framer.error();
}

// The messages; then the error, if there is one; then "..." where an unfinished message is held.
Told cut(const Framing& framing, const Pieces& pieces, uint32_t max_message = 100'000) {
  Framer framer(framing, max_message);
  Notebook notebook, moving;
  FrameError error = FrameError::none;
  auto mover = std::make_unique<Framer>(framing, max_message);
  for (const std::string& piece : pieces) {
    error = feed(framer, piece, notebook);
    EXPECT_EQ(feed(*mover, piece, moving), error);
    auto next = std::make_unique<Framer>(framing, max_message);  // as in another process
    EXPECT_TRUE(next->restore(mover->save()));
    mover = std::move(next);
  }
  EXPECT_EQ(moving.told, notebook.told) << "moved at each cut";
  if (error == FrameError::too_long) notebook.told.push_back("<too long>");
  if (error == FrameError::bad_length) notebook.told.push_back("<bad length>");
  if (framer.mid_message()) notebook.told.push_back("...");
  return notebook.told;
}

void expect_cut(const Framing& framing, const std::string& bytes, const Told& expected,
                uint32_t max_message = 100'000) {
  expect_told(bytes, expected,
              [&](const Pieces& pieces) { return cut(framing, pieces, max_message); });
}

Framing delimited(std::string delimiter) {
  return {.kind = FramingKind::delimiter, .delimiter = std::move(delimiter)};
}

std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (int value : values) out += char(value);
  return out;
}

// ---- length field

TEST(LengthFramer, ReadsEverySizeAndOrder) {
  for (unsigned size : {1u, 2u, 4u, 8u}) {
    for (bool big : {true, false}) {
      SCOPED_TRACE(testing::Message() << size << (big ? " big" : " little"));
      Framing framing{.size = size, .big_endian = big};
      std::string length(size, '\0');
      length[big ? size - 1 : 0] = 3;
      expect_cut(framing, length + "abc" + std::string(size, '\0') + length + "def",
                 {"abc", "", "def"});
      if (size == 1) continue;
      std::string long_length(size, '\0');  // 0x0102
      long_length[big ? size - 2 : 1] = 1;
      long_length[big ? size - 1 : 0] = 2;
      std::string message(0x102, 'm');
      expect_cut(framing, long_length + message, {message});
    }
  }
}

TEST(LengthFramer, ReadsACmppLikeHeader) {
  // 4-byte total length, big-endian, with itself; command id; sequence id; body. Whole frames go
  // both ways.
  Framing framing{.includes_header = true, .strip = false};
  std::string connect = bytes({0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 7}) + "body";
  std::string active_test = bytes({0, 0, 0, 12, 0, 0, 0, 8, 0, 0, 0, 8});
  expect_cut(framing, connect + active_test + connect, {connect, active_test, connect});
  EXPECT_EQ(tcp::encode(framing, connect), connect);
}

TEST(LengthFramer, ReadsAFieldBehindAnOffset) {
  for (bool includes : {true, false}) {
    Framing framing{.offset = 3, .size = 2, .includes_header = includes, .strip = false};
    std::string frame = "abc" + bytes({0, includes ? 9 : 4}) + "body";
    std::string empty = "xyz" + bytes({0, includes ? 5 : 0});
    expect_cut(framing, frame + empty + frame, {frame, empty, frame});
  }
}

TEST(LengthFramer, LengthThatCountsItselfIsStrippedToo) {
  Framing framing{.size = 2, .includes_header = true};
  expect_cut(framing, bytes({0, 5}) + "abc" + bytes({0, 2}), {"abc", ""});
}

TEST(LengthFramer, RefusesALengthShorterThanItsOwnHeader) {
  Framing framing{.size = 4, .includes_header = true};
  for (int length : {0, 1, 3})
    expect_cut(framing, bytes({0, 0, 0, length}) + "abc", {"<bad length>"});
  Framing behind{.offset = 4, .size = 2, .includes_header = true, .strip = false};
  expect_cut(behind, "head" + bytes({0, 5}), {"<bad length>"});
  expect_cut(behind, "head" + bytes({0, 6}) + "head" + bytes({0, 0}),
             {"head" + bytes({0, 6}), "<bad length>"});
}

TEST(LengthFramer, BoundsWhatTheSinkGets) {
  struct Row {
    bool includes, strip;
    int longest;  // value of the field for a delivered message of 10 bytes
  };
  for (Row row : {Row{false, true, 10}, {true, true, 12}, {false, false, 8}, {true, false, 10}}) {
    SCOPED_TRACE(testing::Message() << row.includes << row.strip);
    Framing framing{.size = 2, .includes_header = row.includes, .strip = row.strip};
    std::string frame = bytes({0, row.longest}) + std::string(row.strip ? 10 : 8, 'x');
    expect_cut(framing, frame, {row.strip ? frame.substr(2) : frame}, 10);
    expect_cut(framing, frame + bytes({0, row.longest + 1}) + "more",
               {row.strip ? frame.substr(2) : frame, "<too long>"}, 10);
  }
}

TEST(LengthFramer, AHeaderMayItselfBeTooLong) {
  Framing framing{.offset = 20, .size = 4, .strip = false};
  expect_cut(framing, std::string(20, 'h') + bytes({0, 0, 0, 0}), {"<too long>"}, 10);
}

// I2
TEST(LengthFramer, RefusesAHugeLengthByItsHeader) {
  for (bool includes : {true, false}) {
    for (int top : {0x00, 0x7f, 0xff}) {
      Framing framing{.size = 8, .includes_header = includes};
      Framer framer(framing, 65'536);
      Notebook notebook;
      EXPECT_EQ(feed(framer, bytes({top, 255, 255, 255, 255, 255, 255, 255}), notebook),
                FrameError::too_long);
      EXPECT_LE(framer.held_bytes(), 15u);  // what a std::string has anyway
    }
  }
}

TEST(LengthFramer, TakesMemoryForWhatHasComeNotForWhatIsAnnounced) {
  Framing framing;
  Framer framer(framing, 64 << 20);
  Notebook notebook;
  feed(framer, bytes({2, 0, 0, 0}), notebook);  // 32 MiB
  EXPECT_LE(framer.held_bytes(), 32u);
  feed(framer, std::string(1000, 'x'), notebook);
  EXPECT_LE(framer.held_bytes(), 2100u);
  EXPECT_TRUE(framer.mid_message());
}

TEST(LengthFramer, NeverHoldsMoreThanTheLongestMessageAndItsHeader) {
  Framing framing;
  Framer framer(framing, 10'000);
  Notebook notebook;
  std::string frame = bytes({0, 0, 0x27, 0x10}) + std::string(10'000, 'x');
  for (char c : frame) {
    ASSERT_EQ(feed(framer, {&c, 1}, notebook), FrameError::none);
    ASSERT_LE(framer.held_bytes(), 10'004u);
  }
  EXPECT_EQ(notebook.told, Told{std::string(10'000, 'x')});
  EXPECT_FALSE(framer.mid_message());
  EXPECT_LE(framer.held_bytes(), 15u);
}

TEST(LengthFramer, ReadsLongMessagesInPiecesOfAnySize) {
  Framing framing;
  std::string message(70'000, '\0');
  for (size_t i = 0; i < message.size(); ++i) message[i] = char(i * 13 >> 2);
  std::string stream = tcp::encode(framing, message) + tcp::encode(framing, "end");
  for (size_t size : {1u, 3u, 4u, 5u, 1000u, 16384u, 70003u, 70004u, 70005u}) {
    Pieces pieces;
    for (size_t at = 0; at < stream.size(); at += size) pieces.push_back(stream.substr(at, size));
    ASSERT_EQ(cut(framing, pieces), (Told{message, "end"})) << size;
  }
}

// ---- delimiter

TEST(DelimiterFramer, CutsAtEveryDelimiter) {
  expect_cut(delimited("\n"), "one\ntwo\n\nthree\nfour", {"one", "two", "", "three", "..."});
  expect_cut(delimited("\r\n"), "one\r\ntwo\r\n\r\na\rb\nc\r\r\n", {"one", "two", "", "a\rb\nc\r"});
  expect_cut(delimited(std::string(1, '\0')), std::string("a\0b\0", 4), {"a", "b"});
  std::string longest = "0123456789abcdef";
  expect_cut(delimited(longest), "x" + longest + longest + "01234" + longest, {"x", "", "01234"});
}

TEST(DelimiterFramer, CutsAtTheFirstOfOverlappingOnes) {
  expect_cut(delimited("aa"), "xaaaayaaa", {"x", "", "y", "..."});
  expect_cut(delimited("aab"),
             "aaab"
             "aab"
             "aaaab",
             {"a", "", "aa"});
  expect_cut(delimited("abab"),
             "ababab"
             "xabab",
             {"", "abx"});
  expect_cut(delimited("abcabd"),
             "abcabcabd"
             "abcab",
             {"abc", "..."});
}

TEST(DelimiterFramer, FindsADelimiterThatComesInThreePieces) {
  EXPECT_EQ(cut(delimited("----"), {"a-", "-", "--b", "----"}), (Told{"a", "b"}));
  EXPECT_EQ(cut(delimited("----"), {"a--", "-", "x----"}), (Told{"a---x"}));
}

TEST(DelimiterFramer, BoundsTheMessageWithoutItsDelimiter) {
  for (const char* delimiter : {"\n", "\r\n", "<end of message>"}) {
    SCOPED_TRACE(delimiter);
    Framing framing = delimited(delimiter);
    std::string most(10, 'x');
    expect_cut(framing, most + delimiter + most + delimiter, {most, most}, 10);
    expect_cut(framing, most + "x" + delimiter, {"<too long>"}, 10);
    expect_cut(framing, "ok" + std::string(delimiter) + std::string(100, 'y'), {"ok", "<too long>"},
               10);
  }
}

// I2
TEST(DelimiterFramer, NeverHoldsMoreThanTheLongestMessageAndTheDelimiter) {
  Framing framing = delimited("\r\n");
  Framer framer(framing, 1000);
  Notebook notebook;
  for (int i = 0; i < 1001; ++i) {
    ASSERT_EQ(feed(framer, i == 1000 ? "\r" : "x", notebook), FrameError::none);
    ASSERT_LE(framer.held_bytes(), 1001u);
  }
  EXPECT_EQ(feed(framer, "x", notebook), FrameError::too_long);
  EXPECT_LE(framer.held_bytes(), 15u);
  EXPECT_TRUE(notebook.told.empty());
}

// ---- both

TEST(Framer, TellsAWholeMessageWithoutCopyingIt) {
  Notebook notebook;
  std::string length = bytes({0, 0, 0, 5}) + "hello";
  Framing by_length;
  Framer(by_length, 100).feed(length, notebook);
  EXPECT_EQ(notebook.at, length.data() + 4);
  std::string line = "hello, hello, hello\n";
  Framing by_line = delimited("\n");
  Framer(by_line, 100).feed(line, notebook);
  EXPECT_EQ(notebook.at, line.data());
}

// I3
TEST(Framer, IsDoneWhereTheSinkWantsNoMore) {
  for (const Framing& framing : {delimited("\n"), Framing{.size = 1}}) {
    std::string stream;
    for (const char* message : {"a", "b", "c"}) stream += tcp::encode(framing, message);
    for (size_t stop : {1u, 2u}) {
      Framer framer(framing, 100);
      Notebook notebook;
      notebook.stop_after = stop;
      EXPECT_EQ(feed(framer, stream + "x", notebook), FrameError::none);
      EXPECT_EQ(feed(framer, stream, notebook), FrameError::none);
      EXPECT_EQ(notebook.told.size(), stop);
      EXPECT_FALSE(framer.mid_message());
    }
  }
}

TEST(Framer, IsDoneAfterAnError) {
  Framing framing = delimited("\n");
  Framer framer(framing, 3);
  Notebook notebook;
  EXPECT_EQ(feed(framer, "a\nbcde\nf\n", notebook), FrameError::too_long);
  EXPECT_EQ(feed(framer, "g\n", notebook), FrameError::too_long);
  EXPECT_EQ(notebook.told, Told{"a"});
  EXPECT_FALSE(framer.mid_message());
}

TEST(Framer, ToleratesFeedsOfNothing) {
  EXPECT_EQ(cut(Framing{.size = 1}, {"", bytes({2}), "", "a", "", "b", ""}), Told{"ab"});
  EXPECT_EQ(cut(delimited("\r\n"), {"", "a\r", "", "\n", ""}), Told{"a"});
}

TEST(Framer, GoesOnWhereItIsMoved) {
  for (const Framing& framing : {delimited("<>"), Framing{}}) {
    std::string stream = tcp::encode(framing, "hello");
    for (size_t at = 1; at < stream.size(); ++at) {
      Notebook notebook;
      Framer first(framing, 100);
      feed(first, stream.substr(0, at), notebook);
      Framer second(std::move(first));
      feed(second, stream.substr(at), notebook);
      ASSERT_EQ(notebook.told, Told{"hello"}) << at;
    }
  }
}

// I1
TEST(Framer, DamagedBytesAreCutTheSameHoweverTheyCome) {
  for (const Framing& framing :
       {delimited("\r\n"), delimited("aab"), Framing{.size = 2},
        Framing{.size = 1, .includes_header = true},
        Framing{.offset = 2, .size = 2, .big_endian = false, .strip = false}}) {
    DamagedBytes damaged(std::string("a\r\naaab\r\r\n\0\2xy\0\0\1z\0aab", 22),
                         std::string_view("\0\1\2\3\r\nab", 8));
    for (int round = 0; round < 10'000; ++round) {
      const std::string stream = damaged.next();
      ASSERT_EQ(cut(framing, {stream}, 6), cut(framing, damaged.cut(stream), 6))
          << testing::PrintToString(stream);
    }
  }
}

// ---- out

TEST(Encode, WritesEverySizeAndOrder) {
  EXPECT_EQ(tcp::encode({.size = 1}, "abc"), bytes({3}) + "abc");
  EXPECT_EQ(tcp::encode({.size = 2}, "abc"), bytes({0, 3}) + "abc");
  EXPECT_EQ(tcp::encode({.size = 4, .big_endian = false}, "abc"), bytes({3, 0, 0, 0}) + "abc");
  EXPECT_EQ(tcp::encode({.size = 8}, "abc"), bytes({0, 0, 0, 0, 0, 0, 0, 3}) + "abc");
  EXPECT_EQ(tcp::encode({.size = 2, .includes_header = true}, "abc"), bytes({0, 5}) + "abc");
  EXPECT_EQ(tcp::encode({.size = 2, .big_endian = false}, std::string(0x1234, 'x')).substr(0, 2),
            bytes({0x34, 0x12}));
}

TEST(Encode, SaysWhereALengthDoesNotFit) {
  EXPECT_EQ(tcp::encode({.size = 1}, std::string(255, 'x')).size(), 256u);
  EXPECT_EQ(tcp::encode({.size = 1}, std::string(256, 'x')), "");
  EXPECT_EQ(tcp::encode({.size = 1, .includes_header = true}, std::string(254, 'x')).size(), 255u);
  EXPECT_EQ(tcp::encode({.size = 1, .includes_header = true}, std::string(255, 'x')), "");
  EXPECT_EQ(tcp::encode({.size = 2}, std::string(65'535, 'x')).size(), 65'537u);
  EXPECT_EQ(tcp::encode({.size = 2}, std::string(65'536, 'x')), "");
}

TEST(Encode, WithoutStripTheMessageIsTheFrame) {
  EXPECT_EQ(tcp::encode({.offset = 2, .size = 2, .strip = false}, "any bytes"), "any bytes");
}

TEST(Encode, PutsTheDelimiterBehindTheMessage) {
  EXPECT_EQ(tcp::encode(delimited("\r\n"), "line"), "line\r\n");
  EXPECT_EQ(tcp::encode(delimited("\r\n"), ""), "\r\n");
}

// Wants to wait behind each message.
class OneByOne final : public tcp::MessageSink {
 public:
  bool on_message(std::string_view message) override {
    told.emplace_back(message);
    return true;
  }
  bool wants_more() override { return false; }
  Told told;
};

Told cut_one_by_one(const Framing& framing, const Pieces& pieces) {
  OneByOne sink;
  Framer framer(framing, 100'000);
  for (std::string_view rest : pieces)
    while (!rest.empty()) {
      size_t before = sink.told.size(), used = framer.feed(rest, sink);
      EXPECT_EQ(framer.error(), FrameError::none);
      EXPECT_GT(used, 0u);
      EXPECT_LE(sink.told.size(), before + 1);
      rest.remove_prefix(used);
    }
  return sink.told;
}

TEST(Framer, StopsBetweenMessagesAndGoesOnWithWhatItHasNotUsed) {
  Told expected{"one", "", "three", "x"};
  expect_told("one\r\n\r\nthree\r\nx\r\n", expected,
              [](const Pieces& pieces) { return cut_one_by_one(delimited("\r\n"), pieces); });
  Framing by_length{.kind = FramingKind::length, .size = 2, .strip = true};
  std::string bytes;
  for (const std::string& message : expected) bytes += tcp::encode(by_length, message);
  expect_told(bytes, expected,
              [&](const Pieces& pieces) { return cut_one_by_one(by_length, pieces); });
}

}  // namespace
}  // namespace holdfast::test
