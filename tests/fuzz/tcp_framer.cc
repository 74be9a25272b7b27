// A TCP stream through every kind of framing; and the same where the framer moves to another process behind each piece.
#include "wire/tcp/framer.h"

#include "tests/fuzz/fuzz.h"

namespace holdfast {
namespace {

using fuzz::Told;

constexpr uint32_t kMaxMessage = 40;

class Sink final : public tcp::MessageSink {
 public:
  bool on_message(std::string_view message) override {
    fuzz::expect(message.size() <= kMaxMessage, "no message is longer than max_message");
    told.emplace_back(message);
    return message != "stop";
  }
  Told told;
};

Told run(const conf::Framing& framing, const fuzz::Pieces& pieces, bool moved = false) {
  Sink sink;
  auto framer = std::make_unique<tcp::Framer>(framing, kMaxMessage);
  for (std::string_view bytes : pieces) {
    framer->feed(fuzz::Piece(bytes).view(), sink);
    if (!moved) continue;
    auto successor = std::make_unique<tcp::Framer>(framing, kMaxMessage);
    fuzz::expect(successor->restore(framer->save()), "a saved framer can be restored");
    framer = std::move(successor);
  }
  sink.told.push_back("error " + std::to_string(int(framer->error())));
  if (framer->mid_message()) sink.told.push_back("in a message");
  return sink.told;
}

// What encode() makes of a message is read back as the message.
void expect_way_back(const conf::Framing& framing, std::string_view message) {
  if (!framing.delimiter.empty() && message.find(framing.delimiter[0]) != message.npos) return;
  std::string frame = tcp::encode(framing, message);
  if (frame.empty() || !framing.strip || message.size() > kMaxMessage) return;
  Told told = run(framing, {frame});
  fuzz::expect(told.size() == 2 && told[0] == message, "a frame holds its message");
}

std::vector<conf::Framing> framings() {
  using conf::Framing;
  auto length = conf::FramingKind::length, delimiter = conf::FramingKind::delimiter;
  return {
      Framing{.kind = length, .offset = 0, .size = 1},
      Framing{.kind = length, .offset = 0, .size = 2, .big_endian = false},
      Framing{.kind = length, .offset = 0, .size = 4, .includes_header = true},
      Framing{.kind = length, .offset = 3, .size = 2, .strip = false},
      Framing{.kind = length, .offset = 2, .size = 8, .includes_header = true, .strip = false},
      Framing{.kind = delimiter, .delimiter = "\n"},
      Framing{.kind = delimiter, .delimiter = "aab"},
  };
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  static const std::vector<conf::Framing> all = framings();
  for (const conf::Framing& framing : all) {
    fuzz::expect_same_in_every_division(fuzz::view(data, size), [&](const fuzz::Pieces& pieces) {
      Told stayed = run(framing, pieces);
      fuzz::expect(run(framing, pieces, true) == stayed, "the same after every move");
      return stayed;
    });
    expect_way_back(framing, fuzz::view(data, size));
  }
  return 0;
}
