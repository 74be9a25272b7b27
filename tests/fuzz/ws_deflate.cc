// A deflated message of a client, alone and with something to refer back to, with a small and a large bound.
#include "tests/fuzz/fuzz.h"
#include "wire/ws/deflate.h"

namespace {

using namespace holdfast;

constexpr std::string_view kBefore = "what the messages before it have said, Hello, Hello";

void try_one(std::string_view message, std::string_view before, size_t most) {
  static ws::Inflater inflater;
  std::string out, again;
  ws::Inflated outcome = inflater.inflate(message, before, most, out);
  fuzz::expect(out.size() <= most + 1, "no more is inflated than the bound and a byte");
  fuzz::expect(outcome == inflater.inflate(message, before, most, again) && out == again,
               "nothing stays of a message");
  if (outcome != ws::Inflated::whole) return;
  fuzz::expect(out.size() <= most, "a whole one is not longer than the bound");
  static ws::Deflater deflater;
  std::string_view shorter = deflater.deflate(out, 1 + int(message.size() % 9));
  fuzz::expect(shorter.size() < out.size() || out.empty(), "deflated is shorter, or \"\"");
  if (shorter.empty()) return;
  fuzz::expect(inflater.inflate(shorter, {}, most, again) == ws::Inflated::whole && again == out,
               "what was deflated comes back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  for (std::string_view before : {std::string_view(), kBefore})
    for (size_t most : {size_t{20}, size_t{65'536}}) try_one(fuzz::view(data, size), before, most);
  return 0;
}
