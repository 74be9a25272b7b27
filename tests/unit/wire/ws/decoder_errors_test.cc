// Each rule of wire/ws/decoder.h with the close code it costs.
#include <gtest/gtest.h>

#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast::test {
namespace {

TEST(DecoderErrors, EveryRuleCostsItsCloseCode) {
  const std::string reserved = "error 1002 reserved bit set";
  const std::string opcode = "error 1002 unknown opcode";
  const std::string form = "error 1002 length not in its shortest form";
  const std::string top_bit = "error 1002 length with its top bit set";
  const std::string no_mask = "error 1002 frame without mask";
  const std::string fragmented = "error 1002 fragmented control frame";
  const std::string long_control = "error 1002 control frame too long";
  struct Row {
    const char* what;
    std::string bytes;
    std::string told;
  };
  const Row rows[] = {
      {"RSV1", frame(1, "x", {.rsv = 4}), reserved},
      {"RSV2", frame(2, "x", {.rsv = 2}), reserved},
      {"RSV3", frame(9, "x", {.rsv = 1}), reserved},
      {"opcode 3", frame(3, "x"), opcode},
      {"opcode 4", frame(4, ""), opcode},
      {"opcode 5", frame(5, "x"), opcode},
      {"opcode 6", frame(6, "x"), opcode},
      {"opcode 7", frame(7, "x"), opcode},
      {"opcode 11", frame(11, "x"), opcode},
      {"opcode 12", frame(12, "x"), opcode},
      {"opcode 13", frame(13, "x"), opcode},
      {"opcode 14", frame(14, "x"), opcode},
      {"opcode 15", frame(15, "x"), opcode},
      {"text without mask", frame(1, "x", {.masked = false}), no_mask},
      {"empty text without mask", frame(1, "", {.masked = false}), no_mask},
      {"ping without mask", frame(9, "", {.masked = false}), no_mask},
      {"close without mask", frame(8, "", {.masked = false}), no_mask},
      {"ping of 126 bytes", frame(9, std::string(126, 'x')), long_control},
      {"pong of 65536 bytes", frame(10, std::string(65536, 'x')), long_control},
      {"close of 126 bytes", frame(8, std::string(126, 'x')), long_control},
      {"fragmented ping", part(9, "x"), fragmented},
      {"fragmented pong", part(10, "x"), fragmented},
      {"fragmented close", part(8, "xy"), fragmented},
      {"continuation first", frame(0, "x"), "error 1002 continuation of nothing"},
      {"unfinished continuation first", part(0, "x"), "error 1002 continuation of nothing"},
      {"text in a message", part(1, "a") + frame(1, "b"),
       "error 1002 new message inside a fragmented one"},
      {"binary in an empty message", part(1, "") + frame(2, "b"),
       "error 1002 new message inside a fragmented one"},
      {"125 in 16 bits", frame_head(2, 125, 16, {}), form},
      {"0 in 16 bits", frame_head(1, 0, 16, {}), form},
      {"125 in 64 bits", frame_head(2, 125, 64, {}), form},
      {"65535 in 64 bits", frame_head(2, 65535, 64, {}), form},
      {"top bit", frame_head(2, uint64_t(1) << 63, 64, {}), top_bit},
      {"all bits", frame_head(2, UINT64_MAX, 64, {}), top_bit},
      {"close payload of 1 byte", frame(8, "x"), "error 1002 close frame with half a code"},
      {"close code 999", close_frame(999), "error 1002 close code not allowed"},
      {"close code 1005", close_frame(1005), "error 1002 close code not allowed"},
      {"close reason", close_frame(1000, "\xff"), "error 1007 close reason is not UTF-8"},
      {"cut close reason", close_frame(1000, "\xc3"), "error 1007 close reason is not UTF-8"},
      {"text", frame(1, "a\xffz"), "error 1007 text is not UTF-8"},
      {"cut text", frame(1, "a\xe2\x82"), "error 1007 text is not UTF-8"},
      {"text in fragments", part(1, "a\xc3") + frame(0, "("), "error 1007 text is not UTF-8"},
      {"cut text, empty last fragment", part(1, "a\xc3") + frame(0, ""),
       "error 1007 text is not UTF-8"},
      {"1 byte too long", frame_head(2, 70'001, 64, {}), "error 1009 message too long"},
      {"2^63 - 1 bytes", frame_head(2, uint64_t(INT64_MAX), 64, {}), "error 1009 message too long"},
      {"sum of fragments", part(2, std::string(69'999, 'x')) + frame_head(0, 2, 7, {}),
       "error 1009 message too long"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    expect_decoded(row.bytes + frame(1, "late"), {row.told}, 70'000);
  }
}

TEST(DecoderErrors, TellsWhatCameBeforeTheError) {
  expect_decoded(frame(1, "good") + part(1, "lost") + frame(9, "p") + frame(2, ""),
                 {"text good", "ping p", "error 1002 new message inside a fragmented one"});
}

TEST(DecoderErrors, BinaryMayHoldAnything) {
  expect_decoded(frame(2, "\xff\xfe\x80") + part(2, "\xc3") + frame(0, "("),
                 {"binary \xff\xfe\x80", "binary \xc3("});
}

TEST(DecoderErrors, LongestMessagePassesAndOneByteMoreDoesNot) {
  for (uint32_t max : {1u, 125u, 126u, 65535u, 65536u}) {
    SCOPED_TRACE(max);
    std::string most(max, 'x');
    expect_decoded(frame(2, most), {"binary " + most}, max);
    expect_decoded(frame(2, most + "x"), {"error 1009 message too long"}, max);
    expect_decoded(part(2, most) + frame(0, ""), {"binary " + most}, max);
    expect_decoded(part(2, most) + frame(0, "x"), {"error 1009 message too long"}, max);
  }
}

TEST(DecoderErrors, ControlFramesDoNotCountAsPartOfTheMessage) {
  std::string ping(125, 'p');
  expect_decoded(part(1, "ab") + frame(9, ping) + frame(0, "c"), {"ping " + ping, "text abc"}, 3);
}

// I2: judged by the header alone, before its payload and before any memory.
TEST(DecoderErrors, RefusesAHugeFrameByItsHeader) {
  ws::Decoder decoder(65'536);
  Notebook notebook;
  feed(decoder, frame_head(2, uint64_t(1) << 40, 64, {}), notebook);
  EXPECT_EQ(notebook.told, Told{"error 1009 message too long"});
  EXPECT_EQ(decoder.held_bytes(), 0u);
}

TEST(DecoderErrors, RefusesAWrongStartWithItsSecondByte) {
  for (const std::string& bytes :
       {frame(1, "x", {.masked = false}), frame(3, "x"), frame(0, "x")}) {
    ws::Decoder decoder(100);
    Notebook notebook;
    feed(decoder, bytes.substr(0, 1), notebook);
    EXPECT_TRUE(notebook.told.empty());
    feed(decoder, bytes.substr(1, 1), notebook);
    EXPECT_EQ(notebook.told.size(), 1u);
  }
}

// How many payload bytes of a text message it takes until the decoder refuses it; 0: it does not.
size_t bytes_until_refused(std::string_view text) {
  ws::Decoder decoder(1000);
  Notebook notebook;
  std::string bytes = frame(1, std::string(text) + std::string(20, 'x'));
  feed(decoder, bytes.substr(0, 6), notebook);
  for (size_t i = 0; i < text.size(); ++i) {
    feed(decoder, bytes.substr(6 + i, 1), notebook);
    if (decoder.finished()) {
      EXPECT_EQ(notebook.told, Told{"error 1007 text is not UTF-8"});
      return i + 1;
    }
  }
  return 0;
}

TEST(DecoderErrors, RefusesTextAtItsFirstWrongByte) {
  EXPECT_EQ(bytes_until_refused("fine \xe2\x82\xac"), 0u);
  EXPECT_EQ(bytes_until_refused("\x80"), 1u);              // a tail first
  EXPECT_EQ(bytes_until_refused("abc\xc0\x80"), 4u);       // C0 can begin nothing
  EXPECT_EQ(bytes_until_refused("\xe0\x80\x80"), 2u);      // too long a form
  EXPECT_EQ(bytes_until_refused("\xed\xa0\x80"), 2u);      // a surrogate
  EXPECT_EQ(bytes_until_refused("\xf0\x8f\xbf\xbf"), 2u);  // too long a form
  EXPECT_EQ(bytes_until_refused("\xf4\x90\x80\x80"), 2u);  // above U+10FFFF
  EXPECT_EQ(bytes_until_refused("\xf5\x80\x80\x80"), 1u);
  EXPECT_EQ(bytes_until_refused("\xc3("), 2u);
  EXPECT_EQ(bytes_until_refused("12345678\xe2\x82("), 11u);
}

TEST(DecoderErrors, CharactersMayBeCutBetweenFragments) {
  const std::string text = "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf";
  for (size_t at = 0; at <= text.size(); ++at)
    expect_decoded(part(1, text.substr(0, at)) + frame(0, text.substr(at)), {"text " + text});
}

TEST(DecoderErrors, AMessageDoesNotInheritTheCharacterOfAnother) {
  expect_decoded(part(1, "\xc3") + frame(9, "\x80\xff") + frame(0, "\xa9") + frame(1, "a"),
                 {"ping \x80\xff", "text \xc3\xa9", "text a"});
}

// I1
TEST(DecoderErrors, DamagedBytesTellTheSameHoweverTheyAreCut) {
  const std::string good = frame(1, "h\xc3\xa9llo") + part(1, "\xe2\x82") + frame(9, "ping") +
                           frame(0, "\xac") + frame(2, std::string(130, 'b')) +
                           close_frame(1000, "bye");
  DamagedBytes damaged(good, std::string_view("\x00\x01\x80\x81\x88\xfe\xff", 7));
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = damaged.next();
    ASSERT_EQ(decode({bytes}, 150), decode(damaged.cut(bytes), 150))
        << testing::PrintToString(bytes);
  }
}

TEST(CloseFrames, TellTheirCodeAndReason) {
  expect_decoded(frame(8, ""), {"close 1005 "});
  expect_decoded(close_frame(1000), {"close 1000 "});
  expect_decoded(close_frame(4001, "b\xc3\xbc"), {"close 4001 b\xc3\xbc"});
  std::string longest(123, 'r');
  expect_decoded(close_frame(1001, longest), {"close 1001 " + longest});
}

TEST(CloseFrames, AllowTheCodesAPeerMaySend) {
  for (uint32_t code = 0; code <= UINT16_MAX; ++code) {
    bool allowed = (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
                   (code >= 3000 && code < 5000);
    ASSERT_EQ(ws::valid_close_code(uint16_t(code)), allowed) << code;
    Told expected{allowed ? "close " + std::to_string(code) + " "
                          : std::string("error 1002 close code not allowed")};
    ASSERT_EQ(decode({close_frame(uint16_t(code))}), expected) << code;
  }
}

}  // namespace
}  // namespace holdfast::test
