// tests/unit/wire/ws/client_frames.h - frames as a client makes them, and a sink that writes down what
// it is told.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "tests/unit/every_division.h"
#include "wire/ws/decoder.h"
#include "wire/ws/record.h"

namespace holdfast::test {

inline constexpr uint32_t kKey = 0x37fa213d;  // RFC 6455 5.7

struct FrameSpec {
  bool fin = true;
  bool masked = true;
  uint8_t rsv = 0;
  uint32_t key = kKey;
};

inline std::string masked_payload(std::string_view payload, uint32_t key) {
  char bytes[4];
  store_be32(bytes, key);
  std::string out(payload);
  for (size_t i = 0; i < out.size(); ++i) out[i] = char(out[i] ^ bytes[i % 4]);
  return out;
}

// Header only, announcing `length` in the form (7, 16 or 64 bits) that `form` names.
inline std::string frame_head(unsigned opcode, uint64_t length, unsigned form,
                              const FrameSpec& spec) {
  std::string out(1, char((spec.fin ? 0x80 : 0) | spec.rsv << 4 | opcode));
  char raw[8];
  auto mask_bit = uint8_t(spec.masked ? 0x80 : 0);
  if (form == 7) {
    out += char(mask_bit | length);
  } else if (form == 16) {
    out += char(mask_bit | 126);
    store_be16(raw, uint16_t(length));
    out.append(raw, 2);
  } else {
    out += char(mask_bit | 127);
    store_be64(raw, length);
    out.append(raw, 8);
  }
  store_be32(raw, spec.key);
  if (spec.masked) out.append(raw, 4);
  return out;
}

inline std::string frame(unsigned opcode, std::string_view payload, const FrameSpec& spec = {}) {
  unsigned form = payload.size() <= 125 ? 7 : payload.size() <= 65535 ? 16 : 64;
  std::string out = frame_head(opcode, payload.size(), form, spec);
  return out += spec.masked ? masked_payload(payload, spec.key) : std::string(payload);
}

inline std::string part(unsigned opcode, std::string_view payload) {
  return frame(opcode, payload, {.fin = false});
}

inline std::string close_frame(uint16_t code, std::string_view reason = {}) {
  char raw[2];
  store_be16(raw, code);
  return frame(8, std::string(raw, 2).append(reason));
}

class Notebook final : public ws::FrameSink {
 public:
  bool on_message(ws::Opcode opcode, std::string_view payload) override {
    return note(opcode == ws::Opcode::text ? "text " : "binary ", payload);
  }
  bool on_ping(std::string_view payload) override { return note("ping ", payload); }
  bool on_pong(std::string_view payload) override { return note("pong ", payload); }
  void on_close(uint16_t code, std::string_view reason) override {
    note("close " + std::to_string(code) + " ", reason);
  }
  void on_error(uint16_t code, std::string_view why) override {
    note("error " + std::to_string(code) + " ", why);
  }

  Told told;
  size_t stop_after = SIZE_MAX;  // calls

 private:
  bool note(std::string what, std::string_view text) {
    told.push_back(what.append(text));
    return told.size() < stop_after;
  }
};

inline void feed(ws::Decoder& decoder, std::string bytes, ws::FrameSink& sink) {
  decoder.feed({bytes.data(), bytes.size()}, sink);
}

// A decoder that goes on where the other one stands, as in another process.
inline ws::Decoder moved(const ws::Decoder& from, uint32_t max_message, ws::DeflateTerms terms = {},
                         ws::Inflater* inflater = nullptr) {
  ws::DecoderRecord record;
  EXPECT_TRUE(handover::load(handover::save(from.save()), record));
  ws::Decoder to(max_message, terms, inflater);
  EXPECT_TRUE(to.restore(std::move(record)));
  return to;
}

// Whichever way the bytes are cut, and whether or not the decoder moves at each cut: the same is told.
inline Told decode(const Pieces& pieces, uint32_t max_message = 1 << 20,
                   ws::DeflateTerms terms = {}) {
  ws::Inflater inflater, other_process;
  ws::Decoder decoder(max_message, terms, &inflater), mover(max_message, terms, &other_process);
  Notebook notebook, moving;
  for (const std::string& piece : pieces) {
    feed(decoder, piece, notebook);
    feed(mover, piece, moving);
    mover = moved(mover, max_message, terms, &other_process);
  }
  EXPECT_EQ(moving.told, notebook.told) << "moved at each cut";
  return notebook.told;
}

inline void expect_decoded(const std::string& bytes, const Told& expected,
                           uint32_t max_message = 1 << 20, ws::DeflateTerms terms = {}) {
  expect_told(bytes, expected,
              [=](const Pieces& pieces) { return decode(pieces, max_message, terms); });
}

}  // namespace holdfast::test
