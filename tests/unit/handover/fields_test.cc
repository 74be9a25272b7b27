// Numbered fields: what two versions of a record make of each other.

#include "base/fields.h"

#include <gtest/gtest.h>

#include "worker/clients/record.h"
#include "worker/handover/config_records.h"

namespace holdfast::handover {
namespace {

enum class Colour : uint8_t { none, red };

struct Inner {
  int32_t number = 0;
  std::string text;
  bool operator==(const Inner&) const = default;
};
template <class Archive>
void fields(Archive& a, Inner& r) {
  auto& [number, text] = r;
  a(1, number);
  a(2, text);
}

struct Everything {
  bool flag = true;
  Colour colour = Colour::none;
  int64_t negative = 0;
  uint8_t bytes[3]{};
  std::vector<std::string> texts;
  std::vector<std::pair<std::string, std::string>> pairs;
  std::vector<Inner> inners;
  std::optional<uint16_t> maybe;
  std::map<std::string, std::string> map;
  bool operator==(const Everything&) const = default;
};
template <class Archive>
void fields(Archive& a, Everything& r) {
  auto& [flag, colour, negative, bytes, texts, pairs, inners, maybe, map] = r;
  a(1, flag);
  a(2, colour);
  a(3, negative);
  a(4, bytes);
  a(5, texts);
  a(6, pairs);
  a(7, inners);
  a(8, maybe);
  a(9, map);
}

Everything full() {
  return {false,
          Colour::red,
          -5'000'000'000,
          {1, 0, 255},
          {"", "a", std::string("\0b", 2)},
          {{"k", ""}, {"", "v"}},
          {{-1, "x"}, {}},
          uint16_t{0},
          {{"p", "q"}, {"r", ""}}};
}

// One field by hand.
std::string field(uint16_t number, std::string_view value) {
  std::string out(reinterpret_cast<const char*>(&number), sizeof number);
  auto bytes = uint32_t(value.size());
  out.append(reinterpret_cast<const char*>(&bytes), sizeof bytes);
  return out.append(value);
}

TEST(HandoverFields, EveryKindOfValueComesBack) {
  Everything back;
  ASSERT_TRUE(load(save(full()), back));
  EXPECT_EQ(back, full());
}

TEST(HandoverFields, WhatIsZeroOrEmptyIsNotWrittenAndReadAsThat) {
  Everything nothing;
  nothing.flag = false;
  EXPECT_EQ(save(nothing), "");
  Everything back = full();
  ASSERT_TRUE(load("", back));
  EXPECT_EQ(back, nothing) << "whatever a member's default is";
}

TEST(HandoverFields, UnknownNumbersArePassedOverUnlessTheyAreNeeded) {
  Inner inner;
  ASSERT_TRUE(load(field(1, "\x07") + field(9, "of a later version"), inner));
  EXPECT_EQ(inner.number, 7);
  EXPECT_FALSE(load(field(1, "\x07") + field(9 | kNeeded, "x"), inner));
  EXPECT_FALSE(load(field(0 | kNeeded, "x") + field(1, "\x07"), inner));
  EXPECT_TRUE(load(field(1 | kNeeded, "\x07"), inner)) << "known, so it may be needed";
}

TEST(HandoverFields, NumbersMayBecomeWiderAndWhatDoesNotFitIsRefused) {
  Inner inner;
  ASSERT_TRUE(load(field(1, std::string("\x05\0\0\0\0\0\0\0", 8)), inner));
  EXPECT_EQ(inner.number, 5);
  ASSERT_TRUE(load(field(1, "\xff"), inner));
  EXPECT_EQ(inner.number, -1);
  EXPECT_FALSE(load(field(1, std::string("\0\0\0\0\1\0\0\0", 8)), inner));
  EXPECT_FALSE(load(field(1, ""), inner));
  EXPECT_FALSE(load(field(1, "123456789"), inner));
}

TEST(HandoverFields, EveryCutAndEveryChangedByteIsReadWithinBounds) {
  std::string good = save(full());
  for (size_t at = 0; at < good.size(); ++at) {
    Everything back;
    (void)load(good.substr(0, at), back);
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = char(bad[at] ^ 1 << bit);
      (void)load(bad, back);  // under the sanitizer this must be quiet
    }
  }
  Everything back;
  EXPECT_FALSE(load(good.substr(0, good.size() - 1), back));
  EXPECT_FALSE(load(good + "x", back));
}

// A client as the first version that handed connections over wrote it: a reader of today must take it.
TEST(HandoverFields, TheFirstVersionsClientIsStillRead) {
  std::string peer(16, '\0');
  peer[15] = 9;
  std::string origin = field(1, peer) + field(2, std::string("\x39\x30", 2));
  std::string decoder_state = field(1, std::string("\x03\0\0\0", 4)) + field(2, "KEY!") +
                              field(5, "\x01") + field(6, "\x01") + field(8, "\x01") +
                              field(9, "\x01");
  std::string decoder = field(1, decoder_state) + field(2, "he");
  std::string record =
      field(1, "\x02") + field(2, "\x02") + field(3, std::string(7, '\0') + "\x01") +
      field(4, std::string("\x2a\0\0\0\0\0\0\0", 8)) + field(5, origin) + field(9, decoder) +
      field(11, std::string("\x10\x27\0\0\0\0\0\0", 8)) + field(14, "\x01");
  ClientRecord client;
  ASSERT_TRUE(load(record, client));
  EXPECT_EQ(client.listener, 2);
  EXPECT_EQ(client.session_hi, uint64_t{1} << 56);
  EXPECT_EQ(client.session_lo, 42u);
  EXPECT_EQ(client.origin.port, 12345);
  EXPECT_EQ(client.origin.peer[15], 9);
  ASSERT_TRUE(client.decoder);
  EXPECT_EQ(client.decoder->state.payload_left, 3u);
  EXPECT_TRUE(client.decoder->state.in_frame);
  EXPECT_EQ(client.decoder->message, "he");
  EXPECT_EQ(client.last_in_ms, 10'000u);
  EXPECT_TRUE(client.reading);
  EXPECT_FALSE(client.framer);
  EXPECT_EQ(client.key, "") << "a field of a later version";
  EXPECT_EQ(client.deflate, 0);
  EXPECT_FALSE(client.decoder->state.deflated);
  EXPECT_EQ(client.decoder->window, "");
}

TEST(HandoverFields, ListenersAndBackendsComeBackWithTheirZeros) {
  ConfigRecord config;
  conf::Listen listen;
  listen.address = *conf::parse_address("127.0.0.1:9005");
  listen.protocol = conf::Protocol::tcp;
  listen.framing = conf::Framing{.offset = 2, .size = 2, .big_endian = false, .strip = false};
  listen.ping_interval_ms = 0;
  listen.channels = {"a", "b"};
  conf::Listen web;
  web.address = *conf::parse_address("127.0.0.1:9006");
  web.streams = {conf::Stream::sse};
  web.permessage_deflate = conf::PermessageDeflate{
      .level = 1, .min_size = 0, .client_no_context_takeover = false, .client_max_window_bits = 9};
  config.listens = {listen, web};
  conf::Backend backend;
  backend.name = "app";
  backend.servers = {{*conf::parse_address("unix:/run/fpm.sock"), 3}};
  backend.params = {{"APP_ENV", "test"}};
  backend.event_close = false;
  backend.order = conf::Order::none;
  config.backends = {backend};
  ConfigRecord back;
  ASSERT_TRUE(load(save(config), back));
  ASSERT_EQ(back.listens.size(), 2u);
  EXPECT_EQ(back.listens[0], listen);
  EXPECT_EQ(back.listens[1], web);
  ASSERT_EQ(back.backends.size(), 1u);
  EXPECT_EQ(back.backends[0], backend);
}

}  // namespace
}  // namespace holdfast::handover
