// Deflated messages in frames (wire/ws/decoder.h): what is told, whichever way the bytes are cut and wherever the
// decoder moves.
#include <gtest/gtest.h>

#include "tests/harness/deflate_peer.h"
#include "tests/unit/wire/ws/client_frames.h"

namespace holdfast::test {
namespace {

using ws::DeflateTerms;

const DeflateTerms kAlone({}, 15, false);
const DeflateTerms kTakeover({}, 15, true);

std::string deflated(std::string_view text) {
  return PeerDeflater().message(text);
}
std::string deflated_frame(unsigned opcode, std::string_view payload, bool fin = true) {
  return frame(opcode, payload, {.fin = fin, .rsv = 4});
}

TEST(DecoderDeflate, MessagesAreToldInflated) {
  std::string text = "Hello, Hello, Hello, Hello";
  expect_decoded(
      deflated_frame(1, deflated(text)) + frame(1, "plain") +
          deflated_frame(2, deflated("\xff\xff\xff")) + deflated_frame(1, std::string(1, '\0')) +
          deflated_frame(1, deflated("Grüße")) + frame(2, ""),
      {"text " + text, "text plain", "binary \xff\xff\xff", "text ", "text Grüße", "binary "},
      1 << 20, kAlone);
}

TEST(DecoderDeflate, FragmentsAreOneMessageAndControlFramesAreNotDeflated) {
  std::string whole = deflated("Hello, Hello, Hello, Hello");
  std::string a = whole.substr(0, 3), b = whole.substr(3, 4), c = whole.substr(7);
  expect_decoded(deflated_frame(1, a, false) + frame(9, "p") + part(0, b) + part(0, "") +
                     frame(10, "q") + frame(0, c) + part(1, "pla") + frame(0, "in") +
                     deflated_frame(2, "", false) + frame(9, "r") + frame(0, whole) +
                     deflated_frame(1, whole, false) + frame(0, ""),
                 {"ping p", "pong q", "text Hello, Hello, Hello, Hello", "text plain", "ping r",
                  "binary Hello, Hello, Hello, Hello", "text Hello, Hello, Hello, Hello"},
                 1 << 20, kAlone);
}

TEST(DecoderDeflate, ClientsThatTakeTheirContextOverReferBack) {
  PeerDeflater peer;
  std::string bytes;
  Told expected;
  for (const char* text : {"news of the day", "no news of the day", "", "news of the night", "x"}) {
    bytes += deflated_frame(1, peer.message(text)) + frame(1, "not of the context");
    expected.insert(expected.end(), {std::string("text ") + text, "text not of the context"});
  }
  expect_decoded(bytes, expected, 1 << 20, kTakeover);
  Told alone = decode({bytes}, 1 << 20, kAlone);
  EXPECT_EQ(alone.back(), "error 1007 message cannot be inflated") << "they do refer back";
}

TEST(DecoderDeflate, TheWindowIsAsLargeAsAgreedAndNoLarger) {
  std::string secret = "0123456789abcdefghijklmnopqrstuvwxyz";
  for (unsigned bits : {8u, 9u, 12u, 15u}) {
    SCOPED_TRACE(bits);
    DeflateTerms terms({}, bits, true);
    size_t window = size_t{1} << bits;
    // `far` bytes behind it, in many messages, the secret is said again.
    auto told = [&](size_t far) {
      PeerDeflater peer(15, 9);
      Pieces pieces{deflated_frame(1, peer.message(secret))};
      for (size_t gone = 0; gone < far; gone += std::min<size_t>(far - gone, 100)) {
        size_t next = std::min<size_t>(far - gone, 100);
        pieces.push_back(deflated_frame(1, peer.message(std::string(next, '-'))));
      }
      pieces.push_back(deflated_frame(1, peer.message(secret)));
      return decode(pieces, 1 << 20, terms).back();
    };
    EXPECT_EQ(told(window - secret.size()), "text " + secret);
    if (bits == 15) continue;  // zlib does not refer back so far
    EXPECT_EQ(told(window), "error 1007 message cannot be inflated");
  }
}

TEST(DecoderDeflate, RulesCostTheirCloseCode) {
  const std::string reserved = "error 1002 reserved bit set";
  std::string good = deflated("good");
  struct Row {
    const char* what;
    std::string bytes;
    std::string told;
  };
  std::string zeros = deflated(std::string(10 << 20, '\0'));
  const Row rows[] = {
      {"RSV1 on a continuation", deflated_frame(1, good, false) + deflated_frame(0, good),
       reserved},
      {"RSV1 on a plain message's continuation", part(1, "x") + deflated_frame(0, good), reserved},
      {"RSV1 on a ping", deflated_frame(9, good), reserved},
      {"RSV1 on a close frame", deflated_frame(8, ""), reserved},
      {"RSV1 and RSV2", frame(1, good, {.rsv = 6}), reserved},
      {"RSV3", frame(1, good, {.rsv = 1}), reserved},
      {"nothing", deflated_frame(1, ""), "error 1007 message cannot be inflated"},
      {"no deflated bytes", deflated_frame(2, "\xff\xff"), "error 1007 message cannot be inflated"},
      {"fragments of them", deflated_frame(2, "\xff", false) + frame(0, "\xff"),
       "error 1007 message cannot be inflated"},
      {"text that is not UTF-8", deflated_frame(1, deflated("a\xffz")),
       "error 1007 text is not UTF-8"},
      {"cut text", deflated_frame(1, deflated("a\xe2\x82"), false) + frame(0, ""),
       "error 1007 text is not UTF-8"},
      {"a bomb", deflated_frame(2, zeros), "error 1009 message too long"},
      {"a bomb in fragments",
       deflated_frame(2, zeros.substr(0, 5000), false) + frame(0, zeros.substr(5000)),
       "error 1009 message too long"},
      {"more bytes than deflating can make",
       frame_head(2, ws::deflated_bound(70'000) + 1, 64, {.rsv = 4}),
       "error 1009 message too long"},
      {"the same in fragments",
       deflated_frame(2, std::string(70'000, 'x'), false) +
           frame_head(0, ws::deflated_bound(70'000) - 70'000 + 1, 16, {}),
       "error 1009 message too long"},
      {"a plain one that is too long", frame_head(2, 70'001, 64, {}),
       "error 1009 message too long"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    expect_decoded(row.bytes + frame(1, "late"), {row.told}, 70'000, kAlone);
  }
}

TEST(DecoderDeflate, TheLongestMessagePassesHoweverLittleItShrinks) {
  std::minstd_rand random(1);
  std::string noise;
  while (noise.size() < 70'000) noise += char(random() >> 8);
  std::string longer = PeerDeflater(9, 0).message(noise);
  ASSERT_GT(longer.size(), noise.size());
  EXPECT_EQ(decode({deflated_frame(2, longer)}, 70'000, kAlone), Told{"binary " + noise});
}

// I2
TEST(DecoderDeflate, KeepsWhatItMustAndNothingElse) {
  ws::Inflater inflater;
  for (bool takeover : {false, true}) {
    PeerDeflater peer(10);
    ws::Decoder decoder(1 << 20, DeflateTerms({}, 10, takeover), &inflater);
    Notebook notebook;
    EXPECT_EQ(decoder.held_bytes(), 0u);
    for (int i = 0; i < 100; ++i) {
      feed(decoder, deflated_frame(1, peer.message(std::string(size_t(i), char('a' + i % 26)))),
           notebook);
      if (!takeover) peer = PeerDeflater(10);
      EXPECT_FALSE(decoder.mid_message());
      EXPECT_LE(decoder.window_bytes(), 1024u);
      EXPECT_LE(decoder.held_bytes(), takeover ? 1024u + sizeof(std::string) : 0u);
    }
    EXPECT_EQ(notebook.told.size(), 100u);
    EXPECT_EQ(decoder.window_bytes(), takeover ? 1024u : 0u);
    feed(decoder, deflated_frame(1, peer.message(std::string(5000, 'z'))), notebook);
    EXPECT_LE(decoder.held_bytes(), takeover ? 1024u + sizeof(std::string) : 0u);
    feed(decoder, frame(0, "wrong"), notebook);
    EXPECT_EQ(decoder.held_bytes(), 0u) << "it is finished";
  }
}

TEST(DecoderDeflate, RecordsThatMakeNoSenseAreRefused) {
  ws::Inflater inflater;
  auto takes = [&](DeflateTerms terms, auto change) {
    ws::DecoderRecord record;
    change(record);
    return ws::Decoder(1000, terms, &inflater).restore(std::move(record));
  };
  auto deflated_text = [](ws::DecoderRecord& r) {
    r.state.message = ws::Opcode::text;
    r.state.deflated = true;
  };
  EXPECT_TRUE(takes(kAlone, deflated_text));
  EXPECT_FALSE(takes({}, deflated_text));
  EXPECT_FALSE(takes(kAlone, [](auto& r) { r.state.deflated = true; }));
  EXPECT_TRUE(takes(kTakeover, [](auto& r) { r.window = "x"; }));
  EXPECT_FALSE(takes(kAlone, [](auto& r) { r.window = "x"; }));
  EXPECT_FALSE(takes({}, [](auto& r) { r.window = "x"; }));
  DeflateTerms small({}, 8, true);
  EXPECT_TRUE(takes(small, [](auto& r) { r.window = std::string(256, 'x'); }));
  EXPECT_FALSE(takes(small, [](auto& r) { r.window = std::string(257, 'x'); }));
}

TEST(Decoder, RecordsThatMakeNoSenseAreRefused) {
  auto takes = [](auto change) {
    ws::DecoderRecord record;
    change(record);
    return ws::Decoder(1000).restore(std::move(record));
  };
  // As they come: a frame's head, of which so many bytes are there.
  auto takes_head = [&](uint8_t first, uint8_t second, uint8_t bytes = 2) {
    return takes([&](auto& r) {
      r.state.head[0] = first;
      r.state.head[1] = second;
      r.state.head_bytes = bytes;
    });
  };
  EXPECT_TRUE(takes([](auto&) {}));
  EXPECT_TRUE(takes_head(0x81, 0x85));
  EXPECT_TRUE(takes_head(0x8d, 0, 1)) << "judged with its second byte";
  EXPECT_FALSE(takes_head(0x8d, 0x85)) << "unknown opcode";
  EXPECT_FALSE(takes_head(0xc1, 0x85)) << "reserved bit";
  EXPECT_FALSE(takes_head(0x81, 0x05)) << "no mask";
  EXPECT_FALSE(takes_head(0x80, 0x85)) << "continuation of nothing";
  EXPECT_FALSE(takes_head(0x81, 0x85, 14)) << "whole";
  EXPECT_FALSE(takes([](auto& r) { r.state.frame = ws::Opcode(11); }));
  EXPECT_FALSE(takes([](auto& r) {
    r.state.in_frame = true;
    r.state.frame = ws::Opcode::text;
  })) << "a frame of no message";
  auto takes_ping = [&](uint32_t left, size_t kept) {
    return takes([&](auto& r) {
      r.state.in_frame = true;
      r.state.frame = ws::Opcode::ping;
      r.state.payload_left = left;
      r.control = std::string(kept, 'x');
    });
  };
  EXPECT_TRUE(takes_ping(25, 100));
  EXPECT_FALSE(takes_ping(26, 100));
  EXPECT_FALSE(takes([](auto& r) { r.control = "x"; })) << "outside of a control frame";
  EXPECT_FALSE(takes([](auto& r) { r.message = "x"; })) << "of no message";
  EXPECT_TRUE(takes([](auto& r) {
    r.state.finished = true;
    r.state.frame = ws::Opcode(11);
  })) << "nothing is read any more";
}

// A reload may lower max_message_size while a longer message is on its way.
TEST(DecoderDeflate, AMessageLongerThanALowerBoundIsRefusedWithItsNextFrame) {
  for (bool is_deflated : {false, true}) {
    ws::Inflater inflater;
    ws::Decoder before(10'000, kAlone, &inflater);
    Notebook notebook;
    feed(before,
         frame(2, std::string(5'000, 'x'), {.fin = false, .rsv = uint8_t(is_deflated ? 4 : 0)}),
         notebook);
    ws::Decoder after = moved(before, 1'000, kAlone, &inflater);
    feed(after, frame(0, "y"), notebook);
    EXPECT_EQ(notebook.told, Told{"error 1009 message too long"});
  }
}

}  // namespace
}  // namespace holdfast::test
