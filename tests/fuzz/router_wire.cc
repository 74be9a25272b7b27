// Messages of the fooking gateway's router.
#include "wire/router/messages.h"

#include "tests/fuzz/fuzz.h"

namespace holdfast {
namespace {

using api::RouterMessage;
using api::RouterRead;
using fuzz::Told;

void expect_way_back(const RouterMessage& message, std::string_view bytes) {
  BufferRef again = api::router_message(message);
  fuzz::expect(again.bytes() == bytes, "a message that is written again is the same");
}

Told run(size_t max_what, const fuzz::Pieces& pieces) {
  Told told;
  std::string bytes;
  for (std::string_view piece : pieces) {
    bytes += piece;
    for (;;) {
      // What comes byte by byte is not copied every time, for the sake of time.
      bool whole = pieces.size() == 1;
      fuzz::Piece exact(whole ? std::string_view(bytes) : std::string_view());
      std::string_view now = whole ? exact.view() : std::string_view(bytes);
      RouterMessage message;
      size_t used = 0;
      RouterRead read = api::read_router_message(now, max_what, &message, &used);
      if (read == RouterRead::need_more) break;
      if (read == RouterRead::bad) {
        told.emplace_back("bad");
        return told;
      }
      fuzz::expect(used <= now.size() && message.what.size() <= max_what, "it kept the bounds");
      expect_way_back(message, now.substr(0, used));
      told.push_back(std::to_string(message.type) + ' ' + std::string(message.whom) + " | " +
                     std::string(message.what));
      bytes.erase(0, used);
    }
  }
  told.push_back(bytes);
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  for (size_t max_what : {size_t{10}, size_t{4096}})
    fuzz::expect_same_in_every_division(
        fuzz::view(data, size), [&](const fuzz::Pieces& pieces) { return run(max_what, pieces); });
  return 0;
}
