// WebSocket frames of a client, cut at random, with a small and a large bound of a message, without and with
// permessage-deflate; and the same where the decoder moves to another process behind each piece.
#include "wire/ws/decoder.h"

#include "tests/fuzz/fuzz.h"
#include "wire/ws/record.h"

namespace holdfast {
namespace {

using fuzz::Told;

class Sink final : public ws::FrameSink {
 public:
  explicit Sink(uint32_t max_message) : max_message_(max_message) {}

  bool on_message(ws::Opcode opcode, std::string_view payload) override {
    fuzz::expect(payload.size() <= max_message_, "no message is longer than max_message");
    return tell(opcode == ws::Opcode::text ? "text" : "binary", payload);
  }
  bool on_ping(std::string_view payload) override { return tell("ping", payload); }
  bool on_pong(std::string_view payload) override { return tell("pong", payload); }
  void on_close(uint16_t code, std::string_view reason) override {
    fuzz::expect(code == 1005 || ws::valid_close_code(code), "a close code is one of the wire's");
    tell("close " + std::to_string(code), reason);
  }
  void on_error(uint16_t code, std::string_view why) override {
    tell("error " + std::to_string(code), why);
  }

  Told told;

 private:
  bool tell(std::string what, std::string_view payload) {
    told.push_back(what + ' ' + std::string(payload));
    return payload != "stop";  // a sink that wants no more
  }
  uint32_t max_message_;
};

struct Terms {
  uint32_t max_message;
  ws::DeflateTerms deflate;
  bool moved;  // through a handover's record behind each piece
};

Told run(const Terms& terms, const fuzz::Pieces& pieces) {
  static ws::Inflater inflater;
  Sink sink(terms.max_message);
  auto fresh = [&] {
    return std::make_unique<ws::Decoder>(terms.max_message, terms.deflate, &inflater);
  };
  auto decoder = fresh();
  for (std::string_view bytes : pieces) {
    fuzz::Piece piece(bytes);  // unmasked in place
    decoder->feed({piece.data(), piece.size()}, sink);
    if (!terms.moved) continue;
    ws::DecoderRecord record;
    fuzz::expect(handover::load(handover::save(decoder->save()), record),
                 "its record is read back");
    decoder = fresh();
    fuzz::expect(decoder->restore(std::move(record)), "a decoder's own state is one");
  }
  if (decoder->finished()) sink.told.push_back("finished");
  if (decoder->mid_message()) sink.told.push_back("in a message");
  return sink.told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  std::string_view bytes = fuzz::view(data, size);
  for (uint32_t max_message : {20u, 65'536u})
    for (ws::DeflateTerms deflate : {ws::DeflateTerms(), ws::DeflateTerms(15, 9, true)})
      fuzz::expect_same_in_every_division(bytes, [&](const fuzz::Pieces& pieces) {
        Told stayed = run({max_message, deflate, false}, pieces);
        fuzz::expect(run({max_message, deflate, true}, pieces) == stayed,
                     "the same after every move");
        return stayed;
      });
  return 0;
}
